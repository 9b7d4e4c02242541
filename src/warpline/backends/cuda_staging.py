"""Large downloads from a GPU: in pieces through pinned buffers, copied on by several threads.

A copy to pageable memory reaches a tenth of the bandwidth of the bus: the driver stages it through buffers of its own,
and one thread takes the page faults of the result.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from queue import SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.backends.arrays import Array

PIECE_BYTES = 4 * 2**20
"""Size of a pinned buffer."""
BUFFERS = 8
"""Number of pinned buffers, and most threads that copy from them."""

Index = tuple[int | slice, ...]


class Staging:
    """Pinned buffers of one GPU and the threads that copy from them; created on first use, shared by all threads.

    Parameters
    ----------
    xp : module
        CuPy.
    device : cupy.cuda.Device
        The GPU.
    """

    def __init__(self, xp: Any, device: Any) -> None:
        self._xp, self._device, self._lock = xp, device, threading.Lock()
        self._free: SimpleQueue[NDArray[np.uint8]] = SimpleQueue()
        self._threads: ThreadPoolExecutor | None = None

    def _start(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._threads is None:
                memory = self._xp.cuda.alloc_pinned_memory(PIECE_BYTES * BUFFERS)
                for buffer in np.frombuffer(memory, np.uint8, PIECE_BYTES * BUFFERS).reshape(BUFFERS, PIECE_BYTES):
                    self._free.put(buffer)
                self._threads = ThreadPoolExecutor(min(BUFFERS, os.cpu_count() or 1), thread_name_prefix="download")
            return self._threads

    def download(self, array: Array, out: NDArray[Any]) -> None:
        """Copy a C-contiguous array, as it is at this point of the current stream, to `out`, of any strides."""
        threads, sent = self._start(), list[Future[None]]()
        self._xp.cuda.get_current_stream().synchronize()  # no buffer is occupied while kernels run
        try:
            for index in pieces(array.shape, PIECE_BYTES // array.dtype.itemsize):
                sent.append(self._send(array[index], out[index], threads))
        finally:
            wait(sent)  # no thread writes to `out` any more
        for one in sent:
            one.result()

    def _send(self, part: Array, target: NDArray[Any], threads: ThreadPoolExecutor) -> Future[None]:
        """Copy one piece to a buffer, as soon as one is free; a thread copies it on."""
        buffer = self._free.get()
        try:
            staged = buffer[: part.nbytes].view(part.dtype).reshape(part.shape)
            part.get(out=staged, blocking=False)
            arrived = self._xp.cuda.Event(block=True, disable_timing=True)
            arrived.record()
            return threads.submit(self._empty, buffer, arrived, staged, target)
        except BaseException:
            with suppress(Exception):
                self._xp.cuda.get_current_stream().synchronize()
            self._free.put(buffer)
            raise

    def _empty(self, buffer: NDArray[np.uint8], arrived: Any, staged: NDArray[Any], target: NDArray[Any]) -> None:
        try:
            with self._device:
                arrived.synchronize()
            np.copyto(target, staged)
        finally:
            self._free.put(buffer)


def pieces(shape: tuple[int, ...], most: int) -> Iterator[Index]:
    """Indices that partition an array of `shape` into contiguous pieces of at most `most` numbers."""
    each = math.prod(shape[1:])
    if each <= most:
        step = most // max(each, 1)
        for start in range(0, shape[0], step):
            yield (slice(start, min(start + step, shape[0])),)
        return
    for first in range(shape[0]):
        for rest in pieces(shape[1:], most):
            yield (first, *rest)
