"""How many pairs a second one GPU gives, and what bounds it: a simulation of cohort workers from measured times.

Nothing is computed and nothing waits: workers take turns at cores, at Python's lock of their process and at the GPU, in
simulated time. Loop and queues are those of `warpline.cohort.worker`.
"""

from __future__ import annotations

import argparse
import asyncio
import selectors
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from warpline.cohort.worker import AHEAD
from warpline.cohort.worker_settings import WorkerSettings, writers_for

PAIRS = 100
"""Of a simulated cohort; how it begins and ends counts little then."""


@dataclass(frozen=True)
class Times:
    """Seconds of a pair of brains at 1 mm: affine + SyN, both fields written, quality control.

    `host` and `gpu` are 0.155 s from host to host on an H200 (bench/results/gpu-h200.json): what keeps the GPU is the
    deformable stage, inversion and download, 59 ms, and the kernels of the linear stage, 16 ms by their measured rates;
    the rest keeps the host. `judged` was not measured: the judgement of the map and quality control, by counting
    operations. `read` and `write` are the 0.70 CPU seconds of docs/scale.md, measured on another processor.
    """

    host: float = 0.08
    gpu: float = 0.075
    judged: float = 0.03
    read: float = 0.10
    write: float = 0.60
    locked: float = 0.1
    """Share of reading and writing that holds Python's lock, a guess; decompressing and compressing do not."""
    switching: float = 1.15
    """By how much a GPU is slower where processes take turns at it, a guess."""
    turns: int = 20
    """How often host and GPU wait for each other."""


@dataclass(frozen=True)
class Machine:
    """One GPU, its share of the processor, and the workers that share both.

    Attributes
    ----------
    cores : int
        For all workers together.
    workers : int
        Processes, of which each computes one pair at a time.
    writers : int or None
        Threads of each that write; None: as many as a cohort would have.
    """

    cores: int
    workers: int = 1
    writers: int | None = None


@dataclass(frozen=True)
class Found:
    """Pairs a second, the share of the time in which each resource was used, and the most pairs that a worker held."""

    pairs_per_s: float
    busy: dict[str, float]
    held: int

    @property
    def bound(self) -> str:
        """The busiest resource."""
        return max(self.busy, key=lambda name: self.busy[name])


# -- simulated time ---------------------------------------------------------------------------------------------------


class _Leaping(selectors.SelectSelector):
    """Waits for nothing: time leaps to what is due next."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("every simulated thread waits for another one")
        self.now += max(0.0, timeout)
        return []


class _Simulated(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._leaping = _Leaping()
        super().__init__(self._leaping)

    def time(self) -> float:
        return self._leaping.now


@dataclass
class Resource:
    """What only so many may use at once; others wait in order."""

    name: str
    many: int
    used: float = 0.0
    gate: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self.gate = asyncio.Semaphore(self.many)


async def use(seconds: float, *resources: Resource) -> None:
    """Take resources together, for so long."""
    async with AsyncExitStack() as stack:
        for resource in resources:
            await stack.enter_async_context(resource.gate)
        await asyncio.sleep(seconds)
        for resource in resources:
            resource.used += seconds / resource.many


# -- the loop of a worker ---------------------------------------------------------------------------------------------


class Worker:
    """A process that reads ahead and writes behind while it computes; `left` are the pairs that nobody has begun."""

    def __init__(self, times: Times, machine: Machine, left: Iterator[int], gpu: Resource, cores: Resource) -> None:
        self._times, self._left, self._gpu, self._cores = times, left, gpu, cores
        self._slower = times.switching if machine.workers > 1 else 1.0
        self.writers = machine.writers or writers_for(machine.cores // machine.workers)
        self.lock = Resource("Python's lock", 1)
        self._reading, self._writing = Resource("readers", WorkerSettings.readers), Resource("writers", self.writers)
        self.resources = (self.lock, self._reading, self._writing)
        self._here = self.held = 0

    async def run(self) -> None:
        """As `warpline.cohort.worker` does."""
        ahead: deque[asyncio.Task[None]] = deque()
        behind: deque[asyncio.Task[None]] = deque()
        while self._refill(ahead):
            await ahead.popleft()
            await self._compute()
            behind.append(asyncio.create_task(self._write()))
            while len(behind) > self.writers + AHEAD:
                await behind.popleft()
        await asyncio.gather(*behind)

    def _refill(self, ahead: deque[asyncio.Task[None]]) -> bool:
        while len(ahead) < WorkerSettings.readers + AHEAD and next(self._left, None) is not None:
            self._here += 1
            self.held = max(self.held, self._here)
            ahead.append(asyncio.create_task(self._io(self._times.read, self._reading)))
        return bool(ahead)

    async def _compute(self) -> None:
        times = self._times
        for _ in range(times.turns):
            await use((times.host + times.judged) / times.turns, self.lock, self._cores)
            await use(self._slower * times.gpu / times.turns, self._gpu)

    async def _write(self) -> None:
        await self._io(self._times.write, self._writing)
        self._here -= 1

    async def _io(self, seconds: float, threads: Resource) -> None:
        turns, locked = self._times.turns, self._times.locked
        async with threads.gate:
            for _ in range(turns):
                await use(locked * seconds / turns, self.lock, self._cores)
                await use((1 - locked) * seconds / turns, self._cores)
        threads.used += seconds / threads.many


def simulate(machine: Machine, times: Times | None = None, pairs: int = PAIRS) -> Found:
    """Run a cohort in simulated time."""
    gpu, cores, left = Resource("GPU", 1), Resource("cores", machine.cores), iter(range(pairs))
    workers = [Worker(times or Times(), machine, left, gpu, cores) for _ in range(machine.workers)]
    seconds = simulated_seconds(lambda: [worker.run() for worker in workers])
    busy = {resource.name: resource.used / seconds for resource in (gpu, cores)}
    for own in zip(*(worker.resources for worker in workers), strict=True):
        busy[own[0].name] = sum(resource.used for resource in own) / len(own) / seconds
    return Found(pairs / seconds, busy, max(worker.held for worker in workers))


def simulated_seconds(started: Callable[[], list[Coroutine[Any, Any, None]]]) -> float:
    """How long some coroutines take together.

    They run in a thread of their own: an event loop may run in this one, as in a notebook.
    """

    def run() -> float:
        async def together() -> None:
            await asyncio.gather(*started())

        loop = _Simulated()
        try:
            loop.run_until_complete(together())
            return loop.time()
        finally:
            loop.close()

    with ThreadPoolExecutor(1) as alone:
        return alone.submit(run).result()


def page(machines: list[Machine]) -> str:
    """A table in Markdown."""
    lines = [
        "| cores | workers | writers of each | pairs per second | GPU | cores | bound by |",
        "|---|---|---|---|---|---|---|",
    ]
    for machine in machines:
        found, writers = simulate(machine), machine.writers or writers_for(machine.cores // machine.workers)
        shares = (f"{found.busy[name]:.0%}" for name in ("GPU", "cores"))
        row = (machine.cores, machine.workers, writers, f"{found.pairs_per_s:.1f}", *shares, found.bound)
        lines.append(f"| {' | '.join(map(str, row))} |")
    return "\n".join(lines)


def main() -> None:
    """Print what so many workers give."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cores", type=int, nargs="+", default=[4, 8, 16], help="for one GPU; default: 4 8 16")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 3], help="on it; default: 1 2 3")
    options = parser.parse_args()
    print(page([Machine(cores, workers) for cores in options.cores for workers in options.workers]))


if __name__ == "__main__":
    main()
