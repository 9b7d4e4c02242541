"""Vector images through transforms: interpolated, then reoriented by finite strain."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Backend
from warpline.errors import InputError
from warpline.images import Image
from warpline.resampling.slabs import on_threads, slabs
from warpline.resampling.warping import warp
from warpline.space import Transform
from warpline.space.dense import Doubles, Pullback, pull_back
from warpline.space.grid import Grid
from warpline.space.jacobian import pullback_jacobian

_ROUNDS = 12
"""Newton steps towards the nearest rotation; strains met in practice need six."""


def warp_vectors(
    image: Image,
    transform: Transform,
    grid: Grid,
    *,
    order: int = 1,
    outside: float = 0.0,
    backend: Backend,
    threads: int | None = None,
) -> Image:
    """Resample vectors, and rotate each by the rotation of the map at its voxel.

    With J the derivative of the map from fixed to moving world and R the rotation nearest to it,
    ``out(x) = R^T image(transform(x))``: finite strain (Alexander et al. 2001, doi:10.1109/42.963816). Lengths stay.

    Parameters
    ----------
    image : Image
        (I, J, K, 3), components along world R, A, S.
    order : int
        As in `warp`.
    transform, grid, outside, backend, threads
        See `warpline.resampling.Interpolation`; vectors are interpolated component by component.

    Returns
    -------
    Image
        float32 (order 0 of float vectors keeps their type), on `grid`, components along world R, A, S.

    Raises
    ------
    InputError
        When the image has not three components per voxel.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Affine, Grid, Image
    >>> from warpline.backends import select
    >>> from warpline.resampling import warp_vectors
    >>> vectors = np.zeros((4, 4, 1, 3), np.float32)
    >>> vectors[..., 0] = 1  # towards the right
    >>> grid = Grid((4, 4, 1), np.eye(4))
    >>> quarter_turn = Affine([[0, -1, 0, 3], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    >>> turned = warp_vectors(Image(vectors, grid), quarter_turn, grid, backend=select("numpy"))
    >>> (turned.data[1, 1, 0] + 0.0).round(3)
    array([ 0., -1.,  0.], dtype=float32)
    """
    if image.data.ndim != 4 or image.data.shape[3] != 3:
        raise InputError(f"{image.name} has shape {image.data.shape}; three components per voxel, (I, J, K, 3), needed")
    warped = warp(image, transform, grid, order=order, outside=outside, backend=backend)
    vectors = np.array(warped.data, dtype=np.result_type(warped.data, np.float32))
    mapping = pull_back(transform, grid, backend)
    slopes = _slopes(mapping, backend)

    def run(slab: slice) -> None:
        rotation = nearest_rotation(pullback_jacobian(mapping, slab, slopes))
        vectors[slab] = np.einsum("ab...,...a->...b", rotation, vectors[slab])

    on_threads(run, slabs(grid.shape), threads)
    return Image(vectors, grid.bare, image.name)


def _slopes(mapping: Pullback, backend: Backend) -> NDArray[np.float32]:
    """``d field_a / d i_b``, (3, 3, I, J, K); zero without a field."""
    if mapping.field is None:
        return np.zeros((3, 3, *mapping.grid.shape), np.float32)
    components = (np.ascontiguousarray(component) for component in mapping.field)
    with backend.session():
        return np.stack([backend.download(backend.gradient(backend.upload(one))) for one in components])


def nearest_rotation(matrices: Doubles) -> Doubles:
    """The orthogonal polar factor of matrices (3, 3, ...), a reflection where the determinant is negative.

    Newton's iteration ``R <- (R + R^-T) / 2`` (Higham 1986, doi:10.1137/0907079); where a matrix is singular it
    is left as it is.
    """
    rotation = matrices.copy()
    for _ in range(_ROUNDS):
        cofactors = np.stack([np.cross(rotation[(a + 1) % 3], rotation[(a + 2) % 3], axis=0) for a in range(3)])
        determinant = (rotation[0] * cofactors[0]).sum(axis=0)
        usable = np.abs(determinant) > np.finfo(np.float32).tiny
        rotation = np.where(usable, (rotation + cofactors / np.where(usable, determinant, 1)) / 2, rotation)
    return rotation
