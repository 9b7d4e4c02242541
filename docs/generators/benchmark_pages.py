"""Pages of what was measured, from the files in `bench/results`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import repository_links
import restructured as rst

Row = dict[str, Any]
INTRODUCTION = """\
Each table is made from its file of results when this site is built. How it was measured stands behind its link.
"""

RESULTS = repository_links.ROOT / "bench" / "results"

sys.path.insert(0, str(RESULTS.parent))


@dataclass(frozen=True)
class Column:
    """A heading, where its value stands in a row, and how it is written."""

    heading: str
    key: str
    form: str = ""


@dataclass(frozen=True)
class Section:
    """A table of one file of results, and the page that tells how they were made."""

    title: str
    file: str
    rows: Callable[[Any], Sequence[Row]]
    columns: tuple[Column, ...]
    more: str


def _means_of_tools(document: Any) -> list[Row]:
    """Means over pairs by the benchmark's own columns, all of them."""
    import tables

    rows = document["runs"]
    tools = dict.fromkeys(row["tool"] for row in rows)
    return [_mean_row(tables, tool, [row for row in rows if row["tool"] == tool]) for tool in tools]


def _mean_row(tables: Any, tool: str, rows: Sequence[Row]) -> Row:
    written = tables.means(rows, tables.COLUMNS)
    names = [column.heading for column in tables.COLUMNS]
    return {"tool": tool + tables.star(rows), "pairs": len(rows), **dict(zip(names, written, strict=True))}


def _gpu_walls(document: Any) -> list[Row]:
    """Both sessions of the file: the first wall, and the median of those after it."""
    sessions = {"before": document["before"]["headline"], "after": document["after"]["headline"]}
    return [
        {**one, "session": name, "first": one["walls"][0], "again": median(one["walls"][1:])}
        for name, one in sessions.items()
    ]


def _with_inputs(document: Any) -> list[Row]:
    """Slices are as they are, brains on voxels as long."""
    kinds = {"oasis-trt-20-slices": "slices", "oasis-trt-20": "brains"}
    return [{**one, "inputs": f"{kinds[one['data']]}, {one['every']} mm"} for one in document["summary"]]


def _spread_beside_error(document: Any) -> list[Row]:
    """Means over images whose true map is known."""
    rows = [one for one in document["summary"] if one["truth"] == "known map"]
    return [{key: value["mean"] if isinstance(value, dict) else value for key, value in one.items()} for one in rows]


def _counted(document: Any) -> list[Row]:
    return [document["summary"]]


SECTIONS = (
    Section(
        "Labelled brains on a CPU",
        "compare-cpu.json",
        _means_of_tools,
        (
            Column("tool", "tool"),
            Column("pairs", "pairs"),
            *(
                Column(name, name)
                for name in ("Dice", "folds", "inverse error mean", "bending", "wall s", "CPU s", "peak GiB")
            ),
        ),
        "every row, version and setting: :doc:`compare-cpu`; at equal smoothness: :doc:`front`",
    ),
    Section(
        "One pair on an H100",
        "gpu-h100-three-scales.json",
        _gpu_walls,
        (
            Column("session", "session"),
            Column("first run s", "first", ".1f"),
            Column("again s, median", "again", ".2f"),
            Column("Dice", "dice", ".3f"),
            Column("folds", "folded_voxels"),
            Column("inverse error mean", "inverse_error_mean", ".3f"),
            Column("same bits", "same_bits"),
        ),
        "before and after changes of kernels: :doc:`kernel log <../kernel-log>`",
    ),
    Section(
        "From small to large",
        "scaling.json",
        lambda document: document["rows"],
        (
            Column("voxels, mm", "voxel_size"),
            Column("shape", "shape"),
            Column("wall s", "wall_s", ".1f"),
            Column("CPU s", "cpu_s", ".1f"),
            Column("CPU microseconds per voxel", "cpu_microseconds_per_voxel", ".1f"),
            Column("bytes per voxel", "bytes_per_voxel"),
        ),
        "one pair of brains: :doc:`measuring`",
    ),
    Section(
        "Motion of a time series",
        "series.json",
        lambda document: document["rows"],
        (
            Column("tool", "tool"),
            Column("volumes", "volumes"),
            Column("error, mean mm", "points_mm_mean", ".3f"),
            Column("error, largest mm", "points_mm_max", ".3f"),
            Column("CPU s per volume", "cpu_seconds_per_volume", ".2f"),
        ),
        "known motion: :doc:`../series`",
    ),
    Section(
        "Labels from five atlases",
        "labelling.json",
        lambda document: document["summary"],
        (
            Column("method", "method"),
            Column("subjects", "subjects"),
            Column("Dice", "dice", ".3f"),
            Column("cortical", "dice_cortical", ".3f"),
            Column("subcortical", "dice_subcortical", ".3f"),
        ),
        "held-out brains: :doc:`../labelling`",
    ),
    Section(
        "Templates of ten subjects",
        "template.json",
        lambda document: document,
        (
            Column("inputs", "case"),
            Column("tool", "tool"),
            Column("sharpness, 1/mm", "sharpness", ".4f"),
            Column("Dice of two subjects", "dice", ".3f"),
            Column("CPU s", "cpu_seconds", ".0f"),
        ),
        ":doc:`../template`",
    ),
    Section(
        "Change between time points",
        "longitudinal.json",
        _with_inputs,
        (
            Column("inputs", "inputs"),
            Column("tool", "tool"),
            Column("growth", "growth"),
            Column("mean error", "mean_error", ".3f"),
            Column("spread", "spread", ".3f"),
            Column("swapped, largest mm", "swapped_mm_max", ".2g"),
            Column("seconds", "seconds", ".1f"),
        ),
        ":doc:`../longitudinal`",
    ),
    Section(
        "Uncertainty beside the true error",
        "uncertainty.json",
        _spread_beside_error,
        (
            Column("images", "images"),
            Column("number", "rows"),
            Column("median spread, mm", "spread_median", ".2f"),
            Column("median error, mm", "error_median", ".2f"),
            Column("correlation of both", "pearson", ".2f"),
            Column("within 1 spread", "within_1", ".0%"),
            Column("within 2", "within_2", ".0%"),
            Column("within 3", "within_3", ".0%"),
        ),
        "known maps: :doc:`../uncertainty`",
    ),
    Section(
        "Whether a wrong map is noticed",
        "judgement.json",
        _counted,
        (
            Column("right", "right"),
            Column("wrong", "wrong"),
            Column("between", "between"),
            Column("right ones doubted", "false_alarms", ".1%"),
            Column("wrong ones called fine", "missed_failures", ".1%"),
        ),
        "limits were set on these pairs: :doc:`../quality`",
    ),
    Section(
        "The same on other brains",
        "judgement-held-out.json",
        _counted,
        (
            Column("right", "right"),
            Column("wrong", "wrong"),
            Column("right ones doubted", "false_alarms", ".1%"),
            Column("wrong ones called fine", "missed_failures", ".1%"),
        ),
        "nothing was set on them: :doc:`../quality`",
    ),
)


def pages() -> Iterator[tuple[str, str]]:
    """Yield the one page."""
    picture = rst.block("image:: ../../bench/results/front.svg", options=(":alt: Overlap against bending, by tool",))
    parts = [rst.title("Benchmarks"), INTRODUCTION, picture, *map(_section, SECTIONS), _all_files()]
    yield "benchmarks.rst", "\n".join(parts)


def _section(section: Section) -> str:
    rows = section.rows(json.loads((RESULTS / section.file).read_text(encoding="utf-8")))
    table = rst.table([one.heading for one in section.columns], [_written(section, row) for row in rows])
    return f"{rst.title(section.title, '-')}\n{table}\n{_download(section.file)}; {section.more}.\n"


def _written(section: Section, row: Row) -> list[str]:
    return [rst.plain(_cell(row[one.key], one.form)) for one in section.columns]


def _cell(value: Any, form: str) -> str:
    """What was not measured is not a number."""
    return "n/a" if value is None else format(_plain(value), form)


def _plain(value: Any) -> Any:
    """Lists as shapes are written, truth values as words."""
    if isinstance(value, list):
        return " x ".join(map(str, value))
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else value


def _download(file: str) -> str:
    return f":download:`{file} <../../bench/results/{file}>`"


def _all_files() -> str:
    files = sorted(path.name for path in RESULTS.glob("*.json"))
    return f"{rst.title('All files', '-')}\n{', '.join(map(_download, files))}\n"
