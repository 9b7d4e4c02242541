from __future__ import annotations

import io

import pytest
from rich.console import Console

from warpline.cli.progress import SILENCE, Bar, Lines
from warpline.registration.progress import Progress


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def step(level, iteration, energy=-0.5):
    return Progress(stage="syn", level=level, levels=2, iteration=iteration, iterations=10, energy=energy)


def test_lines_speak_once_per_level(clock):
    heard = []
    lines = Lines(heard.append, clock)
    for level, iteration in [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)]:
        clock.now += 1
        lines(step(level, iteration))
    lines.close()
    assert heard == [
        "syn level 1/2: 2 iterations, energy -0.50000, 2.0 s",
        "syn level 2/2: 3 iterations, energy -0.50000, 3.0 s",
    ]


def test_lines_speak_inside_a_long_level(clock):
    heard = []
    lines = Lines(heard.append, clock)
    lines(step(0, 0))
    clock.now = SILENCE
    lines(step(0, 4))
    clock.now += 1
    lines(step(0, 5))
    assert heard == ["syn level 1/2: iteration 5 of 10, energy -0.50000"]


def test_what_is_no_energy_is_called_by_its_name(clock):
    heard = []
    lines = Lines(heard.append, clock)
    lines(Progress("n4 of fixed", level=0, levels=4, iteration=7, iterations=50, energy=0.001, measure="change"))
    lines.close()
    assert heard == ["n4 of fixed level 1/4: 8 iterations, change 0.00100, 0.0 s"]


def test_lines_without_a_step_say_nothing(clock):
    heard = []
    Lines(heard.append, clock).close()
    assert heard == []


def test_bar_draws_every_level():
    screen = io.StringIO()
    bar = Bar(Console(file=screen, force_terminal=True, width=100))
    bar(step(0, 9))
    bar(step(1, 2))
    bar.close()
    assert "syn level 1/2" in screen.getvalue()
    assert "syn level 2/2" in screen.getvalue()
    assert "3/3" in screen.getvalue()


def test_bar_without_colour(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    screen = io.StringIO()
    bar = Bar(Console(file=screen, force_terminal=True, width=100))
    bar(step(0, 0))
    bar.close()
    assert "\x1b[3" not in screen.getvalue()
