"""Cohorts in simulated time: laws that hold whatever the times are, and what is claimed of one GPU."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from cohort_model import Machine, Resource, Times, simulate, simulated_seconds, use
from warpline.cohort.worker import AHEAD
from warpline.cohort.worker_settings import WorkerSettings

PAIRS = 60
QUICK = Times(turns=5)


def run(cores, workers=1, writers=None, **times):
    return simulate(Machine(cores, workers, writers), replace(QUICK, **times), PAIRS)


def test_what_only_one_may_use_is_used_by_one_after_the_other():
    one, two = Resource("one", 1), Resource("two", 2)
    assert simulated_seconds(lambda: [use(1.5, one) for _ in range(4)]) == pytest.approx(6)
    assert simulated_seconds(lambda: [use(1.5, two) for _ in range(4)]) == pytest.approx(3)
    assert (one.used, two.used) == (6, 3)


@pytest.mark.parametrize(
    ("bound", "rate", "machine", "times"),
    [
        ("GPU", 10, (64, 1, 6), {"host": 0, "judged": 0, "gpu": 0.1, "write": 0.1}),
        ("Python's lock", 10, (64, 1, 60), {"host": 0.1, "judged": 0, "gpu": 0, "locked": 0}),
        ("writers", 2, (64, 1, 2), {"write": 1.0, "locked": 0}),
        ("cores", 1, (1, 1, 6), {"host": 0.1, "judged": 0, "gpu": 0, "read": 0.1, "write": 0.8}),
    ],
)
def test_the_scarcest_resource_sets_the_rate(bound, rate, machine, times):
    found = run(*machine, **times)
    assert found.bound == bound
    assert found.pairs_per_s == pytest.approx(rate, rel=0.12)
    assert found.busy[bound] <= 1 + 1e-9


def test_queues_bound_the_memory_however_slow_the_disk_is():
    writers = 2
    held = run(8, writers=writers, write=5.0).held
    assert held <= WorkerSettings.readers + AHEAD + 1 + writers + AHEAD + 1


def test_two_workers_on_one_gpu_give_eight_pairs_a_second():
    one, two = run(16), run(16, 2)
    assert one.pairs_per_s < 8 <= two.pairs_per_s
    assert one.bound == "Python's lock"
    assert run(8, 2).pairs_per_s >= 8, "eight cores are enough"
    assert run(4, 2).bound == "cores"


def test_two_writing_threads_would_not_keep_up():
    assert run(16, 2, writers=WorkerSettings.writers).pairs_per_s < 8


def test_it_runs_where_an_event_loop_runs():
    async def within():
        return simulate(Machine(cores=4, workers=1), pairs=5).pairs_per_s

    with ThreadPoolExecutor(1) as alone:  # browsers of other tests leave a loop running in this thread
        assert alone.submit(lambda: asyncio.run(within())).result() > 0
