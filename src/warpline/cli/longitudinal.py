"""``warpline longitudinal``: the change between time points of one subject, by way of a middle that prefers none."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from warpline.cli.options import add_device, add_geometry, finite, positive, positive_count
from warpline.errors import UsageError

if TYPE_CHECKING:
    from warpline.cli.terminal import Terminal

SUMMARY = "measure the change between time points of one subject, by way of a middle that prefers none of them"
EXAMPLE = """\
  warpline longitudinal ses-1_t1.nii.gz ses-2_t1.nii.gz -o out/
  warpline longitudinal ses-1_t1.nii.gz ses-2_t1.nii.gz ses-3_t1.nii.gz -o out/ --years 71.2 72.3 74
  warpline longitudinal a.nii.gz b.nii.gz -o out/ --dates 2020-01-31 2022-02-15 --set syn.total_sigma=1
  warpline longitudinal a.nii.gz b.nii.gz -o out/ --labels a_labels.nii.gz --masks a_brain.nii.gz b_brain.nii.gz"""

FAILED = 7
"""Exit code of a run whose files are written, but of which a pair is judged certainly wrong."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument(
        "points", nargs="+", metavar="IMAGE", help="two or more time points of one contrast, the earliest first"
    )
    parser.add_argument(
        "-o", "--output", required=True, metavar="FOLDER", help="folder of all results, made if missing"
    )
    when = parser.add_mutually_exclusive_group()
    when.add_argument(
        "--years", nargs="+", type=finite, metavar="YEAR", help="when each was taken, or ages: changes per year too"
    )
    when.add_argument("--dates", nargs="+", metavar="DATE", help="the same as dates, 2020-01-31")
    _add_marks(parser)
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="settings",
        help="option of the deformable stage, such as syn.total_sigma=1 for smoother changes",
    )
    parser.add_argument(
        "--memory",
        type=positive,
        metavar="GB",
        help="memory the process may take; default: what is free. Time points that need more are registered on coarser "
        "grids, and a warning says so",
    )
    add_geometry(parser)
    add_device(parser)


def _add_marks(parser: ArgumentParser) -> None:
    """What counts, and what is measured."""
    parser.add_argument(
        "--masks",
        nargs="+",
        default=(),
        metavar="FILE",
        help="where each time point counts, in their order: voxels that are not 0; one alone is that of all of them",
    )
    parser.add_argument(
        "--labels", metavar="FILE", help="labels of a time point, whose growth is written as a table; on any grid"
    )
    parser.add_argument(
        "--labels-of",
        type=positive_count,
        metavar="NUMBER",
        help="which time point the labels belong to, from 1; default: 1",
    )


def run(options: Namespace, terminal: Terminal) -> int | None:
    """Register, write, print the summary."""
    from warpline.longitudinal import run_longitudinal

    def show(step: str, done: int, total: int) -> None:
        terminal.say(f"{step}: {done} of {total} pairs")

    passed = ("years", "dates", "masks", "labels", "settings", "memory", "geometry", "backend", "threads")
    how: dict[str, Any] = {name: getattr(options, name) for name in passed}
    found = run_longitudinal(
        options.points,
        options.output,
        labels_of=_labels_of(options),
        progress=terminal.progress(),
        on_pair=show,
        **how,
    )
    terminal.result(found.report, *facts_of(found.report))
    return FAILED if any(_has_failed(pair) for pair in found.report["pairs"]) else None


def _labels_of(options: Namespace) -> int:
    """The number of the time point with labels, from 0."""
    if options.labels_of is None:
        return 0
    if options.labels is None:
        raise UsageError("--labels-of says whose labels are given, and there are none; add --labels FILE")
    if options.labels_of > len(options.points):
        raise UsageError(f"--labels-of is {options.labels_of}; there are {len(options.points)} time points")
    number: int = options.labels_of - 1
    return number


def _has_failed(pair: dict[str, Any]) -> bool:
    return "failed" in (pair["judgement"], pair["rigid_judgement"])


def facts_of(report: dict[str, Any]) -> Iterator[str]:
    """The report as a person reads it.

    Parameters
    ----------
    report : dict
        Of a `warpline.LongitudinalRegistration`.
    """
    middle = report["middle"]
    sizes, voxel = " x ".join(map(str, middle["shape"])), middle["voxel_size"][0]
    yield f"middle         {sizes} voxels of {voxel:.3g} mm"
    for row in report["changes"]:
        yearly = row["object_growth_percent_per_year"]
        per_year = "" if yearly is None else f", {yearly:+.2f} % a year"
        yield (
            f"change         {row['from']} to {row['to']}: what is shown grew by "
            f"{row['object_growth_percent']:+.2f} %{per_year}; log Jacobians from {row['log_jacobian']['p01']:+.3f} to "
            f"{row['log_jacobian']['p99']:+.3f}"
        )
    for row in (report["labels"] or {"growth": ()})["growth"]:
        grown = "not known" if row["growth_percent"] is None else f"{row['growth_percent']:+.2f} %"
        yield f"label {row['label']:<8} {row['from']} to {row['to']}: {grown}"
    for pair in report["pairs"]:
        for stage, judgement in (("rigid, ", pair["rigid_judgement"]), ("", pair["judgement"])):
            if judgement != "fine":
                yield f"judgement      {' and '.join(pair['names'])}: {stage}{judgement}"
    for warning in report["warnings"]:
        yield f"warning        {warning}"
    yield f"seconds        {sum(report['seconds'].values()):.1f}"
    for kind, path in report["outputs"].items():
        yield f"{kind:<14} {path}"
