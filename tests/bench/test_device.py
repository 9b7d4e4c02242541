"""How a call on a GPU is bracketed, with a module in place of CuPy that notes what it is asked to do."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from device import FLUSHED, FLUSHES, Gpu


class Recorder:
    """The parts of CuPy that a measured call touches."""

    def __init__(self):
        self.asked = []
        gpu = SimpleNamespace(id=0, pci_bus_id="none")
        self.cuda = SimpleNamespace(Device=lambda: gpu, Event=self._event, get_elapsed_time=lambda start, end: 2.5)

    def _event(self):
        return SimpleNamespace(record=lambda: self.asked.append("event"), synchronize=lambda: None)

    def zeros(self, count, dtype):
        self.asked.append(f"zeros of {count * dtype().itemsize} bytes")
        return SimpleNamespace(max=lambda: self.asked.append("read"), fill=lambda _: self.asked.append("write"))


@pytest.fixture
def asked(monkeypatch):
    """What is asked of CuPy."""
    recorder = Recorder()
    monkeypatch.setitem(sys.modules, "cupy", recorder)
    monkeypatch.setitem(sys.modules, "pynvml", None)
    return recorder.asked


def test_the_cache_is_emptied_by_reading_before_every_call(asked):
    gpu = Gpu(SimpleNamespace(device="GPU", session=nullcontext))
    assert gpu.times(lambda: asked.append("call"), 2) == [0.0025, 0.0025]
    once = ["read"] * FLUSHES + ["event", "call", "event"]
    assert asked == [f"zeros of {FLUSHED} bytes", "read", "call", *once, *once]
