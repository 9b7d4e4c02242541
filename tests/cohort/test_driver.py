"""The driver's books and its justice, with workers that are made up."""

from __future__ import annotations

import json
import random
import tracemalloc
from collections import Counter

import pytest

from warpline.cohort.driver import Driver
from warpline.cohort.failures import Failure, TimeLimitError, grouped, signature_of
from warpline.cohort.journal import Journal, JournalReader
from warpline.cohort.layout import WORK
from warpline.cohort.manifest import Pair
from warpline.cohort.records import Books, write_tables
from warpline.cohort.settings import Settings
from warpline.cohort.state import make_plan
from warpline.cohort.tasks import make_tasks
from warpline.cohort.worker import run_journaled
from warpline.errors import DeviceError, DeviceLostError, DeviceMemoryError, InputError, OutputError
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
            outcome = {"id": task.id, "key": task.key, "status": "ok", "seconds": {"compute": 1.0}, "metrics": {}}
            journal.outcome(outcome)
        return False

    def close(self):
        pass


def planned(root, count):
    (root / WORK).mkdir()
    pairs = [Pair(f"{number:04d}", f"/m{number}.nii", "/f.nii") for number in range(count)]
    plan = make_plan(make_tasks(pairs, recipe=Recipe(), warps="full"), root)
    return plan, Driver(plan, Settings(str(root), "r"), Books(root, "1of1"))


@pytest.mark.parametrize("seed", range(5))
def test_only_pairs_that_kill_twice_are_blamed(tmp_path, seed):
    plan, driver = planned(tmp_path, 300)
    workers = Workers({"0007": 99, "0100": 1, "0250": 1, "0299": 99}, seed)
    driver.run(workers)
    assert driver.halt is None
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
    assert driver.halt.exit_code == 6 and "before they begin a pair" in driver.halt.reason
    assert plan.count("new") == 50


def test_workers_out_of_reach_stop_the_run(tmp_path):
    plan, driver = planned(tmp_path, 50)

    class Unreachable(Workers):
        def wait(self, seconds):
            raise DeviceError("the scheduler was lost: it is gone; start it again")

    driver.run(Unreachable())
    assert driver.halt.exit_code == 6 and "was lost" in driver.halt.reason
    assert plan.count("new") == 50


def test_pairs_without_an_outcome_are_not_passed_over(tmp_path):
    _, driver = planned(tmp_path, 50)

    class Forgetful(Workers):
        def _dies(self, chunk):
            return False

    driver.run(Forgetful())
    assert driver.halt.exit_code == 1 and "50 pairs came back without an outcome" in driver.halt.reason


def test_a_journal_that_cannot_be_written_is_told_without_it(tmp_path):
    plan, driver = planned(tmp_path, 1)
    (outcome,) = run_journaled(plan.tasks, Settings(str(tmp_path), "r"), tmp_path / "none" / "j")
    driver.take(outcome)
    assert driver.halt.exit_code == 5 and "none/j cannot be written: No such file" in driver.halt.reason


def test_an_outcome_is_entered_once(tmp_path):
    plan, driver = planned(tmp_path, 2)
    outcome = {"id": "0000", "key": plan.tasks[0].key, "status": "ok", "seconds": {"compute": 2.0}, "metrics": {}}
    driver.take(outcome)
    driver.take(outcome)
    assert driver.tally.ok == 1 and driver.numbers()["compute_s"] == 2.0


def test_a_plan_takes_little_memory(tmp_path):
    names = [f"sub-{number:05d}" for number in range(5000)]
    tracemalloc.start()
    pairs = [Pair(name, f"{tmp_path}/{name}.nii.gz", f"{tmp_path}/f.nii.gz", columns={"age": name}) for name in names]
    plan = make_plan(make_tasks(pairs, recipe=Recipe(), warps="rounded"), tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert plan.count("new") == 5000 and peak / 5000 < 4000


def test_tables_have_a_row_for_every_pair(tmp_path):
    plan, driver = planned(tmp_path, 4)
    metrics = {"seconds": 1.5, "ncc_after": None}
    driver.take({"id": "0000", "key": "k", "status": "ok", "seconds": {}, "metrics": metrics})
    failure = {"class": "input_error", "signature": "s", "message": "a\tb\nc", "traceback": ""}
    driver.take({"id": "0001", "key": "k", "status": "failed", "seconds": {}, "failure": failure})
    plan.states["0002"] = "excluded"
    assert sum(write_tables(tmp_path, plan).values()) == 1
    lines = [line.split("\t") for line in (tmp_path / "results.tsv").read_text().splitlines()]
    assert {len(line) for line in lines} == {len(lines[0])}
    assert [line[1] for line in lines] == ["status", "ok", "failed", "excluded", "todo"]
    assert lines[1][lines[0].index("seconds")] == "1.5" and lines[1][lines[0].index("ncc_after")] == "n/a"
    (failed,) = (tmp_path / "failures.tsv").read_text().splitlines()[1:]
    assert failed.split("\t") == ["0001", "input_error", "s", "a b c", "n/a", "logs/0001.json"]


# -- journals and failures ----------------------------------------------------------------------------------------


def test_a_journal_tells_who_was_in_flight(tmp_path):
    journal, reader = Journal(tmp_path / "j"), JournalReader(tmp_path / "j")
    journal.begin("a", "read")
    journal.end("a")
    journal.begin("b", "compute")
    assert reader.news() == [] and reader.in_flight == {"b": "compute"}
    done = {"id": "b", "status": "ok", "seconds": {"compute": 1.0}}
    journal.outcome(done)
    with (tmp_path / "j").open("ab") as file:
        file.write(b'{"id": "c", "in": "wri')  # cut off by a kill
    assert reader.news() == [done] and reader.news() == []
    assert reader.in_flight == {}
    with pytest.raises(FileExistsError):
        Journal(tmp_path / "j")
    assert JournalReader(tmp_path / "none").news() == []


class OutOfMemoryError(Exception):
    """As CuPy calls its own."""


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (InputError("x"), "input_error"),
        (OutputError("x"), "output_error"),
        (DeviceError("x"), "device_error"),
        (DeviceLostError("x"), "device_lost"),
        (DeviceMemoryError("x"), "out_of_memory"),
        (TimeLimitError("x"), "timeout"),
        (MemoryError(), "out_of_memory"),
        (OutOfMemoryError("x"), "out_of_memory"),
        (ZeroDivisionError("x"), "numeric"),
        (KeyError("x"), "unexpected"),
    ],
)
def test_every_error_has_a_class(error, kind):
    assert Failure.of(error).kind == kind
    assert Failure.from_record(Failure.of(error).as_record()) == Failure.of(error)


def test_alike_failures_are_one_group():
    one = "/data/sub-01/a b.nii.gz has 12 NaN or infinite values, the first at voxel (1, 2, 30)"
    other = "/data/sub-02/a b.nii.gz has 7 NaN or infinite values, the first at voxel (9, 2, 3)"
    assert signature_of(one) == signature_of(other)
    errors = {"1": InputError(one), "2": KeyError("k"), "3": InputError(other)}
    first, second = grouped((id, Failure.of(error)) for id, error in errors.items())
    assert (first.count, first.example, first.message) == (2, "1", one) and second.kind == "unexpected"
