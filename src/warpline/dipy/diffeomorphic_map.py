"""`DiffeomorphicMap`: a pair of displacement fields with a linear prealignment, with DIPY's semantics."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
from nibabel.streamlines.array_sequence import ArraySequence
from numpy.typing import ArrayLike, NDArray

from warpline.dipy.sampling import check_interpolation, displacement_at, map_voxels, sample_at, slabs_of
from warpline.errors import InputError, UsageError
from warpline.space.grid import Matrix

Field = NDArray[np.float32]


class DiffeomorphicMap:
    """An invertible map given by displacements in world mm, 2-D or 3-D.

    With P the prealignment, *forward* takes world points x of the domain to ``P x + forward(P x)`` in the codomain,
    and *backward* takes world points y of the codomain to ``P^-1 (y + backward(y))`` in the domain. The maps that
    `SymmetricDiffeomorphicRegistration` returns have the moving image's grid as domain, the static one's as codomain,
    and `is_inverse` set, so that `transform` carries moving images onto the static grid by the backward field.

    Parameters
    ----------
    dim : {2, 3}
        Dimension of space.
    disp_shape : (dim,)
        Grid of the fields.
    disp_grid2world : (dim + 1, dim + 1), optional
        Voxel to world of that grid; identity when None, as for the other matrices.
    domain_shape, codomain_shape : (dim,), optional
        Default grids; those of the fields, and of the domain, when None.
    domain_grid2world, codomain_grid2world : (dim + 1, dim + 1), optional
        Their voxel to world matrices.
    prealign : (dim + 1, dim + 1), optional
        Domain world to codomain world.

    Attributes
    ----------
    forward, backward : (..., dim) float32 or None
        Displacements in mm along world axes; None until set or allocated.
    is_inverse : bool
        Whether `transform` goes by the backward field.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline.dipy import DiffeomorphicMap
    >>> mapping = DiffeomorphicMap(2, (4, 4))
    >>> mapping.allocate()
    >>> mapping.forward[..., 0] = 1.0  # mm
    >>> mapping.transform(np.arange(16.0, dtype=np.float32).reshape(4, 4))[:, 0]
    array([ 4.,  8., 12.,  0.], dtype=float32)
    """

    def __init__(
        self,
        dim: int,
        disp_shape: Sequence[int] | NDArray[Any],
        disp_grid2world: Matrix | None = None,
        domain_shape: Sequence[int] | NDArray[Any] | None = None,
        domain_grid2world: Matrix | None = None,
        codomain_shape: Sequence[int] | NDArray[Any] | None = None,
        codomain_grid2world: Matrix | None = None,
        prealign: Matrix | None = None,
    ) -> None:
        if disp_shape is None:
            raise UsageError("disp_shape is None; give the shape of the displacement fields")
        self.dim = dim
        self.disp_shape = _shape(disp_shape)
        self.domain_shape = self.disp_shape if domain_shape is None else _shape(domain_shape)
        self.codomain_shape = self.domain_shape if codomain_shape is None else _shape(codomain_shape)
        self.disp_grid2world, self.disp_world2grid = disp_grid2world, _inverse(disp_grid2world)
        self.domain_grid2world, self.domain_world2grid = domain_grid2world, _inverse(domain_grid2world)
        self.codomain_grid2world, self.codomain_world2grid = codomain_grid2world, _inverse(codomain_grid2world)
        self.prealign, self.prealign_inv = prealign, _inverse(prealign)
        self.is_inverse = False
        self.forward: Field | None = None
        self.backward: Field | None = None

    # -- fields ---------------------------------------------------------------------------------------------

    def allocate(self) -> None:
        """Set both fields to zero."""
        self.forward = np.zeros((*self.disp_shape, self.dim), np.float32)
        self.backward = np.zeros((*self.disp_shape, self.dim), np.float32)

    def get_forward_field(self) -> Field | None:
        """Return the field that `transform` uses."""
        return self.backward if self.is_inverse else self.forward

    def get_backward_field(self) -> Field | None:
        """Return the field that `transform_inverse` uses."""
        return self.forward if self.is_inverse else self.backward

    def inverse(self) -> DiffeomorphicMap:
        """Return the inverse map, which shares the fields; the inverse of an inverse is the map itself."""
        inverted = self.shallow_copy()
        inverted.is_inverse = not self.is_inverse
        return inverted

    def shallow_copy(self) -> DiffeomorphicMap:
        """Return a copy that shares the fields."""
        return copy.copy(self)

    @staticmethod
    def interpret_matrix(obj: Any) -> Any:
        """Return None for None and "identity", and an array as it is.

        Raises
        ------
        UsageError
            For anything else.
        """
        if obj is None or isinstance(obj, np.ndarray):
            return obj
        if isinstance(obj, str) and obj == "identity":
            return None
        raise UsageError(f"matrix {obj!r} is not allowed; give an array, 'identity' or None")

    def get_simplified_transform(self) -> DiffeomorphicMap:
        """Return the same map with all matrices worked into the fields: displacements in voxels, grids at identity.

        The forward field then lies on the domain's voxels and points to voxels of the codomain, the backward field the
        other way round. Unlike in DIPY, `is_inverse` is kept, so that `transform` means the same.
        """
        dim = self.dim
        simple = DiffeomorphicMap(
            dim, self.disp_shape, domain_shape=self.domain_shape, codomain_shape=self.codomain_shape
        )
        aligned = _matrix(self.prealign, None, dim) @ _matrix(None, self.domain_grid2world, dim)
        to_codomain = _matrix(None, self.codomain_world2grid, dim)
        simple.forward = self._between_voxels(_field(self.forward, "forward"), aligned, to_codomain, self.domain_shape)
        start = _matrix(None, self.codomain_grid2world, dim)
        to_domain = _matrix(None, self.domain_world2grid, dim) @ _matrix(self.prealign_inv, None, dim)
        simple.backward = self._between_voxels(_field(self.backward, "backward"), start, to_domain, self.codomain_shape)
        simple.is_inverse = self.is_inverse
        return simple

    def _between_voxels(self, field: Field, before: Matrix, after: Matrix, shape: tuple[int, ...]) -> Field:
        """``after (before i + field(before i)) - i`` for every voxel i of `shape`."""
        steps = np.empty((*shape, self.dim), np.float32)
        for slab, voxels in slabs_of(shape):
            steps[slab] = np.moveaxis(self._follow(voxels, field, before, after) - voxels, 0, -1)
        return steps

    def compute_inversion_error(self) -> tuple[Field, NDArray[np.float64]]:
        """Follow the backward field, then the forward field.

        Returns
        -------
        residual : (..., dim) float32
            What remains, in mm; zero where the backward field leaves the grid.
        stats : (3,)
            Over the other voxels: largest norm (mm), root mean square of the norm (mm) and standard deviation of the
            squared norm (mm^2). DIPY calls the last two mean and standard deviation.
        """
        backward, forward = _field(self.backward, "backward"), _field(self.forward, "forward")
        residual, inside = np.empty_like(backward), np.empty(self.disp_shape, bool)
        last = np.array(self.disp_shape).reshape(-1, *[1] * self.dim) - 1
        to_voxels = _matrix(self.disp_world2grid, None, self.dim)[:-1, :-1]
        for slab, voxels in slabs_of(self.disp_shape):
            first = np.moveaxis(backward[slab].astype(np.float64), -1, 0)
            reached = voxels + np.tensordot(to_voxels, first, axes=1)
            inside[slab] = np.all((reached >= 0) & (reached <= last), axis=0)
            both = np.where(inside[slab], first + displacement_at(forward, reached), 0)
            residual[slab] = np.moveaxis(both, 0, -1)
        squares = (residual[inside].astype(np.float64) ** 2).sum(axis=-1)
        return residual, np.array([np.sqrt(squares.max()), np.sqrt(squares.mean()), squares.std()])

    # -- images ---------------------------------------------------------------------------------------------

    def transform(
        self,
        image: NDArray[Any],
        interpolation: str = "linear",
        image_world2grid: Matrix | str | None = None,
        out_shape: Sequence[int] | NDArray[Any] | None = None,
        out_grid2world: Matrix | str | None = None,
    ) -> NDArray[Any]:
        """Warp an image with the map: for the result of a registration, a moving image onto the static grid.

        Parameters
        ----------
        image : (...)
            2-D or 3-D.
        interpolation : {"linear", "nearest"}
            Linear gives float32 and fades to zero over one voxel outside; nearest keeps integers exact, with zero
            outside and ties to the lower voxel.
        image_world2grid : (dim + 1, dim + 1) or "identity", optional
            World to voxel of `image`; that of its default grid when None.
        out_shape, out_grid2world : optional
            Grid of the result (voxel to world), the default grid when None.

        Raises
        ------
        UsageError
            When the interpolation is unknown or the image has the wrong number of axes.
        InputError
            When the map has no fields yet.
        """
        how = (interpolation, image_world2grid, out_shape, out_grid2world)
        return self._backwards(image, *how) if self.is_inverse else self._forwards(image, *how)

    def transform_inverse(
        self,
        image: NDArray[Any],
        interpolation: str = "linear",
        image_world2grid: Matrix | str | None = None,
        out_shape: Sequence[int] | NDArray[Any] | None = None,
        out_grid2world: Matrix | str | None = None,
    ) -> NDArray[Any]:
        """Warp an image with the inverse map; arguments as in `transform`."""
        how = (interpolation, image_world2grid, out_shape, out_grid2world)
        return self._forwards(image, *how) if self.is_inverse else self._backwards(image, *how)

    def _forwards(self, image: NDArray[Any], interpolation: str, to_image: Any, shape: Any, grid: Any) -> NDArray[Any]:
        world2grid = _matrix(to_image, self.codomain_world2grid, self.dim)
        aligned = _matrix(self.prealign, None, self.dim) @ _matrix(grid, self.domain_grid2world, self.dim)
        field = _field(self.forward, "forward")
        shape = _output_shape(shape, self.domain_shape)
        return self._pull(image, (field, aligned, world2grid), shape, interpolation)

    def _backwards(self, image: NDArray[Any], interpolation: str, to_image: Any, shape: Any, grid: Any) -> NDArray[Any]:
        world2grid = _matrix(to_image, self.domain_world2grid, self.dim) @ _matrix(self.prealign_inv, None, self.dim)
        aligned = _matrix(grid, self.codomain_grid2world, self.dim)
        field = _field(self.backward, "backward")
        shape = _output_shape(shape, self.codomain_shape)
        return self._pull(image, (field, aligned, world2grid), shape, interpolation)

    def _pull(
        self, image: NDArray[Any], path: tuple[Field, Matrix, Matrix], shape: tuple[int, ...], interpolation: str
    ) -> NDArray[Any]:
        """``out(i) = image(after (before i + field(before i)))``."""
        check_interpolation(interpolation)
        image = np.asarray(image)
        if image.ndim != self.dim:
            raise UsageError(f"image has {image.ndim} axes and the map {self.dim}; warp a series volume by volume")
        if interpolation == "linear" or image.dtype.kind == "f":
            image = image.astype(np.float32)
        out = np.empty(shape, image.dtype)
        for slab, voxels in slabs_of(shape):
            out[slab] = sample_at(image, self._follow(voxels, *path), interpolation, image.dtype)
        return out

    def _follow(self, points: NDArray[np.float64], field: Field, before: Matrix, after: Matrix) -> NDArray[np.float64]:
        world = map_voxels(before, points)
        voxels = map_voxels(_matrix(self.disp_world2grid, None, self.dim), world)
        return map_voxels(after, world + displacement_at(field, voxels))

    # -- points ---------------------------------------------------------------------------------------------

    def transform_points(
        self, points: Any, coord2world: Matrix | None = None, world2coord: Matrix | None = None
    ) -> Any:
        """Map points as `transform` pulls them: for the result of a registration, *static* points to moving ones.

        Parameters
        ----------
        points : (N, dim) or nibabel ArraySequence
            In world mm, or in the coordinates that `coord2world` maps from.
        coord2world, world2coord : (dim + 1, dim + 1), optional
            Applied before and after the map.

        Returns
        -------
        (N, dim) float64, or an ArraySequence like the given one
            Outside the fields the displacement is zero.
        """
        return self._map_points(points, coord2world, world2coord, self.is_inverse)

    def transform_points_inverse(
        self, points: Any, coord2world: Matrix | None = None, world2coord: Matrix | None = None
    ) -> Any:
        """Map points by the inverse map: for the result of a registration, *moving* points to static ones."""
        return self._map_points(points, coord2world, world2coord, not self.is_inverse)

    def _map_points(self, points: Any, before: Matrix | None, after: Matrix | None, backwards: bool) -> Any:
        if isinstance(points, ArraySequence):
            moved = points.copy()
            moved._data = self._map_points(points.get_data(), before, after, backwards).astype(points._data.dtype)
            return moved
        first, last = _matrix(before, None, self.dim), _matrix(after, None, self.dim)
        if backwards:
            field, last = _field(self.backward, "backward"), last @ _matrix(self.prealign_inv, None, self.dim)
        else:
            field, first = _field(self.forward, "forward"), _matrix(self.prealign, None, self.dim) @ first
        return self._follow(np.asarray(points, dtype=np.float64).T, field, first, last).T


def _output_shape(given: ArrayLike | None, default: tuple[int, ...] | None) -> tuple[int, ...]:
    chosen = default if given is None else given
    if chosen is None:
        raise UsageError("the map has no grid to sample on; give out_shape")
    return _shape(chosen)


def _shape(shape: ArrayLike) -> tuple[int, ...]:
    return tuple(int(n) for n in np.asarray(shape))


def _inverse(matrix: Matrix | None) -> Matrix | None:
    return None if matrix is None else np.asarray(np.linalg.inv(matrix), dtype=np.float64)


def _matrix(given: Matrix | str | None, default: Matrix | None, dim: int) -> Matrix:
    if isinstance(given, str):
        DiffeomorphicMap.interpret_matrix(given)
        return np.eye(dim + 1)
    chosen = default if given is None else given
    return np.eye(dim + 1) if chosen is None else np.asarray(chosen, dtype=np.float64)


def _field(field: Field | None, name: str) -> Field:
    if field is None:
        raise InputError(f"the map has no {name} field yet; call allocate() or set it")
    return field
