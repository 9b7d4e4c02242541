"""Backends: NumPy, numba or CUDA, chosen once by name and passed on as an argument."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import sys
from functools import cache
from typing import TYPE_CHECKING, Any

from warpline.errors import DeviceError, UsageError

if TYPE_CHECKING:
    from warpline.backends.arrays import Array
    from warpline.backends.interface import Backend

__all__ = ["BACKENDS", "Array", "Backend", "gpu_works", "requested_name", "select", "thread_count"]

BACKENDS = {
    "numpy": "warpline.backends.numpy_backend",
    "numba": "warpline.backends.numba_backend",
    "cuda": "warpline.backends.cuda_backend",
}
"""Name to module; the module has a function ``create(threads, ordinal) -> Backend``."""

_HOMES = {"Array": "warpline.backends.arrays", "Backend": "warpline.backends.interface"}
"""Names that are imported when they are first used: a help text lists `BACKENDS` without NumPy."""

_log = logging.getLogger(__name__)


def select(name: str | Backend | None = None, threads: int | None = None) -> Backend:
    """The backend called `name`.

    Parameters
    ----------
    name : {"auto", "numpy", "numba", "cuda", "cuda:N"}, optional
        ``cuda:1`` is the second GPU. None reads ``WARPLINE_BACKEND``, else means ``auto``: cuda where there is a GPU,
        else numba where it is installed, else numpy; a GPU that is present but unusable is logged once, with the
        remedy. A backend object is returned as it is.
    threads : int, optional
        CPU threads; None reads ``WARPLINE_THREADS``, else uses every core this process may use.

    Raises
    ------
    UsageError
        When the name is not known.
    DeviceError
        When the backend was requested by name and cannot run here.

    Examples
    --------
    >>> from warpline.backends import select
    >>> backend = select("numpy")
    >>> backend.name, backend.device
    ('numpy', 'CPU, 1 thread')
    """
    if name is not None and not isinstance(name, str):
        return name
    wanted = requested_name(name)
    if wanted == "auto":
        wanted = _best_available()
    kind, colon, ordinal = wanted.partition(":")
    if kind not in BACKENDS or (colon and kind != "cuda"):
        raise UsageError(f"backend {wanted!r} is unknown; choose from auto, {', '.join(BACKENDS)}, cuda:N")
    if kind == "numba" and importlib.util.find_spec("numba") is None:
        raise DeviceError("backend 'numba' needs numba; pip install numba, or use backend='numpy'")
    if kind == "numba" and BACKENDS[kind] not in sys.modules:
        from warpline.backends import numba_cache

        numba_cache.choose_cache_folder()
    module = importlib.import_module(BACKENDS[kind])
    backend: Backend = module.create(thread_count(threads), ordinal)
    return backend


def requested_name(name: str | None) -> str:
    """The name of the requested backend: the argument, else ``WARPLINE_BACKEND``, else ``auto``.

    Parameters
    ----------
    name : str or None
        As `select` takes it.

    Examples
    --------
    >>> from warpline.backends import requested_name
    >>> requested_name("numba")
    'numba'
    """
    return name or os.environ.get("WARPLINE_BACKEND") or "auto"


def thread_count(threads: int | None = None) -> int:
    """CPU threads to use: the argument, else ``WARPLINE_THREADS``, else every core this process may use.

    Parameters
    ----------
    threads : int, optional
        As `select` takes it.

    Raises
    ------
    UsageError
        When it is no whole number of at least 1.

    Examples
    --------
    >>> from warpline.backends import thread_count
    >>> thread_count(3)
    3
    """
    given = os.environ.get("WARPLINE_THREADS") if threads is None else threads
    if given is None or given == "":
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        count = int(given)
    except ValueError:
        count = 0
    if count < 1:
        raise UsageError(f"threads (or WARPLINE_THREADS) is {given!r}; a whole number of at least 1 is needed")
    return count


@cache
def gpu_works() -> bool:
    """Whether there is a usable GPU; one that is present but unusable is logged once, with the remedy.

    Examples
    --------
    >>> from warpline.backends import gpu_works, select
    >>> backend = select("cuda" if gpu_works() else "numpy")
    >>> backend.on_host == (not gpu_works())
    True
    """
    from warpline.backends import cuda_device

    if not cuda_device.count_gpus():
        return False
    reason = cuda_device.why_unusable()
    if reason is not None:
        _log.warning("running on the CPU: %s", reason)
    return reason is None


@cache
def _best_available() -> str:
    if gpu_works():
        return "cuda"
    if importlib.util.find_spec("numba") is not None:
        return "numba"
    _log.warning("numba is not installed: using the slow numpy backend; pip install numba")
    return "numpy"


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'warpline.backends' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
