"""``warpline recipes``: the named recipes, as TOML to start one's own from."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from warpline.cli.terminal import Terminal
    from warpline.recipe import Recipe

SUMMARY = "list the recipes, or write one as TOML"
EXAMPLE = """\
  warpline recipes
  warpline recipes syn > mine.toml
  warpline register fixed.nii.gz moving.nii.gz -o out/ --recipe mine.toml"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("recipe", nargs="?", metavar="NAME|FILE.toml", help="the recipe to show; all names without it")


def run(options: Namespace, terminal: Terminal) -> None:
    """Show the recipe, or the names of all."""
    from warpline.recipe import PRESETS, Recipe

    if options.recipe is None:
        terminal.result({"recipes": list(PRESETS)}, *map(_line, PRESETS.values()))
        return
    recipe = Recipe.load(options.recipe)
    terminal.result(recipe.model_dump(mode="json"), to_toml(recipe))


def _line(recipe: Recipe) -> str:
    """Name and stages, the deformable one with its iterations and its smoothing."""
    stages: list[str] = [] if recipe.linear is None else list(recipe.linear.stages)
    if recipe.syn is not None:
        iterations = " x ".join(map(str, recipe.syn.iterations))
        beside = "".join(f" + {term.metric}" for term in recipe.syn.beside or ())
        metrics = f", {recipe.syn.metric}{beside}" if beside else ""
        stages.append(f"syn ({iterations} iterations, total sigma {recipe.syn.total_sigma:g}{metrics})")
    return f"{recipe.name:<13}{', '.join(stages)}"


def to_toml(recipe: Recipe) -> str:
    """The recipe as TOML that `Recipe.load` reads back."""
    return "\n".join(_table_lines(recipe.model_dump(mode="json"), ""))


def toml_value(value: Any) -> str:
    """A value as TOML; tables within lists are written in one line, without what is left out."""
    import json

    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {toml_value(one)}" for key, one in value.items() if one is not None) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    return json.dumps("off" if value is None else value)


def _table_lines(options: Mapping[str, Any], path: str) -> Iterator[str]:
    tables = {key: value for key, value in options.items() if isinstance(value, Mapping)}
    if path:
        yield f"\n[{path}]"
    for key, value in options.items():
        if key not in tables:
            yield f"{key} = {toml_value(value)}"
    for key, value in tables.items():
        yield from _table_lines(value, f"{path}.{key}" if path else key)
