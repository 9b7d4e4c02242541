"""Slabs along the first axis, worked on by CPU threads."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from warpline.backends import thread_count


def slabs(shape: tuple[int, ...], most: int = 2**18) -> Iterator[slice]:
    """Parts along the first axis of about `most` elements each, at least one index thick."""
    thick = max(1, most // max(math.prod(shape[1:]), 1))
    return (slice(start, min(start + thick, shape[0])) for start in range(0, shape[0], thick))


def on_threads(run: Callable[[slice], None], parts: Iterator[slice], threads: int | None) -> None:
    """Call `run` on every part, on CPU threads (`warpline.backends.thread_count`)."""
    with ThreadPoolExecutor(thread_count(threads)) as pool:
        list(pool.map(run, parts))
