"""Wall-clock time of named steps."""

from __future__ import annotations

import time

import pytest

from warpline.registration import clock
from warpline.registration.clock import Clock


@pytest.fixture
def seconds(monkeypatch):
    """A machine whose clock stands still but for what is added to this list."""
    passed = [100.0]
    monkeypatch.setattr(clock.time, "perf_counter", lambda: sum(passed))
    return passed


def test_a_step_takes_the_time_of_its_block(seconds):
    times = Clock()
    with times.step("read"):
        seconds.append(2.5)
    seconds.append(7)
    assert times.seconds == {"read": 2.5}


def test_a_step_that_runs_again_adds_up(seconds):
    times = Clock({"read": 1.0})
    for _ in range(2):
        with times.step("read"):
            seconds.append(3)
    assert times.seconds == {"read": 7.0}


def test_steps_are_listed_in_the_order_they_ended_in(seconds):
    times = Clock()
    with times.step("whole"), times.step("part"):
        seconds.append(1)
    assert list(times.seconds.items()) == [("part", 1), ("whole", 1)]


def test_real_time_passes():
    times, before = Clock(), time.perf_counter()
    with times.step("sleep"):
        time.sleep(0.01)
    assert 0.01 <= times.seconds["sleep"] <= time.perf_counter() - before


def test_a_step_that_fails_has_no_time(seconds):
    times = Clock()
    with pytest.raises(ValueError), times.step("read"):
        raise ValueError
    assert times.seconds == {}


def test_times_taken_elsewhere_add_up():
    times = Clock({"read": 1.0})
    times.add({"read": 2.0, "linear": 4.0})
    assert times.seconds == {"read": 3.0, "linear": 4.0}
