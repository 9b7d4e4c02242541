"""Slabs on threads: each once, errors told, callers side by side."""

from __future__ import annotations

import multiprocessing
import threading
import time
import warnings

import pytest

from synthetic import smooth_field
from warpline.backends import select
from warpline.backends.numba_threads import in_slabs


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 3, 100])
def test_every_slab_is_done_once(threads, count):
    done = []
    in_slabs(lambda first, last, more: done.extend(range(first, last)), count, threads, "argument")
    assert sorted(done) == list(range(count))


def test_each_thread_works_in_its_own_scratch():
    made, used = [], []

    def scratch():
        made.append(threading.get_ident())
        return (object(),)

    in_slabs(
        lambda first, last, own: (used.append((threading.get_ident(), id(own))), time.sleep(0.001)),
        40,
        3,
        scratch=scratch,
    )
    assert len(made) == len(set(made)) <= 3
    assert len(set(used)) == len({thread for thread, _ in used})


def test_an_error_in_any_slab_is_raised_after_the_others():
    done = []

    def kernel(first, last):
        if first == 0:
            raise ValueError("slab 0")
        done.extend(range(first, last))

    with pytest.raises(ValueError, match="slab 0"):
        in_slabs(kernel, 16, 2)
    assert sorted(done) == list(range(2, 16))


def test_several_callers_share_the_threads():
    totals = []

    def call():
        done = []
        for _ in range(50):
            in_slabs(lambda first, last: done.append(last - first), 17, 3)
        totals.append(sum(done))

    callers = [threading.Thread(target=call) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
    assert totals == [50 * 17] * 4


def _gradient_sum(volume):
    return float(select("numba", 2).gradient(volume).sum())


def test_a_forked_process_computes_with_threads_of_its_own():
    """As data loaders and workflow engines fork, after this process has used its threads."""
    volume = smooth_field((40, 40, 40), 1)[0].copy()
    here = _gradient_sum(volume)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads
        with multiprocessing.get_context("fork").Pool(2) as pool:
            assert pool.map_async(_gradient_sum, [volume] * 4).get(timeout=120) == [here] * 4
