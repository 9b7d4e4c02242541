"""The result of a pair, one type from the worker to the page, and the tables of all results.

Path of a result: made by a worker (`steps.write`, `worker`), written as a line of a journal (`as_record`), kept in the
sidecar of the pair, read again by the plan of the next run, given a verdict (`judge_results`), written as a row of
``results.tsv`` (`write_tables`, where numbers become text), shown on the pages.
"""

from __future__ import annotations

import csv
import math
import os
import platform
import sys
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from warpline.cohort.failures import Failure
from warpline.cohort.layout import FAILURES, RESULTS, log_name
from warpline.cohort.outliers import VERDICTS, Verdict, judge_cohort
from warpline.cohort.quality import COLUMNS, RUN_COLUMNS
from warpline.cohort.tables import encode_table, is_missing, read_lines, unescape
from warpline.errors import InputError
from warpline.io.atomic import write_atomic
from warpline.report.reasons import cause_first

Status = Literal["ok", "failed", "excluded", "todo"]
"""Column ``status`` of the results."""

NUMBERS = {**COLUMNS, **RUN_COLUMNS}
"""Columns of numbers."""

_POSITIONS = {name: position for position, name in enumerate(NUMBERS)}
_HEAD = ("id", "status", "verdict", "reasons", "score")
_TAIL = ("fixed", "moving", "recipe", "sidecar", "log")
RESULT_COLUMNS = (*_HEAD, *NUMBERS, *_TAIL)
"""Columns of ``results.tsv`` before those of the manifest."""

FAILURE_COLUMNS = ("id", "class", "signature", "message", "host", "log")

PAGE_STATES = ("error", *reversed(VERDICTS), "todo")
"""What pages show a pair as, the worst first."""


class MetricRow(Mapping[str, float | None]):
    """The numbers of one pair by column, None where there is none; compact, so that fifty thousand pairs fit.

    Parameters
    ----------
    values : mapping
        Column to number; columns that are not in `NUMBERS` are left out.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, float | None]) -> None:
        known = (values.get(name) for name in NUMBERS)
        self._values = array("d", (math.nan if value is None else value for value in known))

    def __getitem__(self, name: str) -> float | None:
        """The number in a column."""
        value = self._values[_POSITIONS[name]]
        return None if math.isnan(value) else value

    def __iter__(self) -> Iterator[str]:
        return iter(NUMBERS)

    def __len__(self) -> int:
        return len(NUMBERS)


class Host(NamedTuple):
    """Where a pair was computed."""

    name: str | None
    pid: int | None = None
    gpu: str | None = None

    @classmethod
    def here(cls) -> Host:
        """Name of the machine, and this process."""
        return cls(platform.node(), os.getpid(), os.environ.get("CUDA_VISIBLE_DEVICES"))


def now() -> str:
    """The time, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True, slots=True)
class PairResult:
    """What became of one pair.

    Parameters
    ----------
    id : str
        Of the pair.
    status : str
        ``"ok"``, ``"failed"``, ``"excluded"`` or ``"todo"``.
    key : str
        What the result belongs to, see `Task`.
    recipe : str or None
        Name of the recipe.
    seconds : dict
        Wall-clock time of each stage.
    host : Host or None
        Where it was computed.
    finished : str or None
        When, UTC.
    metrics : dict
        Numbers by column, not rounded; empty where there are none.
    notes : tuple of str
        Ambiguities of the images' headers.
    stat : (int, int) or None
        Size and modification time of the sidecar.
    sizes : dict
        Bytes of each output, by kind; empty where they are not known.
    failure : Failure or None
        Of a failed pair.
    verdict : Verdict or None
        Of a finished pair, once it was compared with its cohort.
    fixed, moving, sidecar : str or None
        Files, relative to the output folder.
    columns : dict
        Further columns of the manifest.

    Examples
    --------
    >>> from warpline.cohort import PairResult
    >>> result = PairResult("sub-01", "ok", metrics={"dice": 0.81})
    >>> result.metrics["dice"], result.page_state  # it has no verdict yet
    (0.81, 'todo')
    """

    id: str
    status: Status
    key: str = ""
    recipe: str | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    host: Host | None = None
    finished: str | None = None
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    stat: tuple[int, int] | None = None
    sizes: Mapping[str, int] = field(default_factory=dict)
    failure: Failure | None = None
    verdict: Verdict | None = None
    fixed: str | None = None
    moving: str | None = None
    sidecar: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)

    @property
    def page_state(self) -> str:
        """The verdict on a finished pair, ``"error"`` for a failed one, ``"todo"`` for others."""
        if self.status == "failed":
            return "error"
        return "todo" if self.verdict is None else self.verdict.verdict

    @property
    def explanation(self) -> str:
        """The reasons for the verdict, what went wrong, or why there is no result."""
        if self.status == "excluded":
            return "excluded by a decision"
        if self.failure is not None:
            return cause_first(self.failure.message)
        return "" if self.verdict is None else self.verdict.text

    @property
    def flagged(self) -> tuple[str, ...]:
        """Columns that gave reasons for the verdict."""
        return () if self.verdict is None else self.verdict.columns

    @property
    def score(self) -> float | None:
        """Distance from the cohort, see `Verdict`; None where it was not compared."""
        return None if self.verdict is None else self.verdict.score

    def compact(self) -> PairResult:
        """The same in less memory, without times and notes."""
        return replace(self, metrics=MetricRow(self.metrics) if self.metrics else {}, seconds={}, notes=())

    def as_record(self) -> dict[str, Any]:
        """Plain JSON values, for journals and logs."""
        record: dict[str, Any] = {name: getattr(self, name) for name in ("id", "key", "recipe", "seconds")}
        host = None if self.host is None else self.host._asdict()
        record |= {"host": host, "finished": self.finished, "status": self.status}
        if self.failure is not None:
            return {**record, "failure": self.failure.as_record()}
        sizes = dict(self.sizes)
        return {**record, "metrics": dict(self.metrics), "notes": self.notes, "stat": self.stat, "sizes": sizes}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> PairResult | None:
        """What `as_record` gave, a log or a sidecar holds; None where a value is missing or of another type."""
        try:
            return cls._parse(record)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            return None

    @classmethod
    def _parse(cls, record: Mapping[str, Any]) -> PairResult | None:
        id, stat, metrics, host = record["id"], record.get("stat"), record.get("metrics"), record.get("host")
        if record["status"] not in ("ok", "failed") or not isinstance(id, str):
            return None
        failed = record["status"] == "failed"
        return cls(
            id=id,
            status=record["status"],
            key=str(record.get("key")),
            recipe=_interned(record.get("recipe")),
            seconds={sys.intern(stage): float(value) for stage, value in (record.get("seconds") or {}).items()},
            host=_host(host.get("name"), host.get("pid"), host.get("gpu")) if host else None,
            finished=record.get("finished"),
            metrics=MetricRow(metrics) if metrics else {},
            notes=tuple(map(str, record.get("notes") or ())),
            stat=(stat[0], stat[1]) if stat else None,
            sizes={sys.intern(kind): int(size) for kind, size in (record.get("sizes") or {}).items()},
            failure=Failure.from_record(record.get("failure") or record) if failed else None,
        )


def _interned(text: str | None) -> str | None:
    """One string for all results that have the same."""
    return None if text is None else sys.intern(text)


@cache
def _host(name: str | None, pid: int | None, gpu: str | None) -> Host:
    return Host(name, pid, gpu)


# -- all results ------------------------------------------------------------------------------------------------------


def judge_results(results: Sequence[PairResult]) -> list[PairResult]:
    """The results with a verdict on every finished pair, from its numbers as they were computed."""
    verdicts = iter(judge_cohort([result.metrics for result in results if result.status == "ok"]))
    return [replace(result, verdict=next(verdicts)) if result.status == "ok" else result for result in results]


def worst_first(results: Iterable[PairResult]) -> list[PairResult]:
    """Failed pairs, then those of each verdict by descending score, then those without a result."""
    return sorted(results, key=lambda result: (PAGE_STATES.index(result.page_state), -(result.score or 0.0)))


def count_verdicts(results: Iterable[PairResult]) -> dict[str, int]:
    """How many pairs have each verdict."""
    states = Counter(result.page_state for result in results)
    return {verdict: states[verdict] for verdict in VERDICTS}


def metric_arrays(results: Sequence[PairResult]) -> dict[str, NDArray[np.float64]]:
    """The numbers of every column and result (N,), NaN where there is none."""
    return {name: np.array([result.metrics.get(name) for result in results], np.float64) for name in NUMBERS}


def write_tables(root: Path, results: Sequence[PairResult]) -> None:
    """Write ``results.tsv`` and ``failures.tsv``; numbers have six significant digits there.

    Raises
    ------
    OutputError
        When a table cannot be written.
    """
    more = list(dict.fromkeys(name for result in results for name in result.columns))
    write_atomic(root / RESULTS, encode_table((*RESULT_COLUMNS, *more), (_result_row(one, more) for one in results)))
    write_atomic(root / FAILURES, encode_table(FAILURE_COLUMNS, _failure_rows(results)))


def _result_row(result: PairResult, more: Sequence[str]) -> Iterator[Any]:
    verdict = result.verdict
    yield from (result.id, result.status)
    yield from (None, None, None) if verdict is None else (verdict.verdict, verdict.text, verdict.score)
    yield from (result.metrics.get(name) for name in NUMBERS)
    yield from (result.fixed, result.moving, result.recipe, result.sidecar)
    yield log_name(result.id) if result.status == "failed" else None
    yield from (result.columns.get(name) for name in more)


def _failure_rows(results: Iterable[PairResult]) -> Iterator[tuple[Any, ...]]:
    for result in results:
        failure, host = result.failure, None if result.host is None else result.host.name
        if failure is not None:
            yield result.id, failure.kind, failure.signature, failure.message, host, log_name(result.id)


def read_results(folder: str | os.PathLike[str]) -> list[PairResult]:
    """The results in the tables of an output folder, in their order; what tables do not hold is left out.

    Parameters
    ----------
    folder : path
        The output folder of a run.

    Raises
    ------
    InputError
        When there are none, or they are damaged.

    Examples
    --------
    >>> from pathlib import Path
    >>> from warpline.cohort import PairResult, read_results
    >>> from warpline.cohort.results import write_tables
    >>> write_tables(Path(), [PairResult("sub-01", "todo"), PairResult("sub-02", "excluded")])
    >>> [result.status for result in read_results(".")]
    ['todo', 'excluded']
    """
    failures = Path(folder) / FAILURES
    known = {row["id"]: row for row in _rows(failures, FAILURE_COLUMNS[:4])} if failures.exists() else {}
    path = Path(folder) / RESULTS
    return [_parse_row(row, known.get(row["id"]), path) for row in _rows(path, _HEAD[:4] + _TAIL[:2] + _TAIL[3:4])]


def _rows(path: Path, needed: Iterable[str]) -> Iterator[dict[str, str]]:
    """Rows of a table; a column whose name was there before becomes ``manifest <name>``."""
    try:
        lines = read_lines(path)
        given = [unescape(name) for name in next(lines, [])]
        names = [f"manifest {name}" if name in given[:at] else name for at, name in enumerate(given)]
        if given and not {*names} >= {*needed}:
            raise _damaged(path)
        for line in lines:
            cells = map(unescape, line)
            yield {name: "" if is_missing(cell) else cell for name, cell in zip(names, cells, strict=True)}
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; give the output folder of a cohort") from None
    except InputError:
        raise
    except (ValueError, csv.Error):
        raise _damaged(path) from None


def _damaged(path: Path) -> InputError:
    return InputError(f"{path} is damaged; write it anew with warpline cohort report")


def _parse_row(row: dict[str, str], failed: Mapping[str, str] | None, path: Path) -> PairResult:
    """The result in a row of ``results.tsv``, with its row of ``failures.tsv``; refuses what no run has written."""
    status, verdict = row["status"], row["verdict"]
    if status not in ("ok", "failed", "excluded", "todo") or (status == "ok" and verdict not in VERDICTS):
        raise _damaged(path)
    numbers = {name: _number(row.get(name, ""), path) for name in (*NUMBERS, "score")}
    return PairResult(
        id=row["id"],
        status=status,  # type: ignore[arg-type]
        metrics=MetricRow(numbers),
        verdict=Verdict.parse(verdict, row["reasons"], numbers["score"]) if status == "ok" else None,
        failure=Failure(failed["class"], failed["signature"], failed["message"]) if failed else None,  # type: ignore[arg-type]
        columns={sys.intern(name): sys.intern(cell) for name, cell in row.items() if name not in RESULT_COLUMNS},
        recipe=_text(row, "recipe"),
        fixed=_text(row, "fixed"),
        moving=_text(row, "moving"),
        sidecar=_text(row, "sidecar"),
    )


def _text(row: Mapping[str, str], name: str) -> str | None:
    return sys.intern(row.get(name, "")) or None


def _number(cell: str, path: Path) -> float | None:
    try:
        return float(cell) if cell else None
    except ValueError:
        raise InputError(
            f"{path} holds {cell!r} where a number is needed; write it anew with warpline cohort report"
        ) from None
