"""The values of an image on a GPU, beside those on the host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from warpline.backends import Array


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
