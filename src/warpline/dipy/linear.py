"""`AffineRegistration`: warpline's linear registration behind DIPY's optimiser object."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import least_squares

from warpline.backends import Backend, select
from warpline.dipy.affine_map import (
    AffineMap,
    transform_centers_of_mass,
    transform_geometric_centers,
    transform_origins,
)
from warpline.dipy.grids import affine_of, flatten, image_of, mask_of
from warpline.dipy.linear_transforms import Transform, transform_of
from warpline.dipy.log_warnings import log_warnings
from warpline.dipy.mutual_information import MutualInformationMetric
from warpline.dipy.recipes import linear_recipe
from warpline.errors import UsageError
from warpline.images import Image
from warpline.registration.alignment import align
from warpline.space.grid import Matrix

Initialiser = Callable[[ArrayLike, Matrix | None, ArrayLike, Matrix | None], AffineMap]

STARTS: dict[str, Initialiser] = {
    "mass": transform_centers_of_mass,
    "voxel-origin": transform_origins,
    "centers": transform_geometric_centers,
}
"""Name of a `starting_affine` to the function that computes it."""


class _Masks(TypedDict):
    fixed_mask: Image | None
    moving_mask: Image | None


Found = AffineMap | tuple[AffineMap, NDArray[np.float64], float]


class AffineRegistration:
    """Linear registration, coarse to fine.

    Parameters
    ----------
    metric : MutualInformationMetric, optional
        Its default options when None.
    level_iters : sequence of int, optional
        Most iterations of each level, the coarsest first; [1000, 500, 100] when None.
    sigmas : sequence of float, optional
        Kept for DIPY's signature: levels are smoothed by half their factor.
    factors : sequence of float, optional
        Shrink factors of the levels, the coarsest first; [4, 2, 1] when None. As in DIPY, fewer `level_iters` than
        factors run on the finest of them.
    method, ss_sigma_factor, options, verbosity
        Kept for DIPY's signature.
    backend : str or Backend, optional
        Where to compute; chosen by `warpline.backends.select` when None.

    Raises
    ------
    UsageError
        When `level_iters` is empty, or longer than `factors`.

    Examples
    --------
    >>> import numpy as np
    >>> x, y, z = np.indices((16, 16, 16)) - 7.5
    >>> static = np.exp(-(x**2 + 2 * y**2 + 4 * z**2) / 40)
    >>> from warpline.dipy import AffineRegistration, TranslationTransform3D
    >>> registration = AffineRegistration(level_iters=[20], sigmas=[0], factors=[1])
    >>> moved = registration.optimize(static, np.roll(static, 2, axis=0), TranslationTransform3D(), None)
    >>> moved.affine[:3, 3].round(1) + 0.0
    array([2., 0., 0.])
    """

    def __init__(
        self,
        metric: MutualInformationMetric | None = None,
        level_iters: Sequence[int] | None = None,
        sigmas: Sequence[float] | None = None,
        factors: Sequence[float] | None = None,
        method: str = "L-BFGS-B",
        ss_sigma_factor: float | None = None,
        options: dict[str, Any] | None = None,
        verbosity: int = 1,
        *,
        backend: str | Backend | None = None,
    ) -> None:
        self.metric = metric or MutualInformationMetric()
        self.level_iters = [1000, 500, 100] if level_iters is None else [int(n) for n in level_iters]
        self.factors = [4.0, 2.0, 1.0] if factors is None else [float(f) for f in factors]
        self.sigmas = sigmas
        self.method = method
        self.ss_sigma_factor = ss_sigma_factor
        self.options = options
        self.verbosity = verbosity
        self.backend = backend
        self.levels = len(self.level_iters)
        if not self.level_iters:
            raise UsageError("level_iters is empty; give the iterations of at least one level")
        if self.levels > len(self.factors):
            raise UsageError(f"level_iters has {self.levels} entries and factors {len(self.factors)}; give as many")
        self.factors = self.factors[-self.levels :]

    def optimize(
        self,
        static: NDArray[Any],
        moving: NDArray[Any],
        transform: Transform,
        params0: ArrayLike | None = None,
        static_grid2world: Matrix | None = None,
        moving_grid2world: Matrix | None = None,
        starting_affine: Matrix | str | None = None,
        ret_metric: bool = False,
        static_mask: NDArray[Any] | None = None,
        moving_mask: NDArray[Any] | None = None,
    ) -> Found:
        """Register `moving` onto `static`.

        Parameters
        ----------
        static, moving : 2-D or 3-D arrays
            The images.
        transform : Transform
            One of the families of this package, or an object of DIPY's own.
        params0 : (n,), optional
            Parameters that the search starts from, after `starting_affine`; the identity when None.
        static_grid2world, moving_grid2world : (dim + 1, dim + 1), optional
            Voxel to world; identity when None.
        starting_affine : matrix or {"mass", "voxel-origin", "centers"}, optional
            Static world to moving world; identity when None.
        ret_metric : bool
            Return parameters and energy as well.
        static_mask, moving_mask : arrays, optional
            Nonzero where an image counts; one that is 0 everywhere is left out, with a warning.

        Returns
        -------
        AffineMap, or (AffineMap, parameters, energy)
            Static world to moving world; parameters (n,) of ``map @ inv(starting_affine)``.

        Raises
        ------
        UsageError
            When the transform or start is not offered.
        InputError
            When an image is not finite or constant, or the grids do not overlap.
        """
        transform = transform_of(transform)
        static_mask, moving_mask = self._effective_masks(static_mask, moving_mask)
        images = image_of(static, static_grid2world, "static"), image_of(moving, moving_grid2world, "moving")
        grids = [flatten(image.affine, transform.dim) for image in images]
        start = _start(starting_affine, static, grids[0], moving, grids[1])
        first = transform.get_identity_parameters() if params0 is None else params0
        initial = affine_of(transform.param_to_matrix(first) @ start)
        recipe = linear_recipe(
            stages=(transform.motion,),
            voxel_sizes=tuple(f * float(images[0].grid.voxel_size[: transform.dim].min()) for f in self.factors),
            iterations=tuple(self.level_iters),
            **self.metric.options(images[0].data.size),
        )
        masks = _Masks(fixed_mask=mask_of(static_mask, images[0]), moving_mask=mask_of(moving_mask, images[1]))
        found = align(*images, recipe, backend=select(self.backend), initial=initial, **masks)
        log_warnings(found)
        matrix = flatten(found.affine.matrix, transform.dim)
        mapping = AffineMap(matrix, np.shape(static), grids[0], np.shape(moving), grids[1])
        if not ret_metric:
            return mapping
        energies = [energy for level in found.levels for energy in level.energies]
        return mapping, parameters_of(transform, matrix @ np.linalg.inv(start)), energies[-1] if energies else np.nan

    def _effective_masks(self, *masks: NDArray[Any] | None) -> list[NDArray[Any] | None]:
        """The masks without those that are 0 everywhere, with a warning where DIPY would ignore a mask silently."""
        kept: list[NDArray[Any] | None] = []
        for name, mask in zip(("static_mask", "moving_mask"), masks, strict=True):
            empty = mask is not None and not np.any(mask)
            if empty:
                warnings.warn(f"{name} is 0 everywhere; the whole image counts", UserWarning, stacklevel=3)
            kept.append(None if empty else mask)
        share = self.metric.sampling_proportion
        if share not in (None, 1) and any(mask is not None for mask in kept):
            warnings.warn(
                f"masks count here although sampling_proportion is {share}; DIPY would leave them out",
                UserWarning,
                stacklevel=3,
            )
        return kept


def parameters_of(transform: Transform, matrix: Matrix) -> NDArray[np.float64]:
    """Return the parameters (n,) whose matrix is closest to `matrix` in the sense of least squares."""

    def residual(theta: NDArray[np.float64]) -> NDArray[np.float64]:
        return (transform.param_to_matrix(theta) - matrix)[:-1].ravel()

    fitted: NDArray[np.float64] = least_squares(residual, transform.get_identity_parameters(), xtol=1e-12, ftol=1e-12).x
    return fitted


def _start(given: Matrix | str | None, static: Any, static_grid: Matrix, moving: Any, moving_grid: Matrix) -> Matrix:
    if given is None:
        return np.eye(len(static_grid))
    if not isinstance(given, str):
        return np.asarray(given, dtype=np.float64)
    if given not in STARTS:
        raise UsageError(f"starting_affine {given!r} is unknown; choose from {', '.join(STARTS)}, or give a matrix")
    matrix = STARTS[given](static, static_grid, moving, moving_grid).affine
    assert matrix is not None
    return matrix
