"""Checks before a run: of its options, of where it would write, and of finished pairs that it would replace."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from warpline.cohort.json_files import read_object
from warpline.cohort.manifest import TABLES, abbreviate
from warpline.cohort.plan import Plan, Task, Warps, differs_in_options
from warpline.cohort.results import PairResult
from warpline.errors import UsageError
from warpline.metrics import check_metric
from warpline.recipe import NUMERICS, Budget, Prepare
from warpline.recipe.metric_names import BUILT_IN

_Rule = tuple[Callable[[Any], bool], str]
"""Whether a value is allowed, and what is allowed in words."""

DERIVATIVES = "derivatives"

REDO_SECONDS = 300.0
"""Computing time of finished pairs up to which a run with a recipe that was named replaces them without being asked."""

MAX_NAMED = 5
"""Options that are named at most, of those that differ."""


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _texts(value: Any) -> bool:
    return not isinstance(value, str) and isinstance(value, Iterable) and all(isinstance(text, str) for text in value)


def _path(value: Any) -> bool:
    return isinstance(value, str | os.PathLike)


def _shard(value: Any) -> bool:
    return isinstance(value, tuple | list) and len(value) == 2 and all(map(_whole, value)) and 1 <= value[0] <= value[1]


def _allowance(value: Any) -> bool:
    return value >= 0 and (_whole(value) or value <= 1) if _number(value) else False


def _or_none(rule: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or rule(value)


def _one_of(*names: str) -> _Rule:
    return lambda value: isinstance(value, str) and value in names, f"one of {', '.join(names)}"


_LABELS: _Rule = (_texts, "a list of labels")
_OPTIONAL_PATH: _Rule = (_or_none(_path), "a path")
_POSITIVE: _Rule = (lambda value: _whole(value) and value >= 1, "a whole number of at least 1")

OPTION_RULES: Mapping[str, _Rule] = {
    "fixed": _OPTIONAL_PATH,
    "participants": _LABELS,
    "sessions": _LABELS,
    "participants_table": _OPTIONAL_PATH,
    "suffix": (lambda value: isinstance(value, str) and value.isalnum(), "letters and digits such as T1w"),
    "space": (lambda value: isinstance(value, str), "a label"),
    "bids_filter": _OPTIONAL_PATH,
    "entities": (lambda value: isinstance(value, Mapping), "a dictionary of entities and their values"),
    "warps": _one_of("rounded", "forward", "full", "none"),
    "backend": (_or_none(lambda value: isinstance(value, str)), "the name of a backend"),
    "threads": (_or_none(_POSITIVE[0]), _POSITIVE[1]),
    "workers": (_or_none(lambda value: _whole(value) and value >= 0), "a whole number of at least 0"),
    "workers_per_gpu": _POSITIVE,
    "scheduler": _OPTIONAL_PATH,
    "credentials": _OPTIONAL_PATH,
    "shard": (_shard, "(i, n), from (1, n) to (n, n)"),
    "retry_failed": (lambda value: isinstance(value, bool), "True or False"),
    "redo": (lambda value: isinstance(value, bool), "True or False"),
    "measures": (lambda value: isinstance(value, bool), "True or False"),
    "exclude_from": _OPTIONAL_PATH,
    "retry_from": _OPTIONAL_PATH,
    "geometry": (lambda value: value in (None, "sform", "qform"), "sform or qform"),
    "checksums": (lambda value: isinstance(value, bool), "True or False"),
    "time_limit": (lambda value: _number(value) and value > 0, "a number of seconds above 0"),
    "max_failures": (lambda value: _number(value) and 0 <= value <= 1, "a share from 0 to 1"),
    "allow_failures": (_allowance, "a whole number of at least 0, or a share from 0.0 to 1.0"),
    "pages": _one_of("flagged", "all", "none"),
}
"""What each option of a run may be; `recipe` is checked where it is loaded."""


def check_options(values: Mapping[str, Any]) -> None:
    """Refuse options that are not allowed.

    Raises
    ------
    UsageError
        Naming the option, what came and what is allowed.
    """
    for name, (allowed, words) in OPTION_RULES.items():
        if name in values and not allowed(values[name]):
            raise UsageError(f"option {name} is {values[name]!r}; {words} is needed")


def check_order(root: Path, source: Any) -> None:
    """Refuse a table in the place of the output folder: the two were given in the wrong order.

    Parameters
    ----------
    root : Path
        The output folder, as it was given; it may not exist.
    source : path or pairs
        A manifest, a BIDS folder, or pairs.

    Raises
    ------
    UsageError
        Saying what comes first.
    """
    if root.suffix in TABLES and _path(source) and Path(source).suffix not in TABLES:
        raise UsageError(
            f"{root} is a table, and stands where the output folder is to stand: the table of pairs comes first, then "
            f"the output folder, as in: {root} {source}"
        )


def check_metrics(tasks: Iterable[Task]) -> None:
    """Refuse recipes with a deformable metric that this process does not know.

    Raises
    ------
    UsageError
        Naming the metric, those that are known, and how to make one known.
    """
    for name in added_metrics(tasks):
        check_metric(name)


def added_metrics(tasks: Iterable[Task]) -> list[str]:
    """Deformable metrics of recipes that are none of the package's: a script enters them, each process for itself."""
    recipes = {id(task.recipe): task.recipe for task in tasks}.values()  # tasks share them; comparing each takes longer
    used = {name for recipe in recipes if recipe.syn is not None for name in recipe.syn.metrics}
    return sorted(used.difference(BUILT_IN))


def check_output(root: Path, source: Any) -> None:
    """Refuse an output folder that is an input, or lies among raw data.

    Parameters
    ----------
    root : Path
        The output folder; it may not exist.
    source : path or pairs
        A manifest, a BIDS folder, or pairs.

    Raises
    ------
    UsageError
        Naming the dataset, and where results may go.
    """
    root = Path(os.path.realpath(root))
    if root.exists() and not root.is_dir():
        return  # the attempt to write there reports it
    given = Path(os.path.realpath(source)) if isinstance(source, str | os.PathLike) else None
    if given is not None and root == given:
        raise UsageError(f"{root} is the input; choose another output folder")
    if given is not None and given.is_dir() and given in root.parents:
        _check_inside(root, given)
    for folder in (root, *root.parents):
        if _is_raw(folder):
            _check_inside(root, folder)


def _check_inside(root: Path, dataset: Path) -> None:
    if root.relative_to(dataset).parts[:1] != (DERIVATIVES,):
        raise UsageError(
            f"{root} lies in the dataset {dataset}, which is never written to; choose a folder outside of it, or "
            f"{dataset / DERIVATIVES / 'warpline'}"
        )


def _is_raw(folder: Path) -> bool:
    """Whether a folder is a raw BIDS dataset by its description."""
    description = read_object(folder / "dataset_description.json")
    return bool(description) and description.get("DatasetType", "raw") == "raw"


# -- finished pairs that would be replaced -------------------------------------------------------------------------


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
        results took less than `REDO_SECONDS`.
    """
    wanted = plan.again or frozenset()
    found = [(task, result) for task in plan.todo if (result := plan.replaced.get(task.id)) and task.id not in wanted]
    other = [(task, result) for task, result in found if differs_in_options(result.key, task)]
    changed = len(found) - len(other)
    lines = [f"{changed} finished pairs are done again: their inputs have changed"] if changed else []
    if not other:
        return lines
    seconds, names = _seconds([result for _, result in other]), abbreviate([task.id for task, _ in other])
    what = (
        f"{len(other)} finished pairs ({names}), about {_span(seconds)} of computing, "
        f"were made with other options: {'; '.join(_differences(*other[0], root, warps))}"
    )
    little = named and seconds < REDO_SECONDS and not any(_loses_field(task, result, warps) for task, result in other)
    if not redo and not little:
        raise UsageError(
            f"{what}. Give the options of the run that made them, or --redo to replace them by results of recipe "
            f"{other[0][0].recipe.name}"
        )
    return [*lines, f"{what}; they are replaced"]


def _seconds(results: Sequence[PairResult]) -> float:
    """Time that pairs took, from the middle one: the first of a run also compiles."""
    known = [value for result in results if (value := result.metrics.get("seconds")) is not None]
    return median(known) * len(results) if known else 0.0


def _loses_field(task: Task, result: PairResult, warps: Warps) -> bool:
    had = result.metrics.get("displacement_mean") is not None
    return had and (task.recipe.syn is None or warps == "none")


def _differences(task: Task, result: PairResult, root: Path, warps: Warps) -> Iterator[str]:
    """How the options of a finished pair differ from those of its task."""
    before = read_object(root / task.outputs.sidecar)
    if result.recipe != task.recipe.name:
        yield f"recipe {result.recipe} then, {task.recipe.name} now"
        return
    if before.get("numerics") != NUMERICS:
        yield f"numerics {before.get('numerics')} then, {NUMERICS} now"
    recipe = before.get("recipe")
    added = {"budget": Budget().model_dump(), "prepare": Prepare().model_dump()}  # older sidecars lack them
    then = dict(_flat(added | (recipe if isinstance(recipe, dict) else {})))
    now = dict(_flat(task.recipe.model_dump(mode="json")))
    changed = [name for name in now if then.get(name, now[name]) != now[name]]
    yield from (f"{name} {then[name]} then, {now[name]} now" for name in changed[:MAX_NAMED])
    if not changed and before.get("numerics") == NUMERICS:
        yield f"displacements were kept otherwise than --warp {warps}"


def _flat(options: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in options.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _span(seconds: float) -> str:
    if seconds >= 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
