"""``warpline cohort status``: how a run goes, or went."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from warpline.cli.cohort.arguments import CHECKSUMS
from warpline.cli.cohort.progress import duration, failure_table, line

if TYPE_CHECKING:
    from rich.table import Table

    from warpline.cli.terminal import Terminal

SUMMARY = "say how a run goes, or went; works while it runs, from any machine"
EXAMPLE = """\
  warpline cohort status out
  warpline cohort status out --json"""

LIVE = 60.0
"""Seconds after its last word for which a driver counts as at work; it speaks every five."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the action."""
    parser.add_argument("output", metavar="OUT", help="the output folder of a run, of all its shards together")
    parser.add_argument("--checksums", action="store_true", help=CHECKSUMS)


def run(options: Namespace, terminal: Terminal) -> None:
    """Count what lies in the folder, and add what drivers say."""
    from warpline.cohort.failures import group_failures
    from warpline.cohort.outliers import not_compared
    from warpline.cohort.plan import plan_of

    root = Path(options.output)
    plan = plan_of(root.absolute(), checksums=options.checksums)
    drivers = list(_drivers(root))
    live = [numbers for numbers in drivers if numbers["age_s"] < LIVE and not numbers["ended"]]
    rate = sum(numbers["pairs_per_s"] for numbers in live)
    numbers: dict[str, Any] = {
        "total": len(plan.tasks),
        "ok": plan.count("done"),
        "failed": plan.count("failed"),
        "todo": plan.count("new") + plan.count("stale"),
        "drivers": len(live),
        "pairs_per_s": rate,
        "busy": sum(numbers["busy"] for numbers in live) / max(len(live), 1),
    }
    numbers["eta_s"] = round(numbers["todo"] / rate) if rate else None
    groups = group_failures(plan.failures())
    few = not_compared(numbers["ok"] + numbers["todo"])
    record = {
        **numbers,
        "not_compared": few or None,
        "damaged": plan.damaged,
        "groups": [group.as_record() for group in groups],
    }
    shown: list[str | Table] = [line(numbers), _activity(drivers, live), *filter(None, [few])]
    if groups:
        shown.append(failure_table(groups))
    terminal.result(record, *shown)


def _drivers(root: Path) -> Iterator[dict[str, Any]]:
    """The last words of every driver, with how many seconds ago they were said."""
    from warpline.cohort.journal import SHARD_PROGRESS
    from warpline.cohort.json_files import read_object
    from warpline.cohort.layout import PROGRESS, WORK

    for path in list((root / WORK).glob(f"{SHARD_PROGRESS}-*.json")) or [root / PROGRESS]:
        try:
            numbers = read_object(path)
            age = (datetime.now(UTC) - datetime.fromisoformat(numbers["updated"])).total_seconds()
            rates = {name: float(numbers[name]) for name in ("pairs_per_s", "busy")}
        except (KeyError, TypeError, ValueError):  # missing, damaged, or half of it
            continue
        yield {**rates, "ended": bool(numbers.get("ended")), "age_s": age}


def _activity(drivers: list[dict[str, Any]], live: list[dict[str, Any]]) -> str:
    if live:
        return f"{len(live)} at work"
    ages = [numbers["age_s"] for numbers in drivers]
    return f"none at work; the last word was {duration(min(ages))} ago" if ages else "none at work"
