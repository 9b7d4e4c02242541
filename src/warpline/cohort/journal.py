"""Journals of chunks: what a worker is doing with each pair, readable after the worker has died."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from warpline.cohort.failures import Failure
from warpline.cohort.json_lines import object_in
from warpline.errors import OutputError

STAGES = ("read", "compute", "write")


class Journal:
    """Appends one line per event to a file, so that a killed process leaves all that it had said.

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
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o666)
        except FileExistsError:
            raise
        except OSError as error:
            raise self._unwritable(error) from None

    def begin(self, id: str, stage: str) -> None:
        """A pair enters a stage."""
        self._append({"id": id, "in": stage})

    def end(self, id: str) -> None:
        """A pair has left a stage and waits for the next."""
        self._append({"id": id, "in": None})

    def outcome(self, record: dict[str, Any]) -> None:
        """A pair is finished."""
        self._append({"id": record["id"], "in": None, "outcome": record})

    def leave(self, reason: str) -> None:
        """The process ends by its own will; no pair in flight is to blame."""
        self._append({"leaves": reason})

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _append(self, line: dict[str, Any]) -> None:
        try:
            os.write(self._file, b"\n" + json.dumps(line).encode() + b"\n")
        except OSError as error:
            raise self._unwritable(error) from None

    def _unwritable(self, error: OSError) -> OutputError:
        return OutputError(f"{self._path} cannot be written: {error.strerror}; free some space")


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
        Why the process ended by its own will; empty when it did not.
    """

    path: Path
    in_flight: dict[str, str] = field(default_factory=dict)
    leaves: str = ""
    _position: int = 0

    def news(self) -> list[dict[str, Any]]:
        """Outcomes that were written since the last call."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._position)
                text = file.read()
        except FileNotFoundError:
            return []
        whole = text[: text.rfind(b"\n") + 1]
        self._position += len(whole)
        return [outcome for line in whole.splitlines() if (outcome := self._take(line))]

    def _take(self, text: bytes) -> dict[str, Any] | None:
        line = object_in(text)  # nothing where it is empty, cut off by a full disk, or damaged
        if line is None:
            return None
        self.leaves = str(line.get("leaves", self.leaves))
        id, stage = line.get("id"), line.get("in")
        if isinstance(id, str) and stage in STAGES:
            self.in_flight[id] = stage
        elif isinstance(id, str):
            self.in_flight.pop(id, None)
        outcome = line.get("outcome")
        return outcome if isinstance(outcome, dict) and is_whole(outcome) else None


def is_whole(outcome: dict[str, Any]) -> bool:
    """Whether a record has all that an outcome has: id, status, seconds, and of a failure its parts."""
    seconds, failure = outcome.get("seconds"), outcome.get("failure")
    if not isinstance(outcome.get("id"), str) or not isinstance(seconds, dict):
        return False
    if not all(isinstance(value, int | float) for value in seconds.values()):
        return False
    try:
        return outcome.get("status") == "ok" or bool(Failure.from_record(failure or {}).kind)
    except (AttributeError, LookupError, TypeError):
        return False
