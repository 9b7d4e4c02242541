"""Volumes processed side by side, their results in order, with few of them in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from warpline.backends import Backend, select, thread_count
from warpline.resampling.on_device import CONCURRENT

Result = TypeVar("Result")
AHEAD = 2
"""Volumes per worker that may be ready before their turn."""


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

    def map(self, work: Callable[[int], Result], numbers: Iterable[int]) -> Iterator[Result]:
        """``work(number)`` of each number, in their order; each in a session of the backend."""

        def run(number: int) -> Result:
            with self.backend.session():
                return work(number)

        waiting: deque[Future[Result]] = deque()
        with ThreadPoolExecutor(self.count) as pool:
            try:
                for number in numbers:
                    waiting.append(pool.submit(run, number))
                    if len(waiting) > AHEAD * self.count:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()
