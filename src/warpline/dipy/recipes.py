"""Recipes from the options of DIPY's optimisers."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import ValidationError

from warpline.errors import UsageError
from warpline.recipe import Initialise, Linear, Recipe, Syn
from warpline.recipe.messages import message_of
from warpline.recipe.options import Options

Table = TypeVar("Table", bound=Options)


def syn_recipe(**options: Any) -> Recipe:
    """Build a recipe of one deformable stage, from entries of `Syn`.

    Raises
    ------
    UsageError
        When an option is out of range.
    """
    return Recipe(name="dipy", initialise=Initialise(method="identity"), linear=None, syn=_build(Syn, options))


def linear_recipe(**options: Any) -> Recipe:
    """Build a recipe of one linear stage, from entries of `Linear`.

    Raises
    ------
    UsageError
        When an option is out of range.
    """
    return Recipe(name="dipy", initialise=Initialise(method="identity"), linear=_build(Linear, options), syn=None)


def _build(kind: type[Table], options: dict[str, Any]) -> Table:
    try:
        return kind(**options)
    except ValidationError as error:
        raise UsageError(message_of(error, kind)) from None
