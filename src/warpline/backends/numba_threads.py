"""A thread pool for compiled kernels over slabs of a volume.

Kernels release Python's global lock. The threads are Python's: the pool may be used from several threads at once, and a
forked process (PyTorch's data loaders, Nipype, ``multiprocessing``) starts its own.
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
"""Pieces of work per thread; with one each, all would wait for a thread that was preempted."""

Scratch = Callable[[], tuple[Any, ...]]
"""Allocates the arrays that one thread works in."""


def in_slabs(kernel: Callable[..., Any], count: int, threads: int, *arguments: Any, scratch: Scratch = tuple) -> None:
    """Call ``kernel(first, last, *arguments, *scratch())`` for pieces that cover the slabs 0 to `count` - 1.

    Parameters
    ----------
    kernel : callable
        Compiled; it releases the global lock, and slab i writes to its own part of the output.
    count : int
        Number of slabs.
    threads : int
        Most threads at once, the calling one among them.
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
    _pool().run(_Work(kernel, list(pairwise(bounds)), (arguments, scratch)), threads)


class _Work:
    """The queue of pieces of one call; free threads take the next one."""

    def __init__(self, kernel: Callable[..., Any], pieces: list[tuple[int, int]], given: tuple[Any, Scratch]) -> None:
        self._kernel = kernel
        self._pieces = deque(pieces)
        self._arguments, self._scratch = given
        self._left = len(pieces)
        self._lock = threading.Lock()
        self.done = threading.Lock()
        self.done.acquire()
        self.error: BaseException | None = None

    def run_pieces(self) -> None:
        """Run pieces until the queue is empty."""
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


class _ThreadPool:
    """Daemon threads that wait for work; as many as were ever asked for at once."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self._waiting: SimpleQueue[_Work] = SimpleQueue()
        self._size = 0
        self._lock = threading.Lock()

    def run(self, work: _Work, threads: int) -> None:
        """Run `work` on the calling thread and ``threads - 1`` others; an error of a kernel is raised here."""
        self._grow(threads - 1)
        for _ in range(threads - 1):
            self._waiting.put(work)
        work.run_pieces()
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
            work.run_pieces()
            del work  # its arrays are free while this thread waits


_pools: list[_ThreadPool] = []


def _pool() -> _ThreadPool:
    """The pool of this process; a fork does not take the threads of its parent along."""
    if not _pools or _pools[-1].process != os.getpid():
        _pools[:] = [_ThreadPool()]
    return _pools[-1]
