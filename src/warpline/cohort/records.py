"""The files of a run that people read: progress, results, failures; and its memory for the next run."""

from __future__ import annotations

import io
import json
import os
import platform
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from warpline.cohort.cells import safe
from warpline.cohort.failures import Failure, grouped
from warpline.cohort.layout import FAILURES, LOGS, PROGRESS, RESULTS, RUN, WORK, log_name
from warpline.cohort.outliers import Verdict, judge
from warpline.cohort.rows import METRICS, Metrics
from warpline.cohort.state import JOURNAL, Plan
from warpline.cohort.tasks import Task
from warpline.errors import OutputError
from warpline.io.atomic import write_atomic
from warpline.recipe import NUMERICS

SHARD = "progress"
"""How the names of the progress of single shards begin, in the working folder."""

MISSING = "n/a"

_NONE = Metrics({})
_HEAD = ("id", "status", "verdict", "reasons", "score")
_TAIL = ("fixed", "moving", "recipe", "sidecar", "log")
RESULT_COLUMNS = (*_HEAD, *METRICS, *_TAIL)
"""Columns of ``results.tsv`` before those that the manifest brings along."""

_STATUS = {"done": "ok", "failed": "failed", "excluded": "excluded"}
_FAILURE_COLUMNS = ("id", "class", "signature", "message", "host", "log")


class Books:
    """What one driver writes while it runs: a line per finished pair, and how it goes.

    The lines spare the next run reading every sidecar. Of several drivers, one for each shard, each has its own.

    Parameters
    ----------
    root : Path
        The output folder.
    part : str
        Which shard: ``1of1`` for a run of all pairs.
    """

    def __init__(self, root: Path, part: str) -> None:
        self.root = root
        self._memory = root / WORK / f"{JOURNAL}-{part}.jsonl"
        own = [] if part == "1of1" else [root / WORK / f"{SHARD}-{part}.json"]
        self._progress = [root / PROGRESS, *own]

    def remember(self, record: Mapping[str, Any]) -> None:
        """Append the outcome of a pair.

        Raises
        ------
        OutputError
            When it cannot be written.
        """
        try:
            with self._memory.open("ab") as file:
                file.write(json.dumps(record).encode() + b"\n")
        except OSError as error:
            raise OutputError(f"{self._memory} cannot be written: {error.strerror}; free some space") from None

    def confirm(self, plan: Plan) -> None:
        """Remember that finished pairs belong to inputs of other dates, so that these are compared only once."""
        for id in plan.confirmed:
            row = plan.rows[id]
            known = {"id": id, "key": row.key, "status": "ok", "recipe": row.recipe, "stat": row.stat}
            host = {} if row.host is None else {"host": {"name": row.host}}
            self.remember({**known, **host, "metrics": dict(row.metrics or {})})

    def fold(self) -> None:
        """Move the lines of a part of a cohort into the memory of all of it, so that parts leave no files each."""
        whole = self.root / WORK / f"{JOURNAL}-1of1.jsonl"
        if not self._memory.exists() or self._memory == whole:
            return
        with suppress(OSError), whole.open("ab") as file:  # on a full disk both stay, and say the same
            file.write(self._memory.read_bytes())
            self._memory.unlink()
        for path in self._progress[1:]:
            path.unlink(missing_ok=True)

    def write_progress(self, plan: Plan, numbers: Mapping[str, Any]) -> None:
        """Write ``progress.json``."""
        groups = [
            {"class": group.kind, "signature": group.signature, "count": group.count, "example": group.example}
            for group in grouped(failures(plan))
        ]
        for path in self._progress:
            write_atomic(path, json.dumps({**numbers, "groups": groups}, indent=2).encode() + b"\n")


def write_log(root: Path, outcome: Mapping[str, Any], failure: Failure) -> None:
    """Keep the record of a failed pair."""
    record = {**{name: value for name, value in outcome.items() if name != "failure"}, **failure.as_record()}
    (root / LOGS).mkdir(exist_ok=True)
    write_atomic(root / log_name(outcome["id"]), json.dumps(record, indent=2).encode() + b"\n")


def forget_logs(root: Path, plan: Plan) -> None:
    """Take away records of failures from before a pair was mended: its result belongs to its inputs again."""
    for path in (root / LOGS).glob("*.json"):
        if plan.states.get(path.stem) == "done":
            path.unlink(missing_ok=True)


def write_tables(root: Path, plan: Plan) -> dict[str, int]:
    """Write ``results.tsv``, with verdicts on done pairs, and ``failures.tsv``; returns how many of each verdict."""
    done = [task.id for task in plan.tasks if plan.states[task.id] == "done"]
    judged = judge([plan.rows[id].metrics or _NONE for id in done])
    verdicts = dict(zip(done, judged, strict=True))
    free = list(dict.fromkeys(name for task in plan.tasks for name in task.pair.columns))
    lines = (_result(plan, task, verdicts.get(task.id), root, free) for task in plan.tasks)
    write_atomic(root / RESULTS, _table((*RESULT_COLUMNS, *free), lines))
    write_atomic(root / FAILURES, _table(_FAILURE_COLUMNS, _failure_lines(plan)))
    return {name: sum(verdict.verdict == name for verdict in judged) for name in ("pass", "review", "fail")}


def failures(plan: Plan) -> Iterator[tuple[str, Failure]]:
    """Id and failure of every failed pair."""
    found = ((id, row.failure) for id, row in plan.rows.items() if plan.states[id] == "failed")
    return ((id, failure) for id, failure in found if failure is not None)


def write_run(root: Path, record: Mapping[str, Any]) -> None:
    """Write ``run.json``: what was asked, with which version, and how it ended."""
    own = {"warpline": version("warpline"), "numerics": NUMERICS, "command": sys.argv, "host": platform.node()}
    slurm = {name: value for name, value in os.environ.items() if name in ("SLURM_JOB_ID", "SLURM_ARRAY_TASK_ID")}
    write_atomic(root / RUN, json.dumps({**own, **slurm, **record}, indent=2).encode() + b"\n")


def _result(plan: Plan, task: Task, verdict: Verdict | None, root: Path, free: Sequence[str]) -> Iterator[Any]:
    """The cells of one pair."""
    state = plan.states[task.id]
    row = plan.rows.get(task.id) if state in ("done", "failed") else None
    metrics = row.metrics if row is not None and row.metrics is not None else _NONE
    yield from (task.id, _STATUS.get(state, "todo"))
    yield from (verdict.verdict, "; ".join(verdict.reasons), verdict.score) if verdict else (None, None, None)
    yield from (metrics[name] for name in METRICS)
    yield from (os.path.relpath(task.pair.fixed, root), os.path.relpath(task.pair.moving, root))
    yield row.recipe if row is not None else None
    yield task.place.sidecar if state == "done" else None
    yield log_name(task.id) if state == "failed" else None
    yield from (task.pair.columns.get(name) for name in free)


def _failure_lines(plan: Plan) -> Iterator[tuple[Any, ...]]:
    for id, failure in failures(plan):
        yield id, failure.kind, failure.signature, failure.message, plan.rows[id].host, log_name(id)


def _table(header: Iterable[str], lines: Iterable[Iterable[Any]]) -> bytes:
    text = io.BytesIO()
    text.write("\t".join(map(safe, header)).encode() + b"\n")
    for line in lines:
        text.write("\t".join(map(_cell, line)).encode() + b"\n")
    return text.getvalue()


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return MISSING if value is None else safe(" ".join(str(value).split())) or MISSING
