"""A CuPy that pretends: `GpuRuntime` works on it without a GPU, and it counts what a registration costs the host.

Kernels run on the CPU, at once; arrays are those of `two_worlds`. Memory comes from a pool that splits and joins its
chunks as CuPy's does, so that what it asks of the driver is counted too.
"""

from __future__ import annotations

import sys
import threading
import traceback
import weakref
from collections import Counter
from contextlib import contextmanager
from types import SimpleNamespace
from unittest import mock

import numpy as np

from cuda_on_cpu.emulated import EmulatedRuntime
from cuda_on_cpu.two_worlds import DeviceArray, TwoWorldsRuntime, kernel_argument
from warpline.backends import cuda_device, cuda_exchange

ROUNDED = 512
"""Bytes to whose multiples CuPy rounds what is asked for."""
LARGE = 2**20
"""Bytes from which on a copy is a large one."""


class Chunk:
    """A part of what the driver gave; `before` and `after` are its neighbours."""

    def __init__(self, size, before=None, after=None):
        self.size, self.before, self.after, self.free = size, before, after, False


class Pool:
    """Memory as CuPy's pool hands it out: the smallest free chunk that is large enough, cut to size."""

    def __init__(self):
        self.from_driver, self._free = 0, []

    def hand_out(self, array):
        """Memory for an array, until it goes."""
        chunk = self._chunk(-(-max(array.nbytes, 1) // ROUNDED) * ROUNDED)
        weakref.finalize(array, self._take_back, chunk)

    def _chunk(self, size):
        fits = [chunk for chunk in self._free if chunk.size >= size]
        if not fits:
            self.from_driver += 1
            return Chunk(size)
        chunk = min(fits, key=lambda one: one.size)
        self._free.remove(chunk)
        chunk.free = False
        if chunk.size > size:
            rest = Chunk(chunk.size - size, chunk, chunk.after)
            if chunk.after is not None:
                chunk.after.before = rest
            chunk.after, chunk.size = rest, size
            self._give(rest)
        return chunk

    def _take_back(self, chunk):
        if chunk.after is not None and chunk.after.free:
            self._free.remove(chunk.after)
            self._join(chunk, chunk.after)
        if chunk.before is not None and chunk.before.free:
            self._free.remove(chunk.before)
            chunk = self._join(chunk.before, chunk)
        self._give(chunk)

    def _join(self, first, second):
        first.size, first.after = first.size + second.size, second.after
        if second.after is not None:
            second.after.before = first
        return first

    def _give(self, chunk):
        chunk.free = True
        self._free.append(chunk)


class Ledger:
    """What the host did: waits with nothing left to do for the device, looks at what it has left behind, large copies.

    Attributes
    ----------
    waits, looks : Counter
        Places in the sources to how often the host waited there; while it looks, later work is queued already.
    uploads, pinned, pageable : list of int
        Bytes of large copies.
    pool, pinned_pool : Pool
        Memory of the device and pinned memory of the host.
    """

    def __init__(self):
        self.pool, self.pinned_pool, self.queued, self._done = Pool(), Pool(), 0, 0
        self.clear()

    def clear(self):
        """Start counting."""
        self.waits, self.looks = Counter(), Counter()
        self.uploads, self.pinned, self.pageable = [], [], []
        self.pool.from_driver = self.pinned_pool.from_driver = 0

    def made(self, array):
        """An array of the device, or a view of one."""
        self.queued += 1
        if array.base is None:
            self.pool.hand_out(array)

    def wait(self, since=None):
        """The thread that registers waits for what was queued before `since`, or for everything."""
        if threading.current_thread() is not threading.main_thread():
            return
        looks = since is not None and since < self.queued
        if since is None or since > self._done:
            (self.looks if looks else self.waits)[_place()] += 1
        self._done = max(self._done, self.queued if since is None else since)

    def copied(self, kind, nbytes):
        if nbytes >= LARGE:
            getattr(self, kind).append(nbytes)


def _place():
    frames = [frame for frame in traceback.extract_stack() if "/src/warpline/" in frame.filename]
    inner = [frame for frame in frames if "/backends/" not in frame.filename] or frames
    return " < ".join(f"{f.filename.rpartition('/')[2]}:{f.lineno}" for f in inner[:-3:-1])


class Event:
    def __init__(self, ledger):
        self._ledger = ledger

    def record(self, stream=None):
        self._at = self._ledger.queued

    def synchronize(self):
        self._ledger.wait(self._at)


class Stream:
    def __init__(self, cupy):
        self._cupy = cupy

    def __enter__(self):
        self._before, self._cupy.current = self._cupy.current, self

    def __exit__(self, *_):
        self._cupy.current = self._before

    def synchronize(self):
        self._cupy.ledger.wait(self._cupy.ledger.queued)

    def wait_event(self, event):
        pass

    def begin_capture(self):
        DeviceArray.recorded = []

    def end_capture(self):
        calls, DeviceArray.recorded = DeviceArray.recorded, None
        return SimpleNamespace(launch=lambda _: self._replay(calls))

    def _replay(self, calls):
        self._cupy.ledger.queued += 1
        for call in calls:
            call()


class Device:
    def __init__(self, ordinal=0):
        self.id = ordinal

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


class Tensor:
    """An array of another library on a GPU, as PyTorch has them: DLPack, and nothing of CuPy's."""

    def __init__(self, held, ordinal=0):
        self.held, self.ordinal = held, ordinal

    def __dlpack_device__(self):
        return (2, self.ordinal)

    def __dlpack__(self, *, stream=None, max_version=None):
        return SimpleNamespace(held=self.held, ordinal=self.ordinal)


class Cupy:
    """The module; put it into ``sys.modules`` as "cupy" while a `GpuRuntime` is made."""

    __version__ = "14.0.0"
    ndarray = DeviceArray

    def __init__(self):
        self.ledger, self._runtime = Ledger(), EmulatedRuntime()
        self.current = Stream(self)
        facts = {"multiProcessorCount": 4, "name": b"pretended GPU", "totalGlobalMem": 80 * 2**30}
        self.cuda = SimpleNamespace(
            Device=Device,
            Stream=lambda non_blocking: Stream(self),
            Event=lambda **_: Event(self.ledger),
            get_current_stream=lambda: self.current,
            alloc_pinned_memory=self._pinned,
            memory=SimpleNamespace(OutOfMemoryError=MemoryError),
            runtime=SimpleNamespace(
                getDeviceProperties=lambda _: facts, getDeviceCount=lambda: 2, CUDARuntimeError=OSError
            ),
            driver=SimpleNamespace(CUDADriverError=OSError),
        )

    def __enter__(self):
        self._before, sys.modules["cupy"] = sys.modules.get("cupy"), self
        DeviceArray.ledger = self.ledger
        return self

    def __exit__(self, *_):
        DeviceArray.ledger = None
        del sys.modules["cupy"]
        if self._before is not None:
            sys.modules["cupy"] = self._before

    def array(self, array, order="C"):
        self.ledger.copied("uploads", np.asarray(array).nbytes)
        return TwoWorldsRuntime.xp.array(array, order)

    empty = staticmethod(TwoWorldsRuntime.xp.empty)
    zeros = staticmethod(TwoWorldsRuntime.xp.zeros)
    ascontiguousarray = staticmethod(TwoWorldsRuntime.xp.ascontiguousarray)

    def asarray(self, array):
        return array

    def from_dlpack(self, tensor):
        """An array in the memory of the tensor."""
        capsule = tensor.__dlpack__(stream=id(self.current))
        found = DeviceArray(capsule.held[...])
        found.device = SimpleNamespace(id=capsule.ordinal)
        return found

    def asnumpy(self, array):
        self.ledger.wait()
        self.ledger.copied("pageable", array.nbytes)
        return np.array(array.held)

    def get_default_memory_pool(self):
        return SimpleNamespace(free_bytes=lambda: 0, free_all_blocks=lambda: None)

    def RawModule(self, code, options, backend):
        def get_function(entry):
            launch = self._runtime.compile(code, entry)

            def function(grid, block, arguments):
                given = [kernel_argument(argument) for argument in arguments]
                if DeviceArray.recorded is not None:
                    DeviceArray.recorded.append(lambda: launch(grid, block, given))
                    return
                self.ledger.queued += 1
                launch(grid, block, given)

            return function

        return SimpleNamespace(get_function=get_function)

    def _pinned(self, nbytes):
        memory = np.zeros(nbytes, np.uint8)
        self.ledger.pinned_pool.hand_out(memory)
        return memory


@contextmanager
def two_gpus():
    """A machine with two GPUs, and the module that pretends to be its CuPy."""
    with mock.patch.object(cuda_device, "why_unusable", lambda: None), Cupy() as cupy:
        cuda_exchange._runtime.cache_clear()
        yield cupy
    cuda_exchange._runtime.cache_clear()
