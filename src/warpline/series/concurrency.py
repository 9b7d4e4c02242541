"""Volumes processed side by side, their results in order, with few of them in memory."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from warpline.backends import Backend, select, thread_count
from warpline.resampling.on_device import CONCURRENT
from warpline.space.grid import Grid

Work = TypeVar("Work")
Result = TypeVar("Result")
AHEAD = 2
"""Results per worker that may be ready before their turn."""

BATCH_BYTES = 2**30
"""Memory that the volumes of a batch and their spline coefficients take on a GPU, with `VOXEL_BYTES` a voxel."""
VOXEL_BYTES = 28
"""Of a volume, what is smoothed of it, and coefficients in double precision before and after an axis."""


@dataclass(frozen=True)
class Workers:
    """Who processes volumes: on a CPU one thread a volume, on a GPU as many at once as keep copies and kernels busy.

    Parameters
    ----------
    backend : Backend
        What each of them computes with.
    count : int
        Volumes processed at once.
    """

    backend: Backend
    count: int

    @classmethod
    def of(cls, backend: Backend, threads: int | None) -> Workers:
        """Workers that share a backend; on a CPU each takes one of the threads."""
        if not backend.on_host:
            return cls(backend, CONCURRENT)
        return cls(select(backend.name, 1), thread_count(threads))

    def batches(self, numbers: Sequence[int], grid: Grid) -> list[Sequence[int]]:
        """Numbers of volumes on a grid in parts for one call each: single ones on a CPU, many on a GPU."""
        size = 1 if self.backend.on_host else max(1, BATCH_BYTES // (VOXEL_BYTES * math.prod(grid.shape)))
        return [numbers[first : first + size] for first in range(0, len(numbers), size)]

    def map(self, work: Callable[[Work], Result], parts: Iterable[Work]) -> Iterator[Result]:
        """``work(part)`` of each part, in their order; each in a session of the backend."""

        def run(part: Work) -> Result:
            with self.backend.session():
                return work(part)

        waiting: deque[Future[Result]] = deque()
        with ThreadPoolExecutor(self.count) as pool:
            try:
                for part in parts:
                    waiting.append(pool.submit(run, part))
                    if len(waiting) > AHEAD * self.count:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()
