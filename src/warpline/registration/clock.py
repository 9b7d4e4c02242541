"""Wall-clock time of the steps of a run."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Clock:
    """Seconds of each step, by name."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time a ``with`` block; a step that runs several times adds up."""
        start = time.perf_counter()
        yield
        self.add({name: time.perf_counter() - start})

    def add(self, seconds: Mapping[str, float]) -> None:
        """Add what steps took elsewhere."""
        for name, taken in seconds.items():
            self.seconds[name] = self.seconds.get(name, 0.0) + taken
