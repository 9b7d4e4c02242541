"""Kernels over slabs of a volume, on threads of this process.

The kernels let go of Python's global lock. The threads belong to Python: they can be called from several threads at
once, and a process that was forked (PyTorch's data loaders, Nipype, ``multiprocessing``) starts its own.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from itertools import pairwise
from queue import SimpleQueue
from typing import Any

SLABS = 4
"""Pieces of work per thread, so that threads that were held up do not hold up the others."""

Scratch = Callable[[], tuple[Any, ...]]
"""Makes the arrays that one thread works in."""


def in_slabs(kernel: Callable[..., Any], count: int, threads: int, *arguments: Any, scratch: Scratch = tuple) -> None:
    """Call ``kernel(first, last, *arguments, *scratch())`` until every slab from 0 to `count` is done.

    Parameters
    ----------
    kernel : callable
        Compiled; it releases the global lock, and slab i writes to its own place.
    count : int
        How many slabs there are.
    threads : int
        At most so many work at once, this one among them.
    *arguments
        For every call.
    scratch : callable
        Called once by each thread.
    """
    threads = min(threads, count)
    if threads <= 1:
        kernel(0, count, *arguments, *scratch())
        return
    pieces = min(count, SLABS * threads)
    bounds = [count * piece // pieces for piece in range(pieces + 1)]
    _crew().run(_Work(kernel, list(pairwise(bounds)), (arguments, scratch)), threads)


class _Work:
    """The pieces of one call, taken one after the other by whichever thread is free."""

    def __init__(self, kernel: Callable[..., Any], pieces: list[tuple[int, int]], given: tuple[Any, Scratch]) -> None:
        self._kernel = kernel
        self._pieces = deque(pieces)
        self._arguments, self._scratch = given
        self._left = len(pieces)
        self._lock = threading.Lock()
        self.done = threading.Lock()
        self.done.acquire()
        self.error: BaseException | None = None

    def help(self) -> None:
        """Do pieces until none is left to begin."""
        own: tuple[Any, ...] | None = None
        while True:
            try:
                first, last = self._pieces.popleft()
            except IndexError:
                return
            try:
                own = self._scratch() if own is None else own
                self._kernel(first, last, *self._arguments, *own)
            except BaseException as error:
                self.error = error
            finally:
                self._finish()

    def _finish(self) -> None:
        with self._lock:
            self._left -= 1
            if self._left == 0:
                self.done.release()


class _Crew:
    """Threads that wait for work; as many as were ever asked for at once."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self._waiting: SimpleQueue[_Work] = SimpleQueue()
        self._size = 0
        self._lock = threading.Lock()

    def run(self, work: _Work, threads: int) -> None:
        """Do `work` with the calling thread and ``threads - 1`` others; raise what it raised."""
        self._grow(threads - 1)
        for _ in range(threads - 1):
            self._waiting.put(work)
        work.help()
        work.done.acquire()
        if work.error is not None:
            raise work.error

    def _grow(self, size: int) -> None:
        with self._lock:
            while self._size < size:
                self._size += 1
                threading.Thread(target=self._serve, name=f"warpline-{self._size}", daemon=True).start()

    def _serve(self) -> None:
        while True:
            work = self._waiting.get()
            work.help()
            del work  # its arrays are free while this thread waits


_crews: list[_Crew] = []


def _crew() -> _Crew:
    """The threads of this process; those of a parent stayed there when it was forked."""
    if not _crews or _crews[-1].process != os.getpid():
        _crews[:] = [_Crew()]
    return _crews[-1]
