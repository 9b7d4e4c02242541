"""Numbers of a run in words."""

from __future__ import annotations

from warpline.cli.cohort.check import size
from warpline.cli.cohort.progress import duration, line


def test_numbers_are_said_as_people_say_them():
    assert [size(value) for value in (12, 3e6, 8.7e12)] == ["12 B", "3 MB", "8.7 TB"]
    assert [duration(value) for value in (5, 65, 7260)] == ["5 s", "1 min 5 s", "2 h 1 min"]
    numbers = {"ok": 3, "total": 9, "failed": 1, "todo": 5, "pairs_per_s": 0.5, "busy": 0.93, "eta_s": 10}
    assert line(numbers).endswith("0.5 pairs per second, computing 93% of the time, about 10 s left")
