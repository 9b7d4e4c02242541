"""Journals, files of JSON lines: what a worker does with each pair, and the results of all runs for the next one."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from warpline.cohort.failures import Group
from warpline.cohort.json_files import parse_object, write_json
from warpline.cohort.layout import LOGS, PROGRESS, WORK, log_name
from warpline.cohort.results import PairResult
from warpline.errors import OutputError

STAGES = ("read", "compute", "write")

SHARD_PROGRESS = "progress"
"""How the names of the progress of single shards begin, in the working folder."""

_RESULTS = "results"
"""How the names of the journals of results begin, in the working folder."""

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_BINARY", 0)


# -- of a worker ------------------------------------------------------------------------------------------------------


class Events:
    """Receives what a worker does, and ignores it."""

    def begin(self, id: str, stage: str) -> None:
        """A pair enters a stage."""

    def end(self, id: str) -> None:
        """A pair has left a stage and waits for the next."""

    def outcome(self, result: PairResult) -> None:
        """A pair is finished."""

    def leave(self, reason: str) -> None:
        """The process ends itself; no pair in flight is to blame."""


class Journal(Events):
    """Appends one line per event to a file, so that a process that is killed leaves all lines before.

    Each line is one write to a file opened for appending; nothing is buffered in the process.

    Parameters
    ----------
    path : Path
        The file; it must not exist.

    Raises
    ------
    FileExistsError
        When it does: another worker had this chunk, and died or still has it.
    OutputError
        When it cannot be written, now or later.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file = os.open(path, _NEW_FILE, 0o666)
        except FileExistsError:
            raise
        except OSError as error:
            raise _unwritable(self._path, error) from None

    def begin(self, id: str, stage: str) -> None:
        """Append that a pair enters a stage."""
        self._append({"id": id, "in": stage})

    def end(self, id: str) -> None:
        """Append that a pair has left a stage."""
        self._append({"id": id, "in": None})

    def outcome(self, result: PairResult) -> None:
        """Append the result of a pair."""
        self._append({"id": result.id, "in": None, "outcome": result.as_record()})

    def leave(self, reason: str) -> None:
        """Append that the process ends itself."""
        self._append({"leaves": reason})

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _append(self, line: dict[str, Any]) -> None:
        try:
            os.write(self._file, b"\n" + json.dumps(line).encode() + b"\n")
        except OSError as error:
            raise _unwritable(self._path, error) from None


@dataclass
class JournalReader:
    """Follows a journal that another process writes.

    Parameters
    ----------
    path : Path
        The file; it may not exist yet.
    in_flight : dict
        Pairs that are in a stage, with its name.
    leaves : str
        Why the process ended itself; empty when it did not.
    """

    path: Path
    in_flight: dict[str, str] = field(default_factory=dict)
    leaves: str = ""
    _position: int = 0

    def news(self) -> list[PairResult]:
        """Results that were written since the last call."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._position)
                text = file.read()
        except FileNotFoundError:
            return []
        whole = text[: text.rfind(b"\n") + 1]
        self._position += len(whole)
        return [result for line in whole.splitlines() if (result := self._parse(line))]

    def _parse(self, text: bytes) -> PairResult | None:
        line = parse_object(text)  # None where it is empty, cut off by a full disk, or damaged
        if line is None:
            return None
        self.leaves = str(line.get("leaves", self.leaves))
        id, stage = line.get("id"), line.get("in")
        if isinstance(id, str) and stage in STAGES:
            self.in_flight[id] = stage
        elif isinstance(id, str):
            self.in_flight.pop(id, None)
        outcome = line.get("outcome")
        return PairResult.from_record(outcome) if isinstance(outcome, dict) else None


# -- of a driver ------------------------------------------------------------------------------------------------------


class RunStore:
    """What one driver writes while it runs: results, logs of failures, progress.

    The journal of results spares the next run reading every sidecar. Each of several drivers on shards has its own.

    Parameters
    ----------
    root : Path
        The output folder.
    part : str
        Which shard: ``1of1`` for a run of all pairs.
    """

    def __init__(self, root: Path, part: str) -> None:
        self.root = root
        self._journal = root / WORK / f"{_RESULTS}-{part}.jsonl"
        own = [] if part == "1of1" else [root / WORK / f"{SHARD_PROGRESS}-{part}.json"]
        self._progress = [root / PROGRESS, *own]

    def append(self, result: PairResult) -> None:
        """Append the result of a finished pair.

        Raises
        ------
        OutputError
            When it cannot be written.
        """
        try:
            with self._journal.open("ab") as file:
                file.write(json.dumps(result.as_record()).encode() + b"\n")
        except OSError as error:
            raise _unwritable(self._journal, error) from None

    def write_log(self, result: PairResult, attempts: int) -> None:
        """Write the record of a failed pair."""
        record = result.as_record()
        failure = record.pop("failure")
        (self.root / LOGS).mkdir(exist_ok=True)
        write_json(self.root / log_name(result.id), {**record, "attempts": attempts, **failure})

    def remove_log(self, id: str) -> None:
        """Remove the record of an earlier failure of a pair."""
        (self.root / log_name(id)).unlink(missing_ok=True)

    def remove_logs(self, done: Collection[str]) -> None:
        """Remove records of failures of pairs that are done: their results belong to their inputs again."""
        for path in (self.root / LOGS).glob("*.json"):
            if path.stem in done:
                path.unlink(missing_ok=True)

    def merge(self) -> None:
        """Move the journal of a part of a cohort into that of all of it, so that parts leave no files each."""
        whole = self.root / WORK / f"{_RESULTS}-1of1.jsonl"
        if not self._journal.exists() or self._journal == whole:
            return
        with suppress(OSError), whole.open("ab") as file:  # on a full disk both stay, with the same lines
            file.write(self._journal.read_bytes())
            self._journal.unlink()
        for path in self._progress[1:]:
            path.unlink(missing_ok=True)

    def write_progress(self, numbers: Mapping[str, Any], groups: Iterable[Group]) -> None:
        """Write ``progress.json``."""
        failures = [
            {"class": group.kind, "signature": group.signature, "count": group.count, "example": group.example}
            for group in groups
        ]
        for path in self._progress:
            write_json(path, {**numbers, "groups": failures})


def read_journals(root: Path) -> dict[str, PairResult]:
    """The last result of each pair in the journals of all runs; lines that were cut off or damaged are left out."""
    results: dict[str, PairResult] = {}
    for path in sorted((root / WORK).glob(f"{_RESULTS}*.jsonl"), key=lambda path: path.stat().st_mtime_ns):
        with path.open("rb") as file:
            for line in file:
                result = PairResult.from_record(parse_object(line) or {})
                if result is not None:
                    results[result.id] = result.compact()
    return results


def _unwritable(path: Path, error: OSError) -> OutputError:
    return OutputError(f"{path} cannot be written: {error.strerror}; free some space")
