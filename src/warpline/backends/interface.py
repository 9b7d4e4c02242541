"""The operations a backend offers: named steps of registration with declared shapes.

Conventions that every backend shares:

- Volumes are C-contiguous float32 arrays (I, J, K); fields are (3, I, J, K), in voxels of their own grid.
- `matrix` is a (4, 4) or (3, 4) float64 host array, output voxel to input voxel.
- **Inside**: x lies inside an axis of n voxels when -0.5 <= x < n - 0.5, and is clamped to [0, n - 1] (ITK's rule);
  elsewhere, and at NaN, a volume has the value `outside`. Fields are clamped everywhere: constant beyond their grid.
- **Ties** of nearest-neighbour sampling go up: index = floor(x + 0.5).
- Images and fields hold no NaN or infinity; norms and sums of such are undefined. Coordinates may be NaN.
- `out=`, new without it, receives the result and is returned; it never overlaps an input. Further results go to
  `out_norm`, `value` and the like: arrays of the backend, so that nothing waits for the device.
- **Several at once**, in as many launches as one: `smooth` and `compose` take S fields side by side, (S, 3, I, J, K),
  and norms (S,); `sample`, linear and without a matrix, S volumes with a field each; `downsample` S volumes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from warpline.backends.affine_problem import AffineFamily, BfgsOptions, MetricInputs
from warpline.backends.arrays import Array, Matrix, Shape
from warpline.backends.convergence import ConvergenceRule
from warpline.backends.descriptors import DescriptorOperations
from warpline.backends.image_cache import ImageCache
from warpline.backends.motion import MotionOperations
from warpline.backends.similarity import SimilarityOperations
from warpline.backends.splines import AffineCoordinates, SplineOptions


class Backend(SimilarityOperations, Protocol):
    """What registration, metrics and resampling are written against.

    Examples
    --------
    >>> from warpline.backends import select
    >>> select("numpy").zeros((2, 3)).shape
    (2, 3)
    """

    name: str
    """``"numpy"``, ``"numba"`` or ``"cuda"``."""

    device: str
    """What it runs on, in words."""

    on_host: bool
    """Whether its arrays are in the memory of the machine."""

    cache: ImageCache
    """What stays here while many registrations of one thread share an image."""

    @property
    def ordinal(self) -> int | None:
        """Index of its GPU among those that this process may use, as in ``cuda:1``; None on the CPU."""

    @property
    def descriptors(self) -> DescriptorOperations:
        """Operations on several numbers at every voxel."""

    @property
    def motion(self) -> MotionOperations:
        """Operations that fit volumes of a series to a reference."""

    # -- memory ---------------------------------------------------------------------------------------------

    def upload(self, array: NDArray[Any]) -> Array:
        """The array on the device, C-contiguous, same dtype."""

    def download(self, array: Array, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """The array on the host, in `out` (of the same shape and dtype, any strides) where it is given."""

    def download_later(self, array: Array) -> Callable[[], NDArray[Any]]:
        """Start to copy the array as it is now; the returned function, called once, waits and returns the copy."""

    def empty(self, shape: tuple[int, ...], dtype: Any = np.float32) -> Array:
        """An uninitialised array."""

    def zeros(self, shape: tuple[int, ...], dtype: Any = np.float32) -> Array:
        """An array of zeros."""

    # -- sampling -------------------------------------------------------------------------------------------

    def sample(
        self,
        volume: Array,
        matrix: Matrix | None = None,
        *,
        field: Array | None = None,
        shape: Shape | None = None,
        order: int = 1,
        outside: float = 0.0,
        out: Array | None = None,
    ) -> Array:
        """``out(i) = volume(matrix (i + field(i)))``.

        Parameters
        ----------
        volume : (I, J, K), or (S, I, J, K) with a field each
            float32; with ``order=0`` any integer, bool or float dtype, which the result keeps.
        matrix : (4, 4), optional
            Output voxel to volume voxel; identity when None.
        field : (3, I, J, K) or (S, 3, I, J, K), optional
            Displacement at and in output voxels, added before the matrix.
        shape : tuple, optional
            Shape of the output; that of `out`, `field` or `volume` when None.
        order : {0, 1, 3}
            Nearest, linear, or cubic B-spline (interpolating, mirror boundary).
        outside : float
            Value where the coordinate leaves the volume.

        Examples
        --------
        >>> import numpy as np
        >>> from warpline import backends
        >>> volume, matrix = np.arange(4, dtype=np.float32).reshape(4, 1, 1), np.eye(4)
        >>> matrix[0, 3] = 0.5  # half a voxel along the first axis
        >>> backends.select("numpy").sample(volume, matrix, outside=-1.0).ravel().tolist()
        [0.5, 1.5, 2.5, -1.0]
        """

    def sample_field(self, field: Array, matrix: Matrix, shape: Shape, *, out: Array | None = None) -> Array:
        """``out(c, i) = field(c, matrix i)``, linear, clamped at the border, units unchanged."""

    def spline_coefficients(self, array: Array, spline: SplineOptions) -> Array:
        """Coefficients of the spline that interpolates a real array, for an order of 2 or more.

        float64, by the boundary conditions of `scipy.ndimage`, with ``spline.pad`` elements more at both ends of axes.
        """

    def interpolate(
        self, array: Array, coordinates: Array | AffineCoordinates, spline: SplineOptions, *, out: Array
    ) -> Array:
        """``out(p) = array(coordinates(p))`` by the rules of `scipy.ndimage`, not those above: borders, ties, rounding.

        Parameters
        ----------
        array : (n_1, ..., n_d)
            bool, integers of any width, float32 or float64; coefficients where the order is 2 or more.
        coordinates : (d, ...) float32 or float64, or AffineCoordinates
            In elements of the array before it was padded, for each of `out`.
        spline : SplineOptions
            Order, mode and the value beyond the edges.
        out : C-contiguous
            Of any of those dtypes. Integers are rounded half away from zero and clamped; order 0 keeps integers of 64
            bits exactly where both dtypes are the same.
        """

    # -- filters --------------------------------------------------------------------------------------------

    def gradient(self, volume: Array, *, out: Array | None = None) -> Array:
        """Central differences per voxel, one-sided at the faces, zero along an axis of one voxel: (3, I, J, K)."""

    def smooth(
        self,
        array: Array,
        sigma: tuple[float, float, float],
        *,
        out: Array | None = None,
        out_norm: Array | None = None,
    ) -> Array:
        """Gaussian of `sigma` voxels per axis on a volume, or on each component of a field or of S fields.

        Kernels are truncated at max(1, floor(3 sigma + 0.5)) voxels and normalised; borders are clamped; sigma 0
        leaves an axis alone.

        Parameters
        ----------
        out_norm : (1,) or (S,) float32, optional
            Raised to the largest Euclidean norm (absolute value for a volume) of the result, or those of S fields.

        Examples
        --------
        >>> import numpy as np
        >>> from warpline import backends
        >>> volume, norm = np.eye(3, dtype=np.float32)[None], np.zeros(1, np.float32)
        >>> smoothed = backends.select("numpy").smooth(volume, (0.0, 1.0, 1.0), out_norm=norm)
        >>> bool(norm[0] == smoothed.max())
        True
        """

    def downsample(self, volume: Array, factors: tuple[float, float, float], *, out: Array) -> Array:
        """Gaussian of sigma = 0.5 factor (none where factor = 1), linear at ``factor i + offset`` into `out`.

        ``offset = (n_in - 1 - factor (n_out - 1)) / 2`` centres the coarse grid in the fine one.
        """

    def map_values(self, volume: Array, curve: Array, span: tuple[float, float], *, out: Array | None = None) -> Array:
        """Grey values through a `curve` (P,) float32 of points spread evenly over `span`, linear between them.

        Values beyond the span become those at its ends.
        """

    def add_weighted(self, array: Array, weight: Array, *, out: Array, start: bool = False) -> Array:
        """``out += weight array`` for a `weight` (1,) float32, or with `start` ``out = weight array``; any shape."""

    def halve(self, fields: Array, *, out: Array | None = None) -> Array:
        """Means of a field, or of S fields, over cubes of two voxels a side; an odd axis repeats its last voxel."""

    def add_doubled(self, coarse: Array, weight: float, *, out: Array, out_norm: Array | None = None) -> Array:
        """``out(i) += weight coarse((i - 0.5) / 2)`` for such fields, linear and clamped; `out_norm` as in `smooth`."""

    # -- fields ---------------------------------------------------------------------------------------------

    def compose(
        self,
        outer: Array,
        inner: Array,
        *,
        norm: Array | None = None,
        least_norm: float = 1e-12,
        step: float | Array = 1.0,
        out: Array,
    ) -> Array:
        """``out(i) = s inner(i) + outer(i + s inner(i))``, ``s = step / max(norm, least_norm)``, or `step`.

        `norm` is such as `smooth` writes to `out_norm`; without it s is `step`. A step that changes between
        repetitions of a loop is a one-element float32 array too, so that a replayed graph reads its new value.
        """

    def invert(
        self,
        field: Array,
        *,
        start: Array,
        tolerance: float,
        iterations: int,
        out: Array | None = None,
        out_residual: Array | None = None,
    ) -> Array:
        """Solve ``v + field(i + v) = 0`` at every voxel by fixed-point iteration from `start`.

        The relaxation factor is 1 for the first 8 steps and 0.4 after; a voxel stops when its residual is at most
        `tolerance` voxels. `out_residual` (1,) float32 receives the largest residual norm.
        """

    def jacobian(self, field: Array, *, out: Array | None = None) -> Array:
        """``det(I + d field / d x)`` at every voxel, derivatives as in `gradient`: (I, J, K)."""

    def least_jacobian(self, field: Array, *, out: Array | None = None) -> Array:
        """The least Jacobian determinant of the ten `warpline.backends.tetrahedra` that the grid has at every voxel."""

    def unfold(self, field: Array, *, limit: float, target: float, sweeps: int, least: Array | None = None) -> None:
        """Raise determinants of at most `limit` towards `target`, in place; `least`, if known, is overwritten."""

    # The next three return arrays on the host; with `out=`, float64 on the backend, results go there and nothing waits.

    def statistics(
        self, array: Array, quantile: float, *, mask: Array | None = None, out: Array | None = None
    ) -> Array:
        """Number n, mean, quantile and maximum (4,) of absolute values; zeros if there are none.

        Of a volume, or the lengths of a field; only where `mask` (I, J, K), uint8, is not 0. The quantile has rank
        ``min(floor(quantile n), n - 1)`` in ascending order, exactly.

        Examples
        --------
        >>> import numpy as np
        >>> from warpline import backends
        >>> volume = np.arange(8, dtype=np.float32).reshape(2, 2, 2)
        >>> backends.select("numpy").statistics(volume, 0.5).tolist()
        [8.0, 3.5, 4.0, 7.0]
        """

    def sums(self, volume: Array, *, mask: Array | None = None, out: Array | None = None) -> Array:
        """Number, sum and sum of squares (3,) of values (float32, any shape), in double; where `mask` is not 0."""

    def extent(self, volume: Array, matrix: Matrix, *, out: Array | None = None) -> Array:
        """Lowest and highest coordinates ``matrix i`` of voxels that are not 0: (2, 3); inf and -inf without any."""

    # -- sample points --------------------------------------------------------------------------------------

    def sample_at(self, volume: Array, points: Array) -> Array:
        """Linear interpolant of a volume at `points` (N, 3), 0 outside, computed in double: (N,) float32."""

    def affine_moments(
        self, points: Array, values: Array, volume: Array, matrix: Matrix, *, mask: Array | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Sums from which correlation and squared difference, and their derivatives, follow in one pass.

        Parameters
        ----------
        points : (N, 3) float32
            Voxel coordinates x on the fixed grid.
        values : (N,) float32
            Fixed intensities f there.
        volume : (I, J, K)
            Moving image m, sampled linearly at ``y = matrix (x, 1)``; points outside it, or where the
            nearest voxel of `mask` (uint8, on the grid of `volume`) is 0, are left out.

        Returns
        -------
        moments : (6,) float64
            n, sum f, sum m, sum f^2, sum m^2, sum f m.
        slopes : (3, 3, 4) float64
            ``sum w (grad m) (x, 1)^T`` for w = 1, f, m: derivatives by the entries of `matrix` (3, 4).
        """

    def mutual_information(
        self,
        points: Array,
        values: Array,
        volume: Array,
        matrices: NDArray[np.float64],
        bins: int,
        *,
        slopes: bool = True,
        mask: Array | None = None,
    ) -> NDArray[np.float64]:
        """Negative mutual information under each of `matrices` (S, 4, 4), with its derivative, in one go.

        ``-sum p(f, m) log(p(f, m) / (p(f) p(m)))`` in nats of the joint histogram over the points: box in the fixed
        value, cubic B-spline Parzen window in the moving one, after Mattes et al. 2003, doi:10.1109/TMI.2003.809072.

        Parameters
        ----------
        points, values, volume, mask
            As in `affine_moments`; `values` and `volume` in units of bins, between 2 and bins - 3. Row: floor(f + 0.5).
        matrices : (S, 4, 4) float64
            On the host.
        bins : int
            Along either axis of the histogram.
        slopes : bool
            Whether derivatives are wanted.

        Returns
        -------
        (S, 2) or (S, 14) float64
            On the host: value, number of points inside, and the derivative by the upper rows of the matrix, as if that
            number and the fixed histogram were constant.
        """

    def minimise_affine(
        self, inputs: MetricInputs, family: AffineFamily, options: BfgsOptions, on_step: Callable[[int, float], None]
    ) -> NDArray[np.float64] | None:
        """S BFGS searches for the maps of a family that minimise a metric, run where the metric is computed.

        From parameters that are 0; the same steps as `warpline.registration.bfgs.minimise`, but for rounding.
        `on_step` receives the number of a search and the value after each of its steps, in order, some steps late.

        Returns
        -------
        (S, P) float64 or None
            Reached, on the host. None where the caller minimises: nothing is gained here, or the formula is unknown.
        """

    # -- loops ----------------------------------------------------------------------------------------------

    def repeat(self, step: Callable[[], None], times: int) -> None:
        """Run `step` `times` times: a loop on the CPU, one captured graph replayed on a GPU.

        Between calls with the same `step`, arrays that it uses may change their content but not their address.
        """

    def keep_best_state(self, state: Array, energy: Array, *, best: Array, trace: Array) -> None:
        """Copy a state to `best` where its energy is below all of a trace, before `update_convergence` appends it."""

    def update_convergence(self, energy: Array, *, trace: Array, step: Array, rule: ConvergenceRule) -> None:
        """Append an energy to a trace, shrink the step and check convergence, on the device, so that nothing waits.

        Parameters
        ----------
        energy : (1,) float64
            Of the iteration just run; smaller is better.
        trace : (2 + N,) float64
            See `convergence`; with room for all energies that are to come.
        step : (1,) float32
            Of the steps to come; times ``rule.shrink`` when none of the last ``rule.patience`` energies is the best.
        rule : ConvergenceRule
            When steps shrink, and when the level has converged.
        """

    def session(self) -> AbstractContextManager[None]:
        """Context of work by the calling thread: on a GPU, on a stream that no other thread uses meanwhile.

        Memory that it no longer needs stays in a pool for the next one, up to a share of the GPU's; see `release`. Of
        nested sessions the outermost counts. Operations also work outside of one, on the current GPU.

        Raises
        ------
        DeviceError
            When the device runs out of memory within.
        """

    def prepare(self, parts: Collection[str]) -> None:
        """Compile what the parts of a recipe need, where that takes long and is not cached from an earlier run.

        Parameters
        ----------
        parts : collection of str
            ``"linear"`` for the linear stages, and the metric of the deformable one.
        """

    def release(self) -> None:
        """Give pooled memory back to the device; a CPU has none."""
