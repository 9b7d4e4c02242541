"""How much memory something needs, seen from outside while it runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

LOOK_EVERY = 0.005
"""Seconds between two looks at the memory in use."""


@dataclass
class Peak:
    """Bytes in use before, and the most that were seen since."""

    before: int
    highest: int
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def grown(self) -> int:
        """How far use rose above where it began."""
        return self.highest - self.before


@contextmanager
def peak_of(used_bytes: Callable[[], int]) -> Iterator[Peak]:
    """Watch `used_bytes` from a thread of its own while the block runs."""
    now = used_bytes()
    peak = Peak(now, now)

    def look() -> None:
        while not peak.ended.wait(LOOK_EVERY):
            peak.highest = max(peak.highest, used_bytes())

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        peak.highest = max(peak.highest, used_bytes())
        peak.ended.set()
        watcher.join()


def gpu_used_bytes() -> Callable[[], int] | None:
    """How to read the memory in use on all GPUs together; None where there is no GPU or no NVML."""
    nvml, handles = _gpus()
    if not handles:
        return None
    return lambda: sum(int(nvml.nvmlDeviceGetMemoryInfo(handle).used) for handle in handles)


def gpu_names() -> list[str]:
    """Names of the GPUs, in NVML's order."""
    nvml, handles = _gpus()
    return [str(nvml.nvmlDeviceGetName(handle)) for handle in handles]


def _gpus() -> tuple[Any, list[Any]]:
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # no package, no driver or no permission: each is an error of NVML's own
        return None, []
    return pynvml, [pynvml.nvmlDeviceGetHandleByIndex(n) for n in range(pynvml.nvmlDeviceGetCount())]
