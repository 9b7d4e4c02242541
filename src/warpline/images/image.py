"""An image: an array on a grid, whose values may be on a GPU as well."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warpline.backends import Array, Backend
from warpline.errors import InputError
from warpline.images.array_exchange import CPU, CUDA, as_numpy, read
from warpline.space.grid import Grid, Matrix, check_affine, lies_in_plane


@dataclass(frozen=True, eq=False)
class GpuValues:
    """Values of an image in the memory of a GPU, such as those of a tensor that was given.

    Parameters
    ----------
    array : CuPy array, of the shape and type of `host`, of any strides
        Nobody may write to it: it can be the memory of a tensor of the user.
    ordinal : int
        Index of the GPU among those that this process may use.
    host : NDArray
        The copy on the host. Only the image that holds this very array has these values: one that is made of it with
        other values has none on the GPU.
    """

    array: Array
    ordinal: int
    host: NDArray[Any]


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
    on_gpu : GpuValues, optional
        The same values on a GPU, where the image was made of an array there or computed there of such an image. An
        image that is made of this one with other data has none, nor has a copy or a pickled one.

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
    on_gpu: GpuValues | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.on_gpu is not None and self.on_gpu.host is not self.data:
            object.__setattr__(self, "on_gpu", None)
        if self.data.ndim not in (3, 4) or self.data.shape[:3] != self.grid.shape:
            raise InputError(f"{self.name}: array of shape {self.data.shape} does not fit grid {self.grid.shape}")

    @classmethod
    def from_array(cls, array: ArrayLike, affine: ArrayLike | None = None, name: str = "image") -> Image:
        """Wrap a 2-D, 3-D or 4-D array; `affine` (4, 4) or, for 2-D, (3, 3); identity when None.

        Either may be one of another library: see `warpline.images.array_exchange.as_numpy`. Of an array on a GPU there
        is a copy on the host, `data`, and the array itself, `on_gpu`: nobody may write to it while the image is in use.
        """
        data, there = read(array, name)
        affine = None if affine is None else as_numpy(affine, f"{name}: its affine")
        if affine is not None and affine.dtype.kind not in "biuf":
            raise InputError(f"{name}: its affine holds values of type {affine.dtype}; real numbers are needed")
        matrix = embed_affine(affine)
        flat = data.ndim == 2 and lies_in_plane(check_affine(matrix, f"{name}: its affine"))
        if data.ndim == 2:
            data, there = data[:, :, None], None if there is None else there[:, :, None]
        if data.ndim not in (3, 4):
            hint = "; of batches and channels give one volume" if data.ndim > 4 else ""
            raise InputError(f"{name} has {data.ndim} axes; 2, 3 or 4 are allowed{hint}")
        on_gpu = None if there is None else GpuValues(there, int(there.device.id), data)
        return cls(data, Grid(data.shape[:3], matrix, flat), name, on_gpu)

    @property
    def affine(self) -> Matrix:
        """Voxel to world (RAS+ mm), (4, 4)."""
        return self.grid.affine

    def values_on(self, backend: Backend) -> Array | None:
        """The values where a backend computes, without a copy, of any strides; None where they have to be uploaded.

        Nobody may write to them.
        """
        return None if self.on_gpu is None or self.on_gpu.ordinal != backend.ordinal else self.on_gpu.array

    def with_values(self, data: NDArray[Any], grid: Grid, there: Array | None = None) -> Image:
        """An image of this name with other values on a grid; `there` are the same on the GPU of this image."""
        on_gpu = None if there is None or self.on_gpu is None else GpuValues(there, self.on_gpu.ordinal, data)
        return Image(data, grid, self.name, on_gpu)

    def __dlpack__(self, **options: Any) -> Any:
        """The voxel values for other libraries, without a copy: ``torch.from_dlpack(image)``; see DLPack.

        Those on the GPU where there are some, unless the CPU is asked for (``dl_device``). Work of the ``stream`` that
        is given comes after all that made them.
        """
        data: Any = self.data if self.on_gpu is None else self.on_gpu.array
        if (options.get("dl_device") or (None,))[0] == CPU:
            data, options = self.data, {key: options[key] for key in options if key not in ("dl_device", "stream")}
        return data.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        """Type and number of the device that holds the values in DLPack: a GPU where they are on one, else the CPU."""
        return self.data.__dlpack_device__() if self.on_gpu is None else (CUDA, self.on_gpu.ordinal)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        """The voxel values on the GPU, for libraries without DLPack; an image of the host has no such attribute."""
        if self.on_gpu is None:
            raise AttributeError(f"{self.name} is an image of the host: it has no __cuda_array_interface__")
        interface: dict[str, Any] = self.on_gpu.array.__cuda_array_interface__
        return interface

    def __getstate__(self) -> dict[str, Any]:
        """All but the values on a GPU, which another process could not read."""
        return {**self.__dict__, "on_gpu": None}


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
