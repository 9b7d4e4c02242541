"""What is wrong with a recipe, in words: pydantic's errors as lines that name the key, and names that were meant."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from warpline.spelling import did_you_mean

_SHOWN = 80
"""Letters of a value that an error repeats."""


def shortened(value: Any) -> str:
    """A value as it is written, cut where it is long."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def message_of(error: ValidationError, table: type[BaseModel], further: Sequence[str] = ()) -> str:
    """What is wrong first: its key and value, what is allowed, and what may have been meant.

    A key that does not exist comes before the rest: where one is misspelt, the one that was meant is missing.

    Parameters
    ----------
    error : ValidationError
        Of validating `table`.
    table : type of BaseModel
        The recipe, or one of its sections.
    further : sequence of str
        Keys that may stand beside those of the table, such as the base of a file.
    """
    first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    where, kind = first["loc"], first["type"]
    if kind == "extra_forbidden":
        return _unknown(where, first["input"], table, further)
    if kind == "missing" and isinstance(where[-1], int):  # the list is too short
        where, kind = where[:-1], "tuple_type"
    problem = _problem(kind, where, first, table)
    key = ".".join(map(str, where))
    if isinstance(first["input"], Mapping | BaseModel) and kind in ("value_error", "missing"):
        return f"{key}: {problem}" if key else problem  # the whole table does not fit together: nothing to repeat
    return f"{key} = {_written(first['input'])}: {problem}"


def _written(value: Any) -> str:
    return "off" if value is None else shortened(value)


def _problem(kind: str, where: Sequence[int | str], error: Any, table: type[BaseModel]) -> str:
    if kind == "literal_error":
        allowed = re.findall(r"'([^']*)'", error["ctx"]["expected"])
        return f"{did_you_mean(error['input'], allowed)}choose from {', '.join(allowed)}"
    option = _table_at(table, where[:-1]).model_fields.get(str(where[-1])) if where else None
    entries = () if option is None else next(_lists_in(option.annotation), ())
    if option is not None and (kind == "tuple_type" or (kind == "too_long" and Ellipsis not in entries)):
        return _list_needed(option, entries)
    kind = "entry_type" if kind == "model_type" and option is None else kind
    words = _PROBLEMS.get(kind)
    return str(error["msg"]).removeprefix("Value error, ") if words is None else words.format(**error.get("ctx", {}))


def _list_needed(option: FieldInfo, entries: Sequence[Any]) -> str:
    """How many values an option needs, and how they are written."""
    if Ellipsis not in entries:
        return f"{len(entries)} values are needed, written as [{', '.join('ABCDEFGH'[: len(entries)])}]"
    if any(_tables_in(entries[0])):
        return "several tables are needed, written as [{KEY = VALUE}, {KEY = VALUE}]"
    if str in (entries[0], *get_args(entries[0])):
        return (
            f"several values are needed, written as {json.dumps(option.default)}: text in a list needs quotation marks "
            "(in a shell, put '...' around the whole setting)"
        )
    return "several numbers are needed, written as [1, 2]"


_WHOLE, _NUMBER, _BOOLEAN = "a whole number is needed", "a number is needed", "true or false is needed"

_PROBLEMS = {
    "model_type": "a section is needed, [NAME] with a line KEY = VALUE for each option",
    "entry_type": "a table is needed, written as {{KEY = VALUE}}",
    "missing": "a value is needed",
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": "a finite number is needed",
    "bool_type": _BOOLEAN,
    "bool_parsing": _BOOLEAN,
    "string_type": "text is needed, in quotation marks",
    "string_too_long": "at most {max_length} letters are allowed",
    "less_than_equal": "at most {le:.12g} is allowed",
    "less_than": "less than {lt:.12g} is needed",
    "greater_than_equal": "at least {ge:.12g} is needed",
    "greater_than": "more than {gt:.12g} is needed",
    "too_long": "too many: {max_length} or fewer are allowed",
    "too_short": "too few: {min_length} or more are needed",
}
"""What to say for pydantic's types of errors, in place of its own words."""


def _unknown(where: Sequence[int | str], value: Any, table: type[BaseModel], further: Sequence[str]) -> str:
    """No such option: where it would be one, or what it resembles, and all that there are."""
    *above, name = where
    inside = _table_at(table, above)
    known = (*(() if above else further), *inside.model_fields)
    elsewhere = [f"{key}.{name}" for key, part in _sections(table) if name in part.model_fields and part is not inside]
    meant = f"did you mean {' or '.join(elsewhere)}? " if elsewhere else did_you_mean(name, known)
    shown = "" if isinstance(value, Mapping) else f" = {_written(value)}"
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


def _lists_in(annotation: Any) -> Iterator[tuple[Any, ...]]:
    """Types of the entries of the lists that an option may be, the last one ... where there may be any number."""
    if get_origin(annotation) is tuple:
        yield get_args(annotation)
        return
    for part in get_args(annotation):
        yield from _lists_in(part)
