"""Arrays of other libraries that lie on a GPU, copied to the host."""

from __future__ import annotations

from functools import cache
from typing import Any

from numpy.typing import NDArray

from warpline.backends.cuda_device import GpuRuntime


def to_host(array: Any, ordinal: str = "") -> NDArray[Any]:
    """A copy on the host of an array on a GPU, once all work that was queued for it is done.

    Parameters
    ----------
    array : object with ``__dlpack__`` or ``__cuda_array_interface__``
        Of CuPy, PyTorch, JAX, Numba or another library.
    ordinal : str
        Index of the GPU among those that this process may use; the current one when empty.

    Raises
    ------
    DeviceError
        When CuPy, which reads the array, or the GPU cannot be used; it says what to do.
    """
    runtime = _runtime(ordinal)
    with runtime.session():
        found = runtime.xp.from_dlpack(array) if hasattr(array, "__dlpack__") else runtime.xp.asarray(array)
        return runtime.to_host(runtime.xp.ascontiguousarray(found))


@cache
def _runtime(ordinal: str) -> GpuRuntime:
    """A GPU, opened once, with the pinned memory that copies go through."""
    return GpuRuntime.open(ordinal)
