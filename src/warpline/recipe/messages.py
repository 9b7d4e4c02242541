"""What is wrong with a recipe, in words: pydantic's errors as lines that name the key, and names that were meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

_SHOWN = 80
"""Letters of a value that an error repeats."""

_RESEMBLES = 0.6
"""Least ratio of `difflib` of a name that may have been meant."""


def shortened(value: Any) -> str:
    """A value as it is written, cut where it is long."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def did_you_mean(name: Any, known: Collection[str]) -> str:
    """``"did you mean 'iterations'? "`` where one known name resembles this one, or alone contains it; else ``""``."""
    written = str(name).lower()[:_SHOWN]
    close = difflib.get_close_matches(written, known, 1, _RESEMBLES)
    holding = [one for one in known if written and written in one]
    meant = close or (holding if len(holding) == 1 else [])
    return f"did you mean {meant[0]!r}? " if meant else ""


def message_of(error: ValidationError, table: type[BaseModel]) -> str:
    """The first thing that is wrong: its key and value, what is allowed, and what may have been meant.

    Parameters
    ----------
    error : ValidationError
        Of validating `table`.
    table : type of BaseModel
        The recipe, or one of its sections.
    """
    first = error.errors()[0]
    where = first["loc"]
    if first["type"] == "extra_forbidden":
        return _unknown(where, first["input"], table)
    problem = _problem(first)
    key = ".".join(map(str, where))
    if isinstance(first["input"], Mapping | BaseModel) and first["type"] in ("value_error", "missing"):
        return f"{key}: {problem}" if key else problem  # the whole table does not fit together: nothing to repeat
    return f"{key} = {shortened(first['input'])}: {problem}"


def _problem(first: Any) -> str:
    kind = first["type"]
    if kind == "literal_error":
        allowed = re.findall(r"'([^']*)'", first["ctx"]["expected"])
        return f"{did_you_mean(first['input'], allowed)}choose from {', '.join(allowed)}"
    return _PROBLEMS.get(kind, str(first["msg"]).removeprefix("Value error, "))


_PROBLEMS = {
    "tuple_type": "several values are needed, written as [1, 2]",
    "model_type": "a section is needed, [NAME] with a line KEY = VALUE for each option",
    "missing": "a value is needed",
}
"""What to say for some of pydantic's types of errors, in place of its own words."""


def _unknown(where: Sequence[int | str], value: Any, table: type[BaseModel]) -> str:
    """No such option: where it would be one, or what it resembles, and all that there are."""
    *above, name = where
    inside = _table_at(table, above)
    known = tuple(inside.model_fields)
    elsewhere = [key for key, part in _sections(table) if name in part.model_fields and part is not inside]
    meant = "".join(f"did you mean {key}.{name}? " for key in elsewhere) or did_you_mean(name, known)
    shown = "" if isinstance(value, Mapping) else f" = {shortened(value)}"
    return f"{'.'.join(map(str, where))}{shown}: no such option; {meant}choose from {', '.join(known)}"


def _sections(table: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    for name in table.model_fields:
        part = _table_of(table, name)
        if part is not None:
            yield name, part


def _table_at(table: type[BaseModel], where: Sequence[int | str]) -> type[BaseModel]:
    """The table that keys lead to; numbers of entries are passed by."""
    for name in where:
        table = _table_of(table, name) or table
    return table


def _table_of(table: type[BaseModel], name: int | str) -> type[BaseModel] | None:
    """The table that an option holds, alone or in a list, where it holds one."""
    field = table.model_fields.get(str(name))
    return None if field is None else next(_tables_in(field.annotation), None)


def _tables_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _tables_in(part)
