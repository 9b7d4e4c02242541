"""From a source and the options of a run to its pairs, their tasks, and the plan."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from warpline.cohort import bids
from warpline.cohort.decisions import Decisions, read_decided_ids
from warpline.cohort.manifest import PATHS, Pair, check_ids, read_manifest
from warpline.cohort.options import Options
from warpline.cohort.plan import Plan, Task, make_plan, make_tasks
from warpline.cohort.results import RESULT_COLUMNS
from warpline.errors import InputError, UsageError

Source = str | os.PathLike[str] | Sequence[Pair]
"""A manifest, a BIDS folder, or pairs."""


def load_pairs(source: Source, options: Options) -> list[Pair]:
    """The pairs of a manifest, a BIDS folder or a list, with absolute paths.

    Raises
    ------
    InputError, UsageError
        When they cannot be read, or a fixed image is missing.
    """
    fixed = None if options.fixed is None else os.path.abspath(options.fixed)
    if isinstance(source, str | os.PathLike):
        pairs = _pairs_in(source, fixed, options)
    else:
        pairs = [replace(pair, fixed=pair.fixed or fixed or "") for pair in source]
        check_ids(pairs, "pairs")
        pairs = [_absolute(pair) for pair in pairs]
    absent = next((pair.id for pair in pairs if not pair.fixed), None)
    if absent is not None:
        raise UsageError(f"pair {absent!r} has no fixed image; give one in the manifest, or --fixed for all")
    taken = next((name for pair in pairs for name in pair.columns if name in RESULT_COLUMNS), None)
    if taken is not None:
        raise InputError(f"column {taken!r} of the manifest is one of the results; rename it: 'given_{taken}'")
    return [replace(pair, space=pair.space or options.space) for pair in pairs] if options.space else pairs


def tasks_of(pairs: Sequence[Pair], options: Options) -> list[Task]:
    """The tasks of some pairs; nothing is written.

    Raises
    ------
    UsageError, InputError
        When a recipe is unknown, or ids would give the same or too long names.
    """
    return make_tasks(pairs, recipe=options.load_recipe(), warps=options.warps, geometry=options.geometry)


def plan_pairs(pairs: Sequence[Pair], root: Path, options: Options) -> Plan:
    """What there is to do for these pairs in an output folder; nothing is written."""
    return plan_tasks(tasks_of(pairs, options), root, options, read_decided_ids(pairs, options))


def plan_tasks(tasks: Sequence[Task], root: Path, options: Options, decided: Decisions) -> Plan:
    """The same from tasks and decisions that were read before."""
    exclude, again = decided
    return make_plan(
        tasks,
        root,
        exclude=exclude,
        again=again,
        retry_failed=options.retry_failed,
        shard=options.shard,
        checksums=options.checksums,
    )


def _pairs_in(source: str | os.PathLike[str], fixed: str | None, options: Options) -> list[Pair]:
    if not os.path.isdir(source):
        if options.selected or options.entities or options.bids_filter is not None:
            raise UsageError("participants, sessions and entities belong to a BIDS folder; a manifest has rows")
        return read_manifest(source, fixed=fixed)
    if fixed is None:
        raise UsageError("a BIDS folder needs a fixed image for all subjects: --fixed FILE")
    chosen = {"participants": options.participants, "sessions": options.sessions}
    wanted = bids.Filter.of(options.suffix, options.entities, options.bids_filter)
    return bids.scan(source, fixed=fixed, wanted=wanted, **chosen)


def _absolute(pair: Pair) -> Pair:
    return replace(pair, **{name: os.path.abspath(path) for name in PATHS if (path := getattr(pair, name))})
