"""``warpline cohort summarise``: means, Jacobian and modulated maps, labels and tables of a finished cohort."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections import Counter
from typing import TYPE_CHECKING

from warpline.cli.cohort.arguments import allowance
from warpline.cli.options import add_device, number, positive_count

if TYPE_CHECKING:
    from warpline.cli.terminal import Terminal
    from warpline.cohort import GroupSummary

SUMMARY = "summarise the accepted pairs for statistics on groups: means, Jacobian and modulated maps, labels, tables"
EXAMPLE = """\
  warpline cohort summarise out
  warpline cohort summarise out --fwhm 4 8 --tissue gm="data/{id}_gm.nii.gz" --participants participants.tsv
  warpline cohort summarise out --maps jacobian modulated_label17 --label 17 --without-affine"""

NONE = "none"
"""Among maps: no 4-D files."""

SHOWN = 5
"""Pairs that are left out and named, of each reason."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the action."""
    parser.add_argument("output", metavar="OUT", help="the output folder of a run, finished or not")
    parser.add_argument("-o", "--target", metavar="FOLDER", help="the folder to write; default: OUT/summary")
    _add_maps(parser)
    who = parser.add_argument_group("who counts")
    who.add_argument("--include-doubtful", action="store_true", help="pairs with the verdict review too")
    who.add_argument("--decisions", metavar="TSV", help="decisions of people, from the page; they replace verdicts")
    who.add_argument(
        "--participants", metavar="TSV", help="table with participant_id; its columns are appended to subjects.tsv"
    )
    who.add_argument(
        "--allow-left-out", type=allowance, default=0, metavar="N|X%", help="left out, and exit code 0 all the same"
    )
    parser.add_argument(
        "--readers", type=positive_count, default=1, metavar="N", help="subjects in memory at once; default: 1"
    )
    add_device(parser)


def _add_maps(parser: ArgumentParser) -> None:
    maps = parser.add_argument_group("maps, each a 4-D file with a volume per subject")
    maps.add_argument(
        "--maps",
        nargs="+",
        metavar="NAME",
        help="log_jacobian, jacobian, warped, names of tissues, label17; modulated_ before an image multiplies it by "
        "the Jacobian; none; default: log_jacobian, and tissues and labels modulated",
    )
    maps.add_argument(
        "--fwhm", type=width, nargs="+", default=[0.0], metavar="MM", help="smoothing, one file each; 0: none"
    )
    maps.add_argument(
        "--tissue",
        type=tissue,
        action="append",
        default=[],
        metavar="NAME=PATTERN",
        help="images in the space of the moving ones, such as probabilities: gm=data/{id}_gm.nii.gz",
    )
    maps.add_argument(
        "--label", type=positive_count, nargs="+", default=[], metavar="N", help="labels whose regions are maps too"
    )
    maps.add_argument(
        "--without-affine", action="store_true", help="Jacobians of the displacement alone, relative to head size"
    )


def width(text: str) -> float:
    """A width in mm, 0 to 100."""
    if not 0 <= number(text) <= 100:
        raise ArgumentTypeError(f"{text!r} is not allowed; a width from 0 to 100 mm is needed")
    return float(text)


def tissue(text: str) -> tuple[str, str]:
    """Read ``NAME=PATTERN``."""
    name, equals, pattern = text.partition("=")
    if not (name and equals and pattern):
        raise ArgumentTypeError(f"{text!r} is not allowed; NAME=PATTERN is needed, such as gm=data/{{id}}_gm.nii.gz")
    return name, pattern


def run(options: Namespace, terminal: Terminal) -> int:
    """Summarise, say who is left out."""
    from warpline import cohort

    maps = None if options.maps is None else [name for name in options.maps if name != NONE]
    asked = cohort.GroupOptions(
        maps=maps,
        fwhm=options.fwhm,
        tissues=dict(options.tissue),
        labels=options.label,
        with_affine=not options.without_affine,
        include_doubtful=options.include_doubtful,
        decisions=options.decisions,
        participants=options.participants,
        target=options.target,
        allow_left_out=options.allow_left_out,
        readers=options.readers,
        backend=options.backend,
        threads=options.threads,
    )
    summary = cohort.summarise(options.output, asked, say=terminal.say)
    record = {
        "folder": str(summary.folder),
        "subjects": len(summary.subjects),
        "left_out": [{"id": one.id, "reason": one.reason} for one in summary.left_out],
        "files": summary.files,
        "exit_code": summary.exit_code,
    }
    terminal.result(record, *_shown(summary))
    return summary.exit_code


def _shown(summary: GroupSummary) -> list[str]:
    lines = [f"subjects   {len(summary.subjects)} count, {len(summary.left_out)} are left out"]
    reasons = Counter(one.reason for one in summary.left_out)
    for reason, count in reasons.most_common(SHOWN):
        named = [one.id for one in summary.left_out if one.reason == reason][:SHOWN]
        more = f" and {count - SHOWN} more" if count > SHOWN else ""
        lines.append(f"left out   {', '.join(named)}{more}: {reason}")
    if len(reasons) > SHOWN:
        lines.append("           the others are in left_out.tsv")
    return [*lines, f"wrote      {summary.folder}: {', '.join(summary.files)}"]
