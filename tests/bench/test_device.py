"""How a call on a GPU is bracketed, with a module in place of CuPy that notes what it is asked to do."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from device import FLUSHED, FLUSHES, Gpu


class Recorder:
    """The parts of CuPy that a measured call touches."""

    def __init__(self):
        self.asked = []
        self.cuda = SimpleNamespace(Event=self._event, get_elapsed_time=lambda start, end: 2.5)

    def _event(self):
        return SimpleNamespace(record=lambda: self.asked.append("event"), synchronize=lambda: None)

    def zeros(self, count, dtype):
        self.asked.append(f"zeros of {count * dtype().itemsize} bytes")
        return SimpleNamespace(max=lambda: self.asked.append("read"), fill=lambda _: self.asked.append("write"))


@pytest.fixture
def gpu():
    made = object.__new__(Gpu)
    made._cupy, made._flushed = Recorder(), None
    return made


def test_the_cache_is_emptied_by_reading_before_every_call(gpu):
    asked = gpu._cupy.asked
    assert gpu.times(lambda: asked.append("call"), 2) == [0.0025, 0.0025]
    once = ["read"] * FLUSHES + ["event", "call", "event"]
    assert asked == [f"zeros of {FLUSHED} bytes", "read", "call", *once, *once]
