"""Volumes side by side."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import numpy as np
import pytest

from warpline.backends import select
from warpline.series.concurrency import AHEAD, BATCH_BYTES, VOXEL_BYTES, Workers
from warpline.space.grid import Grid


def test_results_come_in_order():
    release = threading.Event()

    def work(number):
        if number == 0:
            release.wait(5)
        else:
            release.set()
        return number

    assert list(Workers(select("numpy"), 2).map(work, range(8))) == list(range(8))


def test_few_results_wait_for_their_turn():
    started = []
    results = Workers(select("numpy"), 1).map(lambda number: started.append(number), range(50))
    next(results)
    assert len(started) <= AHEAD + 2
    results.close()
    assert len(started) <= AHEAD + 3


def test_an_error_reaches_the_caller():
    with pytest.raises(ZeroDivisionError):
        list(Workers(select("numpy"), 2).map(lambda number: 1 // number, range(3)))


def test_threads_of_a_cpu_become_workers():
    workers = Workers.of(select("numpy", 3), 3)
    assert (workers.count, workers.backend.threads) == (3, 1)


def test_a_gpu_gets_many_volumes_at_once_and_a_cpu_one():
    where = Grid((64, 64, 36), np.eye(4))
    numbers = list(range(1000))
    assert Workers(select("numpy"), 2).batches([3, 5], where) == [[3], [5]]
    parts = Workers(SimpleNamespace(on_host=False), 2).batches(numbers, where)
    assert [n for part in parts for n in part] == numbers
    assert len(parts[0]) == BATCH_BYTES // (VOXEL_BYTES * 64 * 64 * 36) > 200
