"""How time points are registered: the recipes of the rigid and of the deformable stage, and settings of either."""

from __future__ import annotations

from collections.abc import Sequence

from warpline.errors import UsageError
from warpline.recipe import PRESETS, Initialise, Recipe, Syn

RIGID = PRESETS["rigid"]
"""Registration of two time points in their own worlds."""

DEFORMABLE = Recipe(
    name="longitudinal",
    initialise=Initialise(method="identity"),
    linear=None,
    syn=Syn(model="velocity", metric="mean_squares", step=0.05, update_sigma=3.0, total_sigma=0.43),
)
"""Registration of two time points on the grid of the middle: by squared differences, as they are of one contrast; more
smoothly than between two subjects, so that noise does not look like change; in small steps, as little moves: with
longer ones a level jumps away from its start, and may end worse than it began."""

SETTABLE = {"initialise": RIGID, "linear": RIGID, "syn": DEFORMABLE}
"""Section of a recipe to the recipe whose it is."""


def recipes_with(settings: Sequence[str]) -> tuple[Recipe, Recipe]:
    """The rigid and the deformable recipe with settings such as ``"syn.total_sigma=1"``.

    Raises
    ------
    UsageError
        When a setting is not allowed, or takes away what time points need.
    """
    for setting in settings:
        if "=" in setting and _section(setting) not in SETTABLE:
            raise UsageError(f"setting {setting!r}: time points have options of {', '.join(SETTABLE)}")
    rigid, deformable = (
        recipe.with_options(*(one for one in settings if SETTABLE.get(_section(one), recipe) is recipe))
        for recipe in (RIGID, DEFORMABLE)
    )
    if deformable.syn is None or deformable.syn.model != "velocity":
        raise UsageError("the change between time points is found with syn.model=velocity; leave that setting")
    if rigid.linear is None or rigid.linear.stages != ("rigid",):
        raise UsageError(
            "time points of one subject are first registered with linear.stages=[rigid]; leave that setting"
        )
    return rigid, deformable


def _section(setting: str) -> str:
    return setting.partition("=")[0].partition(".")[0].strip()
