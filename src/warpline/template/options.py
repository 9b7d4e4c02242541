"""Options of a template, checked."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from warpline.cohort import Options as CohortOptions
from warpline.errors import UsageError
from warpline.recipe import Recipe

RECIPE = "syn"
"""What registers subjects where no recipe is named."""

_Rule = tuple[Callable[[Any], bool], str]


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


_SWITCH: _Rule = (lambda value: isinstance(value, bool), "True or False")
_LENGTH: _Rule = (lambda value: value is None or (_number(value) and value > 0), "a length in mm above 0")

_RULES: Mapping[str, _Rule] = {
    "spacing": _LENGTH,
    "rounds": (_whole, "a whole number of at least 1"),
    "limit": _LENGTH,
    "step": (lambda value: _number(value) and 0 < value <= 1, "a number above 0, at most 1"),
    "sharpen": (lambda value: _number(value) and 0 <= value <= 1, "a number from 0 to 1"),
    "symmetric": _SWITCH,
    "redo": _SWITCH,
    "channels": (
        lambda value: isinstance(value, tuple) and all(isinstance(name, str) and name.isalnum() for name in value),
        "a tuple of columns whose names have letters and digits only",
    ),
}
"""What each option may be, beside those of `warpline.cohort.Options`, which checks them itself."""


@dataclass(frozen=True)
class Options:
    """Options of a template.

    Parameters
    ----------
    recipe : str, path or Recipe, optional
        How subjects are registered to the template; ``"syn"`` when None. One without a deformable stage makes a linear
        template.
    spacing : float, optional
        Voxel size of the template in mm; that of the images when None: the median of their shortest ones.
    rounds : int
        Most rounds at that voxel size. Rounds at 4 and 2 times of it come before, where the object is large enough.
    limit : float, optional
        Mean displacement in mm of the update of the shape below which no further round begins; a fifth of a voxel of
        the template when None.
    step : float
        Share of the mean displacement that a round takes out of the shape.
    sharpen : float
        Amount of unsharp masking of the mean image after each round: 0 leaves it as it is.
    symmetric : bool
        Average with all subjects mirrored, left and right exchanged: the template is its own mirror image.
    initial : path, optional
        An image to start from, in place of the mean of all subjects.
    channels : tuple of str
        Columns of the manifest with further images of each subject, in the world of the first: they are averaged too.
    suffix : str
        Of the images in a BIDS folder.
    geometry : {"sform", "qform"}, optional
        Which matrix of NIfTI headers to take where both are set.
    backend, threads, workers, time_limit
        As for `warpline.cohort.Options`.
    redo : bool
        Replace a finished template of other subjects or options in the output folder.

    Raises
    ------
    UsageError
        When a value is not allowed.

    Examples
    --------
    >>> from warpline import template
    >>> template.Options(spacing=2.0, symmetric=True).load_recipe().name
    'syn'
    """

    recipe: str | Path | Recipe | None = None
    spacing: float | None = None
    rounds: int = 4
    limit: float | None = None
    step: float = 1.0
    sharpen: float = 0.0
    symmetric: bool = False
    initial: str | os.PathLike[str] | None = None
    channels: tuple[str, ...] = ()
    suffix: str = "T1w"
    geometry: str | None = None
    backend: str | None = None
    threads: int | None = None
    workers: int | None = None
    time_limit: float = 3600.0
    redo: bool = False

    def __post_init__(self) -> None:
        for name, (allowed, words) in _RULES.items():
            value = getattr(self, name)
            if not allowed(value):
                raise UsageError(f"option {name} is {value!r}; {words} is needed")
        self.cohort(None)
        self.load_recipe().refuse_uncertainty("a template")

    def load_recipe(self) -> Recipe:
        """The recipe, as a value."""
        return Recipe.load(RECIPE if self.recipe is None else self.recipe)

    def cohort(self, recipe: Recipe | None) -> CohortOptions:
        """Options of the cohort that a round is: its subjects are judged by the template, not one by one."""
        has_velocity = recipe is not None and recipe.syn is not None and recipe.syn.model == "velocity"
        return CohortOptions(
            recipe=recipe,
            suffix=self.suffix,
            geometry=self.geometry,
            backend=self.backend,
            threads=self.threads,
            workers=self.workers,
            time_limit=self.time_limit,
            warps="rounded" if has_velocity else "forward",
            pages="none",
            measures=False,
            redo=True,
            max_failures=1.0,
        )

    def deciding(self) -> dict[str, Any]:
        """Everything that decides what the template looks like, as plain values."""
        names = ("spacing", "rounds", "limit", "step", "sharpen", "symmetric", "geometry")
        chosen = {name: getattr(self, name) for name in names}
        recipe = self.load_recipe().model_dump(mode="json", exclude={"name"})
        return {**chosen, "channels": list(self.channels), "recipe": recipe}
