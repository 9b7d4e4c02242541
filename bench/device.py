"""The device that a backend runs on, seen from outside: its name, its clock, its memory in use."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import psutil

import measure
from warpline.backends import Backend

Call = Callable[[], object]

FLUSHED, FLUSHES = 512 * 2**20, 4
"""Bytes read before each timed call on a GPU, and how often: no L2 holds them, and the host, which launches the call
meanwhile, is done before they are. They are read, not written: what was written would go to memory during the call."""


class Device(Protocol):
    """What can be measured on a device."""

    memory: dict[str, Callable[[], int]]
    """What is counted, to how to read the bytes in use now."""

    peer: str
    """The module that offers SciPy's `ndimage` there."""

    copied: int
    """Bytes of each of the two arrays by which copy bandwidth is measured."""

    def describe(self) -> dict[str, Any]:
        """Name, memory, versions."""
        ...

    def times(self, call: Call, repeats: int) -> list[float]:
        """Seconds of each of `repeats` calls, after one that is not counted."""
        ...

    def wait(self) -> None:
        """Return when everything launched so far is done."""
        ...


class Cpu:
    """The processor: wall clock; memory is what this process has resident."""

    peer, copied = "scipy.ndimage", 2**28

    def __init__(self, backend: Backend) -> None:
        self._name = backend.device
        self.memory = {"resident in this process": lambda: int(psutil.Process().memory_info().rss)}

    def describe(self) -> dict[str, Any]:
        return {"name": self._name, **measure.machine()}

    def times(self, call: Call, repeats: int) -> list[float]:
        call()
        return [_elapsed(call) for _ in range(repeats)]

    def wait(self) -> None:
        """Calls return when they are done."""


class Rehearsed(Cpu):
    """A GPU whose kernels are run on the processor: too slow for large arrays."""

    copied = 2**20


class Gpu:
    """The GPU of a backend: events on the current stream, L2 flushed before each; memory in use and in CuPy's pool."""

    peer, copied = "cupyx.scipy.ndimage", 2**30

    def __init__(self, backend: Backend) -> None:
        import cupy

        self._cupy, self._name = cupy, backend.device
        with backend.session():
            chosen = cupy.cuda.Device()
        self._ordinal = int(chosen.id)
        self._nvml = _nvml()
        self._handle = self._nvml and self._nvml.nvmlDeviceGetHandleByPciBusId(chosen.pci_bus_id)
        self._flushed: Any = None
        self.memory = {"all processes on the GPU": self._used_bytes, "CuPy's pool": self._pool_bytes}

    def describe(self) -> dict[str, Any]:
        facts = self._cupy.cuda.runtime.getDeviceProperties(self._ordinal)
        return {
            "name": self._name,
            "driver": str(self._nvml.nvmlSystemGetDriverVersion()) if self._nvml else "unknown",
            "cuda": self._cupy.cuda.runtime.runtimeGetVersion(),
            "cupy": self._cupy.__version__,
            "processors": int(facts["multiProcessorCount"]),
            "l2_bytes": int(facts["l2CacheSize"]),
            **measure.machine(),
        }

    def times(self, call: Call, repeats: int) -> list[float]:
        if self._flushed is None:
            self._flushed = self._cupy.zeros(FLUSHED // 4, np.float32)
            self._flushed.max()
        call()
        return [self._between_events(call) for _ in range(repeats)]

    def _between_events(self, call: Call) -> float:
        start, end = self._cupy.cuda.Event(), self._cupy.cuda.Event()
        for _ in range(FLUSHES):
            self._flushed.max()
        start.record()
        call()
        end.record()
        end.synchronize()
        return float(self._cupy.cuda.get_elapsed_time(start, end)) * 1e-3

    def wait(self) -> None:
        self._cupy.cuda.get_current_stream().synchronize()

    def _used_bytes(self) -> int:
        if self._nvml:
            return int(self._nvml.nvmlDeviceGetMemoryInfo(self._handle).used)
        with self._cupy.cuda.Device(self._ordinal):
            free, total = self._cupy.cuda.runtime.memGetInfo()
        return int(total - free)

    def _pool_bytes(self) -> int:
        with self._cupy.cuda.Device(self._ordinal):
            return int(self._cupy.get_default_memory_pool().total_bytes())


DEVICES: dict[str, Callable[[Backend], Device]] = {"numpy": Cpu, "numba": Cpu, "cuda": Gpu}
"""Name of a backend to what measures its device."""


def device_of(backend: Backend) -> Device:
    """What measures the device of a backend."""
    return DEVICES[backend.name](backend)


def _nvml() -> Any:
    """NVML's module, ready; None where it is not there."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # no package or no permission: each is an error of NVML's own
        return None
    return pynvml


def _elapsed(call: Call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def copy_bandwidth(backend: Backend, device: Device, repeats: int = 20) -> float:
    """Bytes per second, read and written, of a large copy on the device: the best of `repeats`."""
    count = device.copied // 4
    source, target = backend.zeros((count,)), backend.zeros((count,))

    def copy() -> None:
        target[...] = source

    return 2 * 4 * count / min(device.times(copy, repeats))
