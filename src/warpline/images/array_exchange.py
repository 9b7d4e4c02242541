"""Arrays of other libraries, by DLPack, NumPy's or CUDA's array interface, as arrays of NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.errors import DeviceError, InputError

CPU, CUDA = 1, 2
"""Types of devices in DLPack."""

_READABLE = (CPU, 3, 13)
"""What NumPy reads where it lies: memory of the host, pinned or not, and memory that host and GPU share."""

_REASONS: tuple[tuple[Callable[[Any], bool], str], ...] = (
    (lambda array: bool(getattr(array, "requires_grad", False)), "requires gradients: detach() it"),
    (
        lambda array: str(getattr(array, "dtype", "")).endswith("bfloat16"),
        "holds bfloat16, a type that NumPy does not have: give it as float32",
    ),
)
"""Why an array cannot be read, and what to give in its place."""


def as_numpy(array: Any, name: str) -> NDArray[Any]:
    """The values of an array as an array of NumPy: the same memory where it is the host's, a copy where a GPU's.

    Parameters
    ----------
    array : array, object with ``__dlpack__``, ``__cuda_array_interface__`` or ``__array__``, or nested lists
        Of NumPy, CuPy, PyTorch, JAX or another library, of any shape.
    name : str
        What error messages call it.

    Raises
    ------
    InputError
        When it requires gradients, has a type that NumPy lacks, or lies on a device that cannot be read here.

    Examples
    --------
    >>> import numpy as np
    >>> given = np.zeros((4, 5), np.float32)
    >>> as_numpy(given, "fixed") is given
    True
    """
    if isinstance(array, (np.ndarray, list, tuple)) or np.isscalar(array):
        return np.asarray(_read(np.asarray, array, name))
    for applies, reason in _REASONS:
        if applies(array):
            raise InputError(f"{name}, a {_kind(array)}, {reason}")
    device, ordinal = _read(_device_of, array, name)
    if device == CUDA:
        return _from_gpu(array, ordinal, name)
    if device not in _READABLE:
        raise InputError(
            f"{name}, a {_kind(array)}, lies on a device of type {device} in DLPack; the CPU and NVIDIA GPUs can be "
            "read: give a copy on the CPU"
        )
    return np.asarray(_read(np.from_dlpack if hasattr(array, "__dlpack__") else np.asarray, array, name))


def _read(reader: Callable[[Any], Any], array: Any, name: str) -> Any:
    """What a reader makes of an array; an `InputError` of one line where the array refuses, in whatever way."""
    try:
        return reader(array)
    except Exception as error:
        why = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"{name}, a {_kind(array)}, gives no values ({why}); give a dense array of numbers, such as numpy.asarray "
            "makes"
        ) from None


def _device_of(array: Any) -> tuple[int, str]:
    """Type of the device in DLPack, and its ordinal, empty where that is not said."""
    if hasattr(array, "__dlpack_device__"):
        kind, ordinal = array.__dlpack_device__()
        return int(kind), str(int(ordinal))
    return (CUDA if hasattr(array, "__cuda_array_interface__") else CPU), ""


def _from_gpu(array: Any, ordinal: str, name: str) -> NDArray[Any]:
    from warpline.backends.cuda_exchange import to_host

    try:
        return to_host(array, ordinal)
    except DeviceError as error:
        raise InputError(f"{name} lies on a GPU that cannot be read: {error}, or give a copy on the CPU") from None


def _kind(array: Any) -> str:
    kind = type(array)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
