"""Choosing a GPU and telling its errors, with a CuPy that is only pretended; the real one: test_cuda_gpu.py."""

from __future__ import annotations

import os
import sys
import threading
import tomllib
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from warpline.backends import cuda_device
from warpline.backends.cuda_device import GpuRuntime
from warpline.errors import DeviceError, DeviceLostError, DeviceMemoryError, UsageError


class OutOfMemoryError(MemoryError):
    pass


class CUDARuntimeError(RuntimeError):
    pass


class CUDADriverError(RuntimeError):
    pass


class Stream:
    """Work is queued, and runs when somebody waits for it."""

    current: Stream

    def __init__(self):
        self.queue, self.capturing = [], False

    def __enter__(self):
        self.before, Stream.current = Stream.current, self

    def __exit__(self, *_):
        Stream.current = self.before

    def synchronize(self):
        while self.queue:
            self.queue.pop(0)()

    def wait_event(self, event):
        self.queue.insert(0, event.stream.synchronize)

    def begin_capture(self):
        self.capturing = True

    def end_capture(self):
        self.capturing = False
        raise RuntimeError("the capture has unjoined work")


class Event:
    def __init__(self, disable_timing):
        self.stream = None

    def record(self, stream):
        self.stream = stream


def queue(work):
    """As a launch of a kernel does."""
    Stream.current.queue.append(work)


class Device:
    def __init__(self, ordinal=0):
        self.id = ordinal

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


@pytest.fixture
def cupy(monkeypatch):
    """Two GPUs of 80 GiB."""
    facts = {"multiProcessorCount": 132, "name": b"NVIDIA H200", "totalGlobalMem": 80 * 2**30}
    Stream.current = Stream()

    def new_stream(non_blocking):
        fake.streams.append(Stream())
        return fake.streams[-1]

    def free():
        fake.freed += 1

    fake = SimpleNamespace(
        cuda=SimpleNamespace(
            Device=Device,
            Stream=new_stream,
            Event=Event,
            get_current_stream=lambda: Stream.current,
            memory=SimpleNamespace(OutOfMemoryError=OutOfMemoryError),
            runtime=SimpleNamespace(
                getDeviceCount=lambda: 2,
                getDeviceProperties=lambda _: facts,
                memGetInfo=lambda: (3 * 2**20, 80 * 2**30),
                CUDARuntimeError=CUDARuntimeError,
            ),
            driver=SimpleNamespace(CUDADriverError=CUDADriverError),
        ),
        get_default_memory_pool=lambda: SimpleNamespace(free_all_blocks=free, free_bytes=lambda: fake.held),
        freed=0,
        held=19 * 2**30,
        streams=[],
    )
    monkeypatch.setitem(sys.modules, "cupy", fake)
    monkeypatch.setattr(cuda_device, "why_unusable", lambda: None)
    return fake


def test_a_gpu_is_opened_by_number(cupy):
    runtime = GpuRuntime.open("1")
    assert runtime.name == "NVIDIA H200 (cuda:1), 80 GiB"
    assert runtime.ordinal == 1
    assert runtime.processors == 132
    assert GpuRuntime.open("").name == "NVIDIA H200 (cuda:0), 80 GiB"


@pytest.mark.parametrize(("given", "kept"), [(None, "1"), ("0", "0")])
def test_cupy_reads_its_headers_once_unless_told_otherwise(cupy, monkeypatch, given, kept):
    monkeypatch.setenv("CUPY_NVRTC_USE_PCH", given or "")
    if given is None:
        monkeypatch.delenv("CUPY_NVRTC_USE_PCH")
    GpuRuntime(0)
    assert os.environ["CUPY_NVRTC_USE_PCH"] == kept


def test_a_gpu_that_is_not_there_or_no_number_is_refused(cupy):
    with pytest.raises(DeviceError, match=r"'cuda:2' is not there: this process sees 2 GPU\(s\)"):
        GpuRuntime.open("2")
    with pytest.raises(UsageError, match="'cuda:first' names no GPU"):
        GpuRuntime.open("first")


def test_a_session_follows_earlier_work_and_finishes_its_own(cupy):
    done = []
    queue(lambda: done.append("before"))
    with GpuRuntime.open("0").session():
        assert Stream.current is cupy.streams[0]
        queue(lambda: done.append("within"))
        assert done == [], "nothing waits within a session"
    assert done == ["before", "within"]


def test_each_thread_keeps_a_stream_of_its_own(cupy):
    runtime = GpuRuntime.open("0")

    def session():
        with runtime.session():
            pass

    for _ in range(2):
        session()
    assert len(cupy.streams) == 1
    other = threading.Thread(target=session)
    other.start()
    other.join()
    assert (len(cupy.streams), cupy.freed) == (2, 0)


def test_memory_beyond_what_may_be_kept_goes_back(cupy):
    runtime = GpuRuntime.open("0")
    cupy.held = 21 * 2**30
    with runtime.session():
        assert cupy.freed == 0
    assert cupy.freed == 1
    runtime.release()
    assert cupy.freed == 2


def test_the_stream_of_a_session_that_failed_is_not_used_again(cupy):
    runtime, done = GpuRuntime.open("0"), []
    with pytest.raises(ZeroDivisionError), runtime.session():
        queue(lambda: done.append("within"))
        _ = 1 // 0
    assert done == ["within"]
    with runtime.session():
        pass
    assert (len(cupy.streams), cupy.freed) == (2, 1)


def test_what_breaks_a_capture_is_not_hidden_by_its_end(cupy):
    def step():
        raise OutOfMemoryError("no memory")

    with pytest.raises(OutOfMemoryError, match="no memory"):
        GpuRuntime.open("0").capture(step)
    assert not Stream.current.capturing


def test_out_of_memory_names_the_bytes_and_the_remedy(cupy):
    with pytest.raises(DeviceError) as raised, GpuRuntime.open("0").session():
        raise OutOfMemoryError("Out of memory allocating 5,000 bytes (allocated so far: 1 bytes).")
    said = str(raised.value)
    for part in ("NVIDIA H200", "allocating 5,000 bytes", "3 of 81920 MiB are free", "backend='numba'"):
        assert part in said
    assert cupy.freed == 1


@pytest.mark.parametrize("edge", ["__enter__", "__exit__"])
def test_a_failure_at_either_end_of_a_session_is_a_device_error(cupy, monkeypatch, edge):
    def fail(*_):
        raise CUDARuntimeError("cudaErrorIllegalAddress")

    runtime = GpuRuntime.open("0")
    monkeypatch.setattr(Device, edge, fail)
    with pytest.raises(DeviceLostError, match="new process"), runtime.session():
        pass


def test_the_extras_ask_for_the_oldest_cupy_that_works():
    project = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text())["project"]
    asked = [need for name in ("cuda12", "cuda13") for need in project["optional-dependencies"][name] if "cupy" in need]
    assert len(asked) == 2
    assert all(f">={cuda_device.OLDEST_CUPY}," in need for need in asked)


@pytest.mark.parametrize(
    "error",
    [
        CUDARuntimeError("cudaErrorMemoryAllocation: out of memory"),
        CUDADriverError("CUDA_ERROR_OUT_OF_MEMORY: out of memory"),
    ],
)
def test_memory_outside_of_cupys_pool_can_be_short_too(cupy, error):
    with pytest.raises(DeviceMemoryError, match="3 of 81920 MiB are free"), GpuRuntime.open("0").session():
        raise error


def test_a_failed_device_is_named_and_its_error_not_hidden(cupy, monkeypatch):
    def fail():
        raise CUDARuntimeError("cudaErrorIllegalAddress: an illegal memory access was encountered")

    monkeypatch.setattr(cupy, "get_default_memory_pool", fail)
    message = r"H200 \(cuda:0\), 80 GiB failed \(cudaErrorIllegalAddress.*new process"
    with pytest.raises(DeviceLostError, match=message), GpuRuntime.open("0").session():
        fail()


def test_an_old_cupy_is_refused(cupy, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(cuda_device, "count_gpus", lambda: 1)
    monkeypatch.setattr(cuda_device.importlib.util, "find_spec", lambda _: True)
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(__version__="13.6.0"))
    assert "CuPy 13.6.0 is too old, 14 or newer is needed; pip install" in cuda_device.why_unusable()


@contextmanager
def no_library(*_):
    raise OSError


def test_without_the_drivers_library_there_are_no_gpus(monkeypatch):
    monkeypatch.setattr(cuda_device.ctypes, "CDLL", no_library)
    assert cuda_device.count_gpus() == 0


def test_a_driver_that_fails_offers_no_gpus(monkeypatch):
    driver = SimpleNamespace(cuInit=lambda _: 100, cuDeviceGetCount=lambda _: 0)
    monkeypatch.setattr(cuda_device.ctypes, "CDLL", lambda _: driver)
    assert cuda_device.count_gpus() == 0


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("count", [10, cuda_device.STAGED_BYTES])
def test_arrays_are_downloaded_whole_whatever_their_size(cupy, monkeypatch, count, given):
    staged = []

    def download(array, out):
        staged.append(len(array))
        out[...] = array

    runtime, held = GpuRuntime.open("0"), np.arange(count, dtype=np.float32)
    cupy.asnumpy = np.array
    monkeypatch.setattr(runtime, "_staging", SimpleNamespace(download=download))
    out = np.zeros(2 * count, np.float32)[::2] if given else None
    found = runtime.to_host(held, out)
    np.testing.assert_array_equal(found, held)
    assert found is out if given else found is not held
    assert staged == ([count] if held.nbytes >= cuda_device.STAGED_BYTES else [])
