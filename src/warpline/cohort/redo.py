"""Finished pairs that a run would delete and do again: refused unless asked for, told where little is lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from warpline.cohort.json_lines import read_object
from warpline.cohort.rows import Row
from warpline.cohort.state import Plan, differs_in_options
from warpline.cohort.tasks import Task, Warps
from warpline.errors import UsageError
from warpline.recipe import NUMERICS

LITTLE = 300.0
"""Seconds of computing that may be lost to a recipe that is named, without another word."""

SHOWN = 5
"""Most pairs, and most options, that are named."""


def check_redo(plan: Plan, root: Path, *, warps: Warps, named: bool, redo: bool) -> list[str]:
    """What finished pairs a run replaces, in lines for the user.

    Parameters
    ----------
    plan : Plan
        Of the run.
    root : Path
        The output folder.
    warps : str
        How displacement fields are kept.
    named : bool
        Whether the recipe was given, rather than left to the default.
    redo : bool
        Whether replacing was asked for.

    Raises
    ------
    UsageError
        When finished pairs of another recipe, of other outputs or older numerics would be replaced without having been
        asked for. It passes where the recipe is named, no displacement field would go without a new one, and the
        results took less than `LITTLE`.
    """
    wanted = plan.again or frozenset()
    found = [(task, row) for task in plan.todo if (row := plan.replaced.get(task.id)) and task.id not in wanted]
    other = [(task, row) for task, row in found if differs_in_options(row.key, task)]
    changed = len(found) - len(other)
    lines = [f"{changed} finished pairs are done again: their inputs have changed"] if changed else []
    if not other:
        return lines
    seconds = _seconds([row for _, row in other])
    what = (
        f"{len(other)} finished pairs ({_some([task.id for task, _ in other])}), about {_span(seconds)} of computing, "
        f"were made with other options: {'; '.join(_differences(*other[0], root, warps))}"
    )
    little = named and seconds < LITTLE and not any(_loses_field(task, row, warps) for task, row in other)
    if not redo and not little:
        raise UsageError(
            f"{what}. Give the options of the run that made them, or --redo to replace them by results of recipe "
            f"{other[0][0].recipe.name}"
        )
    return [*lines, f"{what}; they are replaced"]


def _seconds(rows: Sequence[Row]) -> float:
    """Time that pairs took, from the middle one: the first of a run also compiles."""
    known = [value for row in rows if row.metrics is not None and (value := row.metrics["seconds"]) is not None]
    return median(known) * len(rows) if known else 0.0


def _loses_field(task: Task, row: Row, warps: Warps) -> bool:
    had = row.metrics is not None and row.metrics["displacement_mean"] is not None
    return had and (task.recipe.syn is None or warps == "none")


def _differences(task: Task, row: Row, root: Path, warps: Warps) -> Iterator[str]:
    """How the options of a finished pair differ from those of its task."""
    before = read_object(root / task.place.sidecar) or {}
    if row.recipe != task.recipe.name:
        yield f"recipe {row.recipe} then, {task.recipe.name} now"
        return
    if before.get("numerics") != NUMERICS:
        yield f"numerics {before.get('numerics')} then, {NUMERICS} now"
    recipe = before.get("recipe")
    then, now = (
        dict(_flat(recipe if isinstance(recipe, dict) else {})),
        dict(_flat(task.recipe.model_dump(mode="json"))),
    )
    changed = [name for name in now if then.get(name, now[name]) != now[name]]
    yield from (f"{name} {then[name]} then, {now[name]} now" for name in changed[:SHOWN])
    if not changed and before.get("numerics") == NUMERICS:
        yield f"displacements were kept otherwise than --warp {warps}"


def _flat(options: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in options.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def _span(seconds: float) -> str:
    if seconds >= 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
