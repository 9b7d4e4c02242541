"""An NVIDIA GPU through CuPy: selection, compilation, streams, captured graphs, error messages."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.backends.arrays import Array
from warpline.backends.cuda_launch import Function, Size
from warpline.backends.cuda_staging import Staging
from warpline.errors import DeviceError, DeviceLostError, DeviceMemoryError, UsageError
from warpline.extras import install_command

OPTIONS = ("-std=c++17", "-lineinfo")
INSTALL = f"{install_command('cuda12')} (or [cuda13] with driver 580 or newer)"
_ELSEWHERE = "or use backend='numba'"
POOL_SHARE = 0.25
"""Share of the GPU's memory that may stay unused in CuPy's pool between sessions; more is given back."""
STAGED_BYTES = 2**20
"""Arrays of at least so many bytes are downloaded through pinned buffers."""
OLDEST_CUPY = 14
"""Oldest major version that works: earlier ones do not pass None to kernels as a null pointer."""


def count_gpus() -> int:
    """GPUs of the driver, 0 without one; queries the driver itself, so that CuPy is not needed."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if hasattr(ctypes, "windll") else "libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    failed = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
    return 0 if failed else count.value


def why_unusable() -> str | None:
    """Why no GPU can be used here, with the remedy; None when one can."""
    if count_gpus() == 0:
        return f"no NVIDIA GPU with a working driver was found; `nvidia-smi` should list one, {_ELSEWHERE}"
    if importlib.util.find_spec("cupy") is None:
        return f"there is a GPU but no CuPy; {INSTALL}, {_ELSEWHERE}"
    try:
        cupy = _cupy()
        if int(cupy.__version__.partition(".")[0]) < OLDEST_CUPY:
            return f"CuPy {cupy.__version__} is too old, {OLDEST_CUPY} or newer is needed; {INSTALL}, {_ELSEWHERE}"
        usable = cupy.zeros(1, "float32").sum().item() == 0 if cupy.cuda.runtime.getDeviceCount() else False
    except Exception as error:
        return f"the GPU is there but CuPy cannot use it ({_first_line(error)}); {INSTALL}, {_ELSEWHERE}"
    return None if usable else f"CUDA offers no device to this process; check CUDA_VISIBLE_DEVICES, {_ELSEWHERE}"


def _cupy() -> Any:
    """CuPy, told to read its headers once for all kernels that it compiles, where the user has not said otherwise."""
    os.environ.setdefault("CUPY_NVRTC_USE_PCH", "1")
    import cupy

    return cupy


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


class GpuRuntime:
    """One GPU; see `warpline.backends.cuda_launch.Runtime`.

    Parameters
    ----------
    ordinal : int
        Index among the GPUs that this process may use.
    """

    def __init__(self, ordinal: int) -> None:
        self.xp = cupy = _cupy()
        self.ordinal = ordinal
        self._local = threading.local()
        self._device = cupy.cuda.Device(ordinal)
        facts = cupy.cuda.runtime.getDeviceProperties(ordinal)
        self.processors = int(facts["multiProcessorCount"])
        self._pool_bytes = int(POOL_SHARE * facts["totalGlobalMem"])
        self._staging = Staging(cupy, self._device)
        self.name = f"{facts['name'].decode()} (cuda:{ordinal}), {facts['totalGlobalMem'] / 2**30:.0f} GiB"

    @classmethod
    def open(cls, ordinal: str) -> GpuRuntime:
        """The GPU with an index, or the current one when it is empty.

        Raises
        ------
        UsageError
            When it is not a number.
        DeviceError
            When it cannot be used, or there are fewer GPUs.
        """
        if ordinal and not ordinal.isdecimal():
            raise UsageError(f"backend 'cuda:{ordinal}' names no GPU; use cuda, cuda:0, cuda:1 …")
        reason = why_unusable()
        if reason:
            raise DeviceError(f"backend 'cuda' cannot run: {reason}")
        cupy = _cupy()
        count = cupy.cuda.runtime.getDeviceCount()
        number = int(ordinal) if ordinal else int(cupy.cuda.Device().id)
        if number >= count:
            raise DeviceError(f"backend 'cuda:{number}' is not there: this process sees {count} GPU(s), from cuda:0")
        return cls(number)

    def compile(self, source: str, entry: str) -> Function:
        """The entry of a source, compiled by NVRTC once per device and cached by CuPy on disk; from any thread."""
        with self._device:
            function = self.xp.RawModule(code=source, options=OPTIONS, backend="nvrtc").get_function(entry)

        def launch(grid: Size, block: Size, arguments: Sequence[Any]) -> None:
            function(grid, block, tuple(arguments))

        return launch

    def to_host(self, array: Array, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Copy an array, to `out` or a new one, once all earlier work on the stream is done."""
        if array.nbytes < STAGED_BYTES:
            host: NDArray[Any] = self.xp.asnumpy(array)
            if out is None:
                return host
            out[...] = host
            return out
        out = np.empty(array.shape, array.dtype) if out is None else out
        self._staging.download(array, out)
        return out

    def to_host_later(self, array: Array) -> Callable[[], Any]:
        """Copy an array asynchronously through pinned memory."""
        cuda = self.xp.cuda
        memory = cuda.alloc_pinned_memory(array.nbytes)
        host = np.frombuffer(memory, array.dtype, array.size).reshape(array.shape)
        array.get(out=host, blocking=False)
        arrived = cuda.Event(disable_timing=True)
        arrived.record(cuda.get_current_stream())

        def wait() -> Any:
            arrived.synchronize()
            return host.copy()

        return wait

    def capture(self, step: Callable[[], None]) -> Callable[[], None]:
        """The launches of `step` on the current stream as one CUDA graph."""
        stream = self.xp.cuda.get_current_stream()
        stream.begin_capture()
        try:
            step()
        except BaseException:
            with suppress(Exception):  # ending a broken capture fails too; the first error is the cause
                stream.end_capture()
            raise
        graph = stream.end_capture()

        def replay() -> None:
            graph.launch(stream)

        return replay

    @contextmanager
    def session(self) -> Iterator[None]:
        """Context of work on this GPU, on the stream of the calling thread; see `_own_stream`.

        Raises
        ------
        DeviceMemoryError, DeviceLostError
            For errors of the device, also asynchronous ones.
        """
        cuda = self.xp.cuda
        try:
            with self._device, self._own_stream():
                yield
        except cuda.memory.OutOfMemoryError as error:
            raise DeviceMemoryError(self._out_of_memory(error)) from None
        except (cuda.runtime.CUDARuntimeError, cuda.driver.CUDADriverError) as error:
            raise self._failed(error) from error

    @contextmanager
    def _own_stream(self) -> Iterator[None]:
        """The stream of the calling thread, after what the thread has queued on other streams.

        No other thread uses it: CuPy reuses freed memory on the same stream at once, while earlier kernels may still
        read it. It does not synchronise with the default stream, whose use by another thread would break a capture.
        """
        cuda = self.xp.cuda
        before = cuda.Event(disable_timing=True)
        before.record(cuda.get_current_stream())
        stream = self._stream()
        try:
            stream.wait_event(before)
            with stream:
                yield
                stream.synchronize()
        except BaseException:
            self._local.stream = None
            with suppress(cuda.runtime.CUDARuntimeError):  # a failed device neither synchronises nor frees
                stream.synchronize()
                self.release()
            raise
        if self.xp.get_default_memory_pool().free_bytes() > self._pool_bytes:
            self.release()

    def _stream(self) -> Any:
        stream = getattr(self._local, "stream", None)
        if stream is None:
            stream = self._local.stream = self.xp.cuda.Stream(non_blocking=True)
        return stream

    def release(self) -> None:
        """Free the unused memory of CuPy's pool, which sessions leave there, up to `POOL_SHARE` of the GPU's."""
        with self._device:
            self.xp.get_default_memory_pool().free_all_blocks()

    def _failed(self, error: Exception) -> DeviceError:
        if re.search("out.?of.?memory", str(error), re.IGNORECASE):
            return DeviceMemoryError(self._out_of_memory(error))
        return DeviceLostError(
            f"{self.name} failed ({_first_line(error)}); start again in a new process, look for the cause with "
            f"nvidia-smi and in the system's log, {_ELSEWHERE}"
        )

    def _out_of_memory(self, error: Exception) -> str:
        free, total = self.xp.cuda.runtime.memGetInfo()
        return (
            f"out of memory on {self.name}: {_first_line(error)} {free / 2**20:.0f} of {total / 2**20:.0f} MiB are "
            f"free; run fewer registrations at once, end other programs on this GPU, crop the images, "
            f"register within less (--memory), {_ELSEWHERE}"
        )
