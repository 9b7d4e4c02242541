"""``warpline cite``: what was done, in words for the methods of a paper, with references."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from warpline.errors import InputError

if TYPE_CHECKING:
    from warpline.cli.terminal import Terminal

SUMMARY = "describe a registration, series, template, time points, labels or a cohort in words for a paper"
EXAMPLE = """\
  warpline cite out/sub-01_report.json
  warpline cite out/bold_report.json
  warpline cite template
  warpline cite out > methods.md"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument(
        "source",
        metavar="REPORT.json|OUT",
        help="report of a registration, series, time points or labels; or the folder of a cohort or template",
    )


def run(options: Namespace, terminal: Terminal) -> None:
    """Print the text."""
    from warpline.template.layout import RECORD

    source = Path(options.source)
    record = source / RECORD
    if record.is_file():
        source = record
    text = _of_cohort(source) if source.is_dir() else _of_report(source)
    terminal.result({"methods": text}, text.rstrip("\n"))


def _of_cohort(folder: Path) -> str:
    from warpline.cohort.methods import cohort_methods
    from warpline.cohort.plan import plan_of
    from warpline.cohort.results import judge_results

    root = folder.absolute()
    return cohort_methods(root, judge_results(plan_of(root).results(root)))


def _of_report(path: Path) -> str:
    from warpline.cohort.json_files import read_object
    from warpline.report.references import as_markdown

    if not path.is_file():
        raise InputError(f"{path} does not exist; give report.json of a registration, or the output folder of a cohort")
    report = read_object(path)
    try:
        return as_markdown([_description(report)])
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _description(report: Mapping[str, Any]) -> str:
    """The paragraph on whatever a report is of: time points, a series, labels, a template, or else two images."""
    from warpline.report.evidence import Evidence
    from warpline.report.label_methods import describe_labelling, is_labelling
    from warpline.report.longitudinal_methods import describe_time_points, is_longitudinal
    from warpline.report.methods import describe
    from warpline.report.series_methods import describe_series, is_series
    from warpline.report.template_methods import describe_template, is_template

    kinds = (
        (is_longitudinal, describe_time_points),
        (is_series, describe_series),
        (is_labelling, describe_labelling),
        (is_template, describe_template),
    )
    found = (write for is_such, write in kinds if is_such(report))
    return next(found, lambda pair: describe(Evidence([pair])))(report)
