"""``warpline cohort check``: what a run would do, without doing it."""

from __future__ import annotations

import math
import os
import shutil
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from warpline.cli.cohort.arguments import add_selection, options_of
from warpline.errors import InputError

if TYPE_CHECKING:
    from warpline.cli.terminal import Terminal
    from warpline.cohort import Options as RunOptions
    from warpline.cohort.plan import Plan, Task, Warps

SUMMARY = "check a manifest or BIDS folder, and say what a run would do"
EXAMPLE = """\
  warpline cohort check cohort.tsv out
  warpline cohort check bids out --fixed template.nii.gz --json"""

SHOWN = 5
"""Most missing files that are named."""

BYTES_PER_VOXEL: dict[Warps, float] = {"full": 14.0, "rounded": 3.3, "forward": 2.0, "none": 0.7}
"""Of all files of a pair, per voxel of the fixed image, for skull-stripped brains; heads take up to twice that."""

UNROUNDED: dict[Warps, float] = {**BYTES_PER_VOXEL, "rounded": 14.0, "forward": 7.4}
"""The same with a budget, for which displacements are not rounded."""

OF_UNCERTAINTY = 3.5
"""The same of the uncertainty, where it is asked for."""

WITH_VELOCITY: tuple[Warps, ...] = ("full", "rounded")
"""Those with which velocity fields are written."""

SAMPLED_IMAGES = 5
"""Fixed images whose size is read for the estimate of disk space."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the action."""
    add_selection(parser)


def run(options: Namespace, terminal: Terminal) -> int | None:
    """Plan a run, look for its inputs, estimate its size."""
    from warpline.cohort.checks import check_order, check_output
    from warpline.cohort.options import load_pairs, plan_pairs

    asked = options_of(options)
    root = Path(os.path.abspath(options.output))
    check_order(Path(options.output), options.source)
    pairs = load_pairs(options.source, asked)
    check_output(root, options.source)
    plan = plan_pairs(pairs, root, asked)
    absent = missing_inputs(plan.todo)
    need = disk_need(plan.todo, asked.warps, asked.geometry)
    record = {
        "pairs": len(plan.tasks),
        **{state: plan.count(state) for state in ("done", "new", "stale", "failed", "excluded")},
        "todo": len(plan.todo),
        "columns": sorted({name for pair in pairs for name in pair.columns}),
        "missing": absent,
        "refused": _refusal(plan, root, asked),
        "disk_bytes": need,
        "disk_free_bytes": _free(root),
    }
    terminal.result(record, *_shown(record))
    return InputError.exit_code if absent else None


def missing_inputs(tasks: Sequence[Task]) -> list[tuple[str, str]]:
    """Id and path of every input that is not there."""
    return [(task.id, path) for task in tasks for path in task.sources().values() if not os.path.exists(path)]


def disk_need(tasks: Sequence[Task], warps: Warps, geometry: str | None = None) -> float | None:
    """Bytes that the outputs will take, from the size of a few fixed images; None when none of them can be read.

    What their headers leave open is logged as a warning; `geometry` is the matrix that was asked for.
    """
    from warpline.errors import InputError
    from warpline.operations import grid_of

    voxels = []
    for path in dict.fromkeys(task.pair.fixed for task in tasks):
        try:
            voxels.append(math.prod(grid_of(path, geometry=geometry).shape))
        except InputError:
            continue
        if len(voxels) == SAMPLED_IMAGES:
            break
    each = BYTES_PER_VOXEL if all(task.recipe.budget.is_empty for task in tasks) else UNROUNDED
    bytes_per_pair = sum(map(partial(_bytes_per_voxel, warps=warps, each=each), tasks))
    return sum(voxels) / len(voxels) * bytes_per_pair if voxels else None


def _bytes_per_voxel(task: Task, *, warps: Warps, each: Mapping[Warps, float]) -> float:
    """Of all files of a pair; a velocity field takes as much as one of the two displacements."""
    more = 0.0 if task.recipe.uncertainty.is_empty else OF_UNCERTAINTY
    has_velocity = warps in WITH_VELOCITY and task.recipe.syn is not None and task.recipe.syn.model == "velocity"
    return each[warps] + more + has_velocity * (each[warps] - each["none"]) / 2


def _refusal(plan: Plan, root: Path, asked: RunOptions) -> str | None:
    """Why a run would be refused for what it replaces."""
    from warpline.cohort.checks import check_redo
    from warpline.errors import UsageError

    try:
        check_redo(plan, root, warps=asked.warps, named=asked.recipe is not None, redo=asked.redo)
    except UsageError as error:
        return str(error)
    return None


def _shown(record: dict[str, Any]) -> list[str]:
    states = ", ".join(f"{record[state]} {name}" for state, name in _STATES.items() if record[state])
    lines = [f"{record['pairs']} pairs: {states}", f"to run: {record['todo']}"]
    if record["refused"]:
        lines.append(f"a run would be refused: {record['refused']}")
    if record["columns"]:
        lines.append(f"copied to the results: {', '.join(record['columns'])}")
    if record["disk_bytes"] is not None:
        lines.append(f"disk: about {size(record['disk_bytes'])} needed, {size(record['disk_free_bytes'])} free")
    missing = record["missing"]
    lines += [f"missing: {path} ({id})" for id, path in missing[:SHOWN]]
    if len(missing) > SHOWN:
        lines.append(f"and {len(missing) - SHOWN} more files are missing")
    return lines


_STATES = {
    "done": "done",
    "new": "new",
    "stale": "done with other inputs, recipe or numerics",
    "failed": "failed before",
    "excluded": "excluded",
}


def size(count: float) -> str:
    """Bytes, as people say it."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def _free(root: Path) -> int:
    there = next(folder for folder in (root, *root.parents) if folder.exists())
    return shutil.disk_usage(there).free
