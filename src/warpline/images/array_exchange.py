"""Arrays of other libraries, by DLPack, NumPy's or CUDA's array interface, as arrays of NumPy, and of CuPy on a GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Array, Backend, requested_name
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
    return read(array, name)[0]


def read(array: Any, name: str) -> tuple[NDArray[Any], Array | None]:
    """What `as_numpy` gives of an array, and where it lies on a GPU, CuPy's view of it there.

    Parameters
    ----------
    array, name
        As for `as_numpy`.

    Raises
    ------
    InputError
        As `as_numpy`.
    """
    if isinstance(array, (np.ndarray, list, tuple)) or np.isscalar(array):
        return np.asarray(_read(np.asarray, array, name)), None
    device, _ = _checked_device(array, name)
    if device == CUDA:
        return _from_gpu(array, name)
    if device not in _READABLE:
        raise InputError(
            f"{name}, a {_kind(array)}, lies on a device of type {device} in DLPack; the CPU and NVIDIA GPUs can be "
            "read: give a copy on the CPU"
        )
    return np.asarray(_read(np.from_dlpack if hasattr(array, "__dlpack__") else np.asarray, array, name)), None


def view_on_gpu(array: Any, name: str) -> Array:
    """An array that lies on a GPU as one of CuPy, in the same memory.

    Parameters
    ----------
    array : object with ``__dlpack__`` or ``__cuda_array_interface__``
        Of PyTorch, JAX or another library.
    name : str
        What error messages call it.

    Raises
    ------
    InputError
        As `as_numpy`.
    """
    from warpline.backends.cuda_exchange import view

    _, ordinal = _checked_device(array, name)
    try:
        return _read(lambda given: view(given, ordinal), array, name)
    except DeviceError as error:
        raise _unreadable(name, error) from None


def nearest_backend(named: str | Backend | None, **images: Any) -> str | Backend | None:
    """The backend to ask `warpline.backends.select` for: where none was requested, the GPU that holds an image.

    Parameters
    ----------
    named : str or Backend, optional
        What was requested, as `warpline.backends.select` takes it.
    **images
        Images, arrays, pairs of an array and an affine, or paths, by the names of the arguments. Of several on
        different GPUs the first one counts.

    Raises
    ------
    InputError
        When an array does not say where it lies.

    Examples
    --------
    >>> import numpy as np
    >>> nearest_backend(None, fixed=np.zeros((4, 5)), moving="moving.nii.gz") is None
    True
    """
    if isinstance(named, str | None) and requested_name(named) == "auto":
        devices = (_read(_device_of, _array_of(image), name) for name, image in images.items())
        return next((f"cuda:{ordinal}" for device, ordinal in devices if device == CUDA and ordinal), named)
    return named


def wait_for_arrays(**images: Any) -> None:
    """Wait for what the calling thread has queued for arrays on a GPU; after that any thread may read them.

    Libraries order work by the current stream of a thread, of which another thread knows nothing.

    Parameters
    ----------
    **images
        As for `nearest_backend`.

    Raises
    ------
    InputError
        As `as_numpy`, of arrays on a GPU.
    """
    for name, image in images.items():
        if _read(_device_of, _array_of(image), name)[0] == CUDA:
            view_on_gpu(_array_of(image), name)


def _array_of(image: Any) -> Any:
    """The array of a pair of an array and an affine; else what is given."""
    return image[0] if isinstance(image, tuple) and image else image


def _checked_device(array: Any, name: str) -> tuple[int, str]:
    """What `_device_of` says; refused where the array cannot be read, wherever it lies."""
    for applies, reason in _REASONS:
        if applies(array):
            raise InputError(f"{name}, a {_kind(array)}, {reason}")
    device, ordinal = _read(_device_of, array, name)
    return device, ordinal


def _read(reader: Callable[[Any], Any], array: Any, name: str) -> Any:
    """What a reader makes of an array; an `InputError` of one line where the array refuses, in whatever way."""
    try:
        return reader(array)
    except DeviceError:
        raise
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


def _from_gpu(array: Any, name: str) -> tuple[NDArray[Any], Array]:
    from warpline.backends.cuda_exchange import to_host

    there = view_on_gpu(array, name)
    try:
        return to_host(there), there
    except DeviceError as error:
        raise _unreadable(name, error) from None


def _unreadable(name: str, error: DeviceError) -> InputError:
    return InputError(f"{name} lies on a GPU that cannot be read: {error}, or give a copy on the CPU")


def _kind(array: Any) -> str:
    kind = type(array)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
