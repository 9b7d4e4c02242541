"""Markdown tables of a comparison's rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

Row = dict[str, Any]


@dataclass(frozen=True)
class Column:
    """A heading, where its number is found in a row, and how it is written."""

    heading: str
    value: Callable[[Row], float | None]
    form: str


def _score(name: str) -> Callable[[Row], float | None]:
    return lambda row: row.get("scores", {}).get(name)


def _cost(name: str) -> Callable[[Row], float | None]:
    return lambda row: row.get("cost", {}).get(name)


def _stage(name: str) -> Callable[[Row], float | None]:
    return lambda row: row.get("stages", {}).get(name)


def _gib(name: str) -> Callable[[Row], float | None]:
    def value(row: Row) -> float | None:
        count = _cost(name)(row)
        return None if count is None else count / 2**30

    return value


COLUMNS = (
    Column("affine Dice", _score("dice_affine"), ".3f"),
    Column("Dice", _score("dice"), ".4f"),
    Column("cortical", _score("dice_cortical"), ".4f"),
    Column("subcortical", _score("dice_subcortical"), ".4f"),
    Column("folds", _score("folds"), ".1e"),
    Column("inverse error mean", _score("inverse_error_mean"), ".3f"),
    Column("p99", _score("inverse_error_p99"), ".3f"),
    Column("bending", _score("bending"), ".4f"),
    Column("SD of log-Jacobian", _score("log_jacobian_sd"), ".3f"),
    Column("first run s", _stage("first"), ".2f"),
    Column("affine s", _stage("affine"), ".2f"),
    Column("deformable s", _stage("deformable"), ".2f"),
    Column("whole map s", _stage("map"), ".2f"),
    Column("wall s", _cost("wall_s"), ".1f"),
    Column("CPU s", _cost("cpu_s"), ".1f"),
    Column("peak GiB", _gib("peak_bytes"), ".2f"),
    Column("GPU GiB", _gib("device_bytes"), ".2f"),
)
NOTES = (
    "Dice: mean over the labels that both images have; cortical are labels >= 1000. Folds: share of voxels inside "
    "fixed labels with Jacobian determinant <= 0. Inverse error: voxels, displacement then inverse. Bending: mean "
    "squared second derivatives of the displacement, 1/mm^2. SD of log-Jacobian: of its natural logarithm, inside "
    "fixed labels, folds left out. Wall and CPU seconds and peak memory are of the whole "
    "process, files included; the stages are the tool's own, where it runs them apart. `*`: other processes had a "
    "share of the processor, so wall seconds are too high. First run: a tool on a GPU that has such seconds registered "
    "every pair twice in one process, and its stages are those of the second run. Whole map: "
    "where a tool does not count it as deformable. GPU memory: growth of what all processes use."
)


def by_tool(rows: Sequence[Row]) -> str:
    """One line per tool: means over its pairs."""
    tools = list(dict.fromkeys(row["tool"] for row in rows))
    shown = columns(rows)
    lines = [_line_of_means(tool, [row for row in rows if row["tool"] == tool], shown) for tool in tools]
    return table(["tool", "version", "pairs", *(c.heading for c in shown)], lines)


def columns(rows: Sequence[Row]) -> list[Column]:
    """Those for which any row has a value."""
    return [column for column in COLUMNS if any(column.value(row) is not None for row in rows)]


def _line_of_means(tool: str, rows: Sequence[Row], shown: Sequence[Column]) -> list[str]:
    good = [row for row in rows if "scores" in row]
    versions = sorted({row["version"] for row in rows})
    head = [tool + star(good), ", ".join(versions), _count(good, rows)]
    return head + means(good, shown)


def means(rows: Sequence[Row], shown: Sequence[Column]) -> list[str]:
    """Means over rows, as they are written in each column."""
    return [_written(column, _mean(column, rows)) for column in shown]


def _count(good: Sequence[Row], rows: Sequence[Row]) -> str:
    failed = len(rows) - len(good)
    return f"{len(good)} ({failed} failed)" if failed else str(len(good))


def _mean(column: Column, rows: Sequence[Row]) -> float | None:
    """None where a row has no value: means over fewer rows could not be compared."""
    values = [value for row in rows if (value := column.value(row)) is not None]
    return fmean(values) if values and len(values) == len(rows) else None


def by_pair(rows: Sequence[Row]) -> str:
    """One line per pair and tool."""
    shown = columns(rows)
    lines = [
        [row["pair"], row["tool"] + star([row]), *(_written(c, c.value(row)) for c in shown)]
        for row in sorted(rows, key=lambda row: row["pair"])
    ]
    return table(["fixed,moving", "tool", *(c.heading for c in shown)], lines)


def star(rows: Sequence[Row]) -> str:
    """The mark of rows whose wall seconds are too high."""
    return " *" if any(row["cost"]["contended"] for row in rows) else ""


def _written(column: Column, value: float | None) -> str:
    return "-" if value is None else format(value, column.form)


def table(headings: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Markdown of a table."""
    rule = ["---"] * len(headings)
    return "\n".join(f"| {' | '.join(line)} |" for line in (headings, rule, *lines))


def page(document: dict[str, Any]) -> str:
    """Return the whole Markdown page of a results document."""
    where, rows = place(document["machine"]), document["runs"]
    return "\n\n".join(["# Same pairs, same run", where, by_tool(rows), NOTES, by_pair(rows)]) + "\n"


def place(machine: dict[str, Any]) -> str:
    """Where results were measured."""
    gpus = "".join(f", {name}" for name in machine.get("gpus", ()))
    return f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB{gpus}"
