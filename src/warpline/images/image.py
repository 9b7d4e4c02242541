"""An image: an array on a grid."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warpline.errors import InputError
from warpline.images.array_exchange import as_numpy
from warpline.space.grid import Grid, Matrix, check_affine, lies_in_plane


@dataclass(frozen=True, eq=False)
class Image:
    """A volume, or a series of volumes, with its place in world space.

    Parameters
    ----------
    data : (I, J, K) or (I, J, K, T)
        Voxel values, indexed as in the file; a 2-D image has K = 1 and a flat grid.
    grid : Grid
        Shape and voxel-to-world matrix (RAS+ mm) of the first three axes.
    name : str
        What error messages call the image: its file name or the argument's name.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Image
    >>> image = Image.from_array(np.zeros((4, 5, 6), np.uint8), np.diag([2.0, 2.0, 2.0, 1.0]))
    >>> image.grid.shape, image.grid.flat
    ((4, 5, 6), False)
    >>> np.from_dlpack(image).shape
    (4, 5, 6)
    """

    data: NDArray[np.generic] = field(repr=False)
    grid: Grid
    name: str = "image"

    def __post_init__(self) -> None:
        if self.data.ndim not in (3, 4) or self.data.shape[:3] != self.grid.shape:
            raise InputError(f"{self.name}: array of shape {self.data.shape} does not fit grid {self.grid.shape}")

    @classmethod
    def from_array(cls, array: ArrayLike, affine: ArrayLike | None = None, name: str = "image") -> Image:
        """Wrap a 2-D, 3-D or 4-D array; `affine` (4, 4) or, for 2-D, (3, 3); identity when None.

        Either may be one of another library: see `warpline.images.array_exchange.as_numpy`.
        """
        data = as_numpy(array, name)
        affine = None if affine is None else as_numpy(affine, f"{name}: its affine")
        if affine is not None and affine.dtype.kind not in "biuf":
            raise InputError(f"{name}: its affine holds values of type {affine.dtype}; real numbers are needed")
        matrix = embed_affine(affine)
        flat = data.ndim == 2 and lies_in_plane(check_affine(matrix, f"{name}: its affine"))
        if data.ndim == 2:
            data = data[:, :, None]
        if data.ndim not in (3, 4):
            hint = "; of batches and channels give one volume" if data.ndim > 4 else ""
            raise InputError(f"{name} has {data.ndim} axes; 2, 3 or 4 are allowed{hint}")
        return cls(data, Grid(data.shape[:3], matrix, flat), name)

    @property
    def affine(self) -> Matrix:
        """Voxel to world (RAS+ mm), (4, 4)."""
        return self.grid.affine

    def __dlpack__(self, **options: Any) -> Any:
        """The voxel values for other libraries, without a copy: ``torch.from_dlpack(image)``; see DLPack."""
        data: NDArray[Any] = self.data
        return data.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        """Type and number of the device that holds the values in DLPack: the CPU."""
        return self.data.__dlpack_device__()


def embed_affine(affine: ArrayLike | None) -> Matrix:
    """A matrix (4, 4) for 3-D points, from one for 2-D or 3-D points.

    Parameters
    ----------
    affine : (3, 3) or (4, 4), optional
        Homogeneous; one of 2-D points leaves the third axis alone. The identity when None.

    Examples
    --------
    >>> from warpline.images import embed_affine
    >>> embed_affine([[2, 0, 5], [0, 3, 7], [0, 0, 1]])
    array([[2., 0., 0., 5.],
           [0., 3., 0., 7.],
           [0., 0., 1., 0.],
           [0., 0., 0., 1.]])
    """
    if affine is None:
        return np.eye(4)
    matrix = np.asarray(affine, dtype=np.float64)
    if matrix.shape != (3, 3):
        return matrix
    embedded = np.eye(4)
    embedded[np.ix_((0, 1, 3), (0, 1, 3))] = matrix
    return embedded
