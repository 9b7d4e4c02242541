"""The driver with made-up workers that die as they are told."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import replace

import pytest

from warpline.cohort.driver import Driver
from warpline.cohort.journal import Journal, RunStore
from warpline.cohort.layout import WORK
from warpline.cohort.manifest import Pair
from warpline.cohort.plan import make_plan, make_tasks
from warpline.cohort.worker import run_journaled
from warpline.cohort.worker_settings import WorkerSettings
from warpline.errors import DeviceError
from warpline.recipe import Recipe


class Workers:
    """Three made-up workers: they run chunks pair by pair, and die of what `deadly` says."""

    whole = False

    def __init__(self, deadly=(), seed=0):
        self.deadly = Counter(deadly)
        self.seen = []
        self._chunks = []
        self._random = random.Random(seed)

    def workers(self):
        return 3

    def submit(self, chunk):
        self._chunks.append(chunk)

    def wait(self, seconds):
        chunk = self._chunks.pop(self._random.randrange(len(self._chunks)))
        return [(chunk, self._dies(chunk))]

    def _dies(self, chunk):
        journal = Journal(chunk.journal)
        ids = [task.id for task in chunk.tasks]
        for number, task in enumerate(chunk.tasks):
            for id in ids[number : number + 3]:  # read ahead
                journal.begin(id, "read")
            self.seen.append(task.id)
            if self.deadly[task.id] > 0:
                self.deadly[task.id] -= 1
                return True
            journal.outcome(replace(task.result(), seconds={"compute": 1.0}))
        return False

    def close(self):
        pass


def planned(root, count):
    (root / WORK).mkdir()
    pairs = [Pair(f"{number:04d}", f"/m{number}.nii", "/f.nii") for number in range(count)]
    plan = make_plan(make_tasks(pairs, recipe=Recipe(), warps="full"), root)
    return plan, Driver(plan, WorkerSettings(str(root), "r"), RunStore(root, "1of1"))


@pytest.mark.parametrize("seed", range(5))
def test_only_pairs_that_kill_twice_are_blamed(tmp_path, seed):
    plan, driver = planned(tmp_path, 300)
    workers = Workers({"0007": 99, "0100": 1, "0250": 1, "0299": 99}, seed)
    driver.run(workers)
    assert driver.stop_reason is None
    assert {id for id, state in plan.states.items() if state == "failed"} == {"0007", "0299"}
    assert plan.count("done") == 298
    assert Counter(workers.seen)["0007"] == 2
    assert not list((tmp_path / WORK).glob("r-*"))
    log = json.loads((tmp_path / "logs" / "0007.json").read_text())
    assert log["class"] == "worker_lost" and log["attempts"] == 2 and "died 2 times" in log["message"]


def test_workers_that_never_begin_stop_the_run(tmp_path):
    plan, driver = planned(tmp_path, 50)

    class Stillborn(Workers):
        def _dies(self, chunk):
            return True

    driver.run(Stillborn())
    assert driver.stop_reason.exit_code == 6 and "before they begin a pair" in driver.stop_reason.reason
    assert plan.count("new") == 50


def test_workers_out_of_reach_stop_the_run(tmp_path):
    plan, driver = planned(tmp_path, 50)

    class Unreachable(Workers):
        def wait(self, seconds):
            raise DeviceError("the scheduler was lost: it is gone; start it again")

    driver.run(Unreachable())
    assert driver.stop_reason.exit_code == 6 and "was lost" in driver.stop_reason.reason
    assert plan.count("new") == 50


def test_pairs_without_an_outcome_are_not_passed_over(tmp_path):
    _, driver = planned(tmp_path, 50)

    class Forgetful(Workers):
        def _dies(self, chunk):
            return False

    driver.run(Forgetful())
    assert driver.stop_reason.exit_code == 1 and "50 pairs came back without an outcome" in driver.stop_reason.reason


def test_a_journal_that_cannot_be_written_is_told_without_it(tmp_path):
    plan, driver = planned(tmp_path, 1)
    (result,) = run_journaled(plan.tasks, WorkerSettings(str(tmp_path), "r"), tmp_path / "none" / "j")
    driver.take(result)
    assert driver.stop_reason.exit_code == 5 and "none/j cannot be written: No such file" in driver.stop_reason.reason


def test_a_result_is_entered_once(tmp_path):
    plan, driver = planned(tmp_path, 2)
    result = replace(plan.tasks[0].result(), seconds={"compute": 2.0})
    driver.take(result)
    driver.take(result)
    assert driver.tally.ok == 1 and driver.numbers()["compute_s"] == 2.0
