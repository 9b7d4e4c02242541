"""``warpline cohort run``: register every pair that is not done."""

from __future__ import annotations

import shlex
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING, Any

from warpline.cli.cohort.arguments import PAGES, add_selection, add_workers, options_of
from warpline.cli.cohort.progress import failure_table, progress_display
from warpline.cli.cohort.report import write_again
from warpline.cli.options import ShowVersion

if TYPE_CHECKING:
    from rich.table import Table

    from warpline.cli.terminal import Terminal
    from warpline.cohort import Summary

SUMMARY = "register every pair that is not done; the same command again resumes"
EXAMPLE = """\
  warpline cohort run cohort.tsv out
  warpline cohort run cohort.tsv out --recipe syn-fast --workers 4 --time-limit 600
  warpline cohort run bids out participant --fixed template.nii.gz --participant-label 01 02
  warpline cohort run cohort.tsv out --shard 3/64"""

LEVELS = ("participant", "group")
"""Analysis levels of BIDS Apps."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the action."""
    add_selection(parser)
    parser.add_argument(
        "level", nargs="?", choices=LEVELS, default="participant", help="of BIDS Apps; group writes the report only"
    )
    add_workers(parser)
    parser.add_argument("--version", action=ShowVersion)
    parser.add_argument("--pages", choices=PAGES, default="flagged", help="which pairs get a page; default: flagged")


def run(options: Namespace, terminal: Terminal) -> int:
    """Run the cohort, say how it ended."""
    if options.level == "group":
        write_again(options.output, options.pages, terminal)
        return 0
    from warpline import cohort

    asked = options_of(
        options,
        workers=options.workers,
        workers_per_gpu=options.workers_per_gpu,
        scheduler=options.scheduler,
        credentials=options.scheduler_credentials,
        backend=options.backend,
        threads=options.threads,
        time_limit=options.time_limit,
        max_failures=options.max_failures,
        allow_failures=options.allow_failures,
        pages=options.pages,
    )
    with progress_display(terminal) as progress:
        summary = cohort.run(options.source, options.output, asked, progress=progress, say=terminal.say)
    terminal.result(_record(summary), *_shown(summary, options))
    return summary.exit_code


def _record(summary: Summary) -> dict[str, Any]:
    return {
        **{name: getattr(summary, name) for name in ("counts", "finished", "failed", "verdicts", "notes", "exit_code")},
        "failures": [group.as_record() for group in summary.groups],
        "not_compared": _few(summary) or None,
        "halt": None if summary.stop_reason is None else summary.stop_reason.reason,
        "seconds": summary.numbers["elapsed_s"],
        "pairs_per_s": summary.numbers["pairs_per_s"],
        "busy": summary.numbers["busy"],
        "page": summary.page,
    }


def _shown(summary: Summary, options: Namespace) -> list[str | Table]:
    counts = ", ".join(f"{count} {name}" for name, count in summary.counts.items() if count)
    shown: list[str | Table] = [f"pairs      {counts}; this run ended {summary.finished}"]
    if any(summary.verdicts.values()):
        shown.append("verdicts   " + ", ".join(f"{count} {name}" for name, count in summary.verdicts.items()))
    if few := _few(summary):
        shown.append(f"           {few}; verdicts are by fixed limits alone")
    if summary.finished:
        numbers = summary.numbers
        pace = f"{numbers['elapsed_s']:.1f} s, {numbers['pairs_per_s']:.3g} pairs per second"
        shown.append(f"time       {pace}; workers compute {numbers['busy']:.0%} of it")
    if summary.groups:
        shown.append(failure_table(summary.groups))
    shown += [f"warning    {note}" for note in summary.notes]
    if summary.stop_reason is not None:
        shown.append(f"stopped    {summary.stop_reason.reason}")
    return [*shown, "", "next:", *_next(summary, options)]


def _few(summary: Summary) -> str:
    """Says so where the pairs with a verdict are too few to compare them with each other."""
    from warpline.cohort.outliers import not_compared

    return not_compared(sum(summary.verdicts.values()))


def _next(summary: Summary, options: Namespace) -> list[str]:
    out, lines = shlex.quote(options.output), []
    left = summary.counts["new"] + summary.counts["stale"]
    if left:
        lines.append(f"  run the same command again: {left} {'pair is' if left == 1 else 'pairs are'} left")
    if summary.page is not None:
        lines.append(f"  open {summary.page}")
    if summary.groups:
        lines.append(f"  look into {out}/failures.tsv, mend the causes, then run it again with --retry-failed")
    return [*lines, f"  warpline cohort {'status' if summary.page is None else 'serve'} {out}"]
