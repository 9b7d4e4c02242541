"""Recipes from the options of DIPY's optimisers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import ValidationError

from warpline.errors import UsageError
from warpline.recipe import Initialise, Linear, Recipe, Syn

Options = TypeVar("Options")


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


def _build(kind: Callable[..., Options], options: dict[str, Any]) -> Options:
    try:
        return kind(**options)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "options"
        raise UsageError(f"{where} = {first.get('input')!r}: {first['msg']}") from None
