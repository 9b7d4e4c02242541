"""``warpline longitudinal``: the change between time points of one subject, by way of a middle that prefers none."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from warpline.cli.options import add_device, add_geometry, finite

if TYPE_CHECKING:
    from warpline.cli.terminal import Terminal

SUMMARY = "measure the change between time points of one subject, by way of a middle that prefers none of them"
EXAMPLE = """\
  warpline longitudinal ses-1_t1.nii.gz ses-2_t1.nii.gz -o out/
  warpline longitudinal ses-1_t1.nii.gz ses-2_t1.nii.gz ses-3_t1.nii.gz -o out/ --years 71.2 72.3 74
  warpline longitudinal a.nii.gz b.nii.gz -o out/ --dates 2020-01-31 2022-02-15 --set syn.total_sigma=1"""


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
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="settings",
        help="option of the deformable stage, such as syn.total_sigma=1 for smoother changes",
    )
    add_geometry(parser)
    add_device(parser)


def run(options: Namespace, terminal: Terminal) -> None:
    """Register, write, print the summary."""
    from warpline.longitudinal import run_longitudinal

    passed = ("years", "dates", "settings", "geometry", "backend", "threads")
    how: dict[str, Any] = {name: getattr(options, name) for name in passed}
    found = run_longitudinal(options.points, options.output, progress=_progress(terminal), **how)
    terminal.result(found.report, *facts_of(found.report))


def _progress(terminal: Terminal) -> Any:
    """Says every pair."""

    def show(step: str, done: int, total: int) -> None:
        terminal.say(f"{step}: {done} of {total} pairs")

    return show


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
    for pair in report["pairs"]:
        if pair["judgement"] != "fine":
            yield f"judgement      {' and '.join(pair['names'])}: {pair['judgement']}"
    for warning in report["warnings"]:
        yield f"warning        {warning}"
    yield f"seconds        {sum(report['seconds'].values()):.1f}"
    for kind, path in report["outputs"].items():
        yield f"{kind:<14} {path}"
