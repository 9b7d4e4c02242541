"""Arrays of other libraries that lie on a GPU: seen by CuPy where they are, and copied to the host."""

from __future__ import annotations

from functools import cache
from typing import Any

from numpy.typing import NDArray

from warpline.backends.arrays import Array
from warpline.backends.cuda_device import GpuRuntime


def view(array: Any, ordinal: str = "") -> Array:
    """An array on a GPU as one of CuPy in the same memory, once all work that was queued for it is done.

    Parameters
    ----------
    array : object with ``__dlpack__`` or ``__cuda_array_interface__``
        Of CuPy, PyTorch, JAX, Numba or another library; it stays alive as long as the view.
    ordinal : str
        Index of the GPU among those that this process may use; the current one when empty.

    Raises
    ------
    DeviceError
        When CuPy, which reads the array, or the GPU cannot be used; it says what to do.
    """
    runtime = _runtime(ordinal)
    with runtime.session():
        return runtime.xp.from_dlpack(array) if hasattr(array, "__dlpack__") else runtime.xp.asarray(array)


def to_host(array: Array) -> NDArray[Any]:
    """A C-contiguous copy on the host of an array of CuPy, through pinned memory where it is large.

    Raises
    ------
    DeviceError
        When the GPU cannot be used; it says what to do.
    """
    runtime = _runtime(str(array.device.id))
    with runtime.session():
        return runtime.to_host(runtime.xp.ascontiguousarray(array))


@cache
def _runtime(ordinal: str) -> GpuRuntime:
    """A GPU, opened once, with the pinned memory that copies go through."""
    return GpuRuntime.open(ordinal)
