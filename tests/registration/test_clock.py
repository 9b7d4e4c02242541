"""Seconds of the steps of a run."""

from __future__ import annotations

import time

from warpline.registration.clock import Clock


def test_a_step_that_runs_twice_adds_up(monkeypatch):
    ticks = iter([0.0, 2.0, 10.0, 13.0, 20.0, 21.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(ticks))
    clock = Clock()
    for name in ("read", "linear", "read"):
        with clock.step(name):
            pass
    assert clock.seconds == {"read": 3.0, "linear": 3.0}
