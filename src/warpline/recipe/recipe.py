"""A recipe: all options of one registration, from a preset, a TOML file or settings."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from warpline.errors import UsageError
from warpline.recipe.budget import Budget
from warpline.recipe.linear import Initialise, Linear
from warpline.recipe.messages import message_of, shortened
from warpline.recipe.options import Options
from warpline.recipe.prepare import Prepare
from warpline.recipe.syn import UNLIKE, Syn
from warpline.recipe.uncertainty import Uncertainty
from warpline.spelling import did_you_mean

OFF = ("off", "none")
"""Values that switch an option off, in ``--set`` and in TOML, which has no null."""

BASE = "base"
"""Key of the recipe that a file starts from."""

_LONGEST = 2**16
"""Bytes of the longest recipe."""


class Recipe(Options):
    """All options of one registration.

    An option that is switched off is None in Python; TOML has no such value, and calls it ``off``.

    Raises
    ------
    UsageError
        From `load` and `with_options`, when an option is unknown or out of range.

    Examples
    --------
    >>> from warpline import Recipe
    >>> recipe = Recipe.load("syn").with_options("syn.radius=3")
    >>> recipe.syn.radius
    3
    """

    name: Annotated[str, Field(max_length=200)] = "custom"
    initialise: Initialise = Initialise()
    linear: Linear | None = Linear()
    syn: Syn | None = Syn()
    budget: Budget = Budget()
    prepare: Prepare = Prepare()
    uncertainty: Uncertainty = Uncertainty()

    @model_validator(mode="after")
    def _has_what_is_limited(self) -> Recipe:
        if self.syn is not None and self.syn.directions is not None and not self.budget.is_empty:
            raise ValueError("a budget moves points in all directions: leave out the budget, or syn.directions")
        if self.syn is None and not self.budget.is_empty:
            raise ValueError("a budget limits a deformation, and no syn runs: leave it out, or start from recipe syn")
        if self.linear is None and self.syn is None and not self.uncertainty.is_empty:
            raise ValueError("uncertainty.runs perturbs stages, and none runs: leave it out, or let a stage run")
        return self

    @classmethod
    def load(cls, recipe: str | Path | Recipe) -> Recipe:
        """A preset by name, a recipe from a TOML file, or the recipe itself."""
        return recipe if isinstance(recipe, Recipe) else _found(recipe, ())

    @classmethod
    def from_values(cls, values: dict[str, Any], source: str) -> Recipe:
        """A recipe from the values that `model_dump` gave, as records of results hold them.

        Parameters
        ----------
        values : dict
            Options by section.
        source : str
            Where they stood, for messages.

        Raises
        ------
        UsageError
            When a value is not allowed.

        Examples
        --------
        >>> from warpline import Recipe
        >>> Recipe.from_values(Recipe.load("rigid").model_dump(), "report.json").name
        'rigid'
        """
        return _checked(values, source)

    def refuse_uncertainty(self, what: str) -> None:
        """Refuse perturbed runs where nothing would be made of them.

        Parameters
        ----------
        what : str
            What is made by the recipe, such as ``"a template"``.

        Raises
        ------
        UsageError
            When the recipe asks for such runs.

        Examples
        --------
        >>> from warpline import Recipe
        >>> Recipe.load("syn").refuse_uncertainty("a template")
        """
        if not self.uncertainty.is_empty:
            raise UsageError(
                f"uncertainty.runs is {self.uncertainty.runs}, and {what} keeps no uncertainty: leave it out, or "
                "run warpline register --uncertainty or a cohort"
            )

    def with_options(self, *settings: str) -> Recipe:
        """A copy with ``"syn.step=0.2"``-like settings applied; values are written as in TOML."""
        options: dict[str, Any] = {}
        given = self.model_dump()
        for setting in settings:
            key, found, text = setting.partition("=")
            if not found:
                raise UsageError(f"setting {setting!r} has no '='; write key=value, such as syn.step=0.2")
            stage = key.partition(".")[0].strip()
            if stage == BASE:
                raise UsageError(
                    f"setting {shortened(setting)}: only a TOML file has a {BASE}; use --recipe to name the recipe to "
                    "start from, in Python Recipe.load"
                )
            if "." in key and given.get(stage, stage) is None:
                raise UsageError(f"setting {setting!r}: recipe {self.name!r} runs no {stage}; start from one that does")
            _place(options, key.strip(), _parse_value(setting, text.strip()))
        return _checked(_merged(given, options), "--set")


def _found(recipe: str | Path, within: tuple[Path, ...]) -> Recipe:
    """A preset or a file; `within` are the files that it is the base of."""
    if str(recipe) in PRESETS:
        return PRESETS[str(recipe)]
    path = Path(recipe)
    if path.suffix != ".toml":
        meant, of = did_you_mean(recipe, PRESETS), f"{within[-1]}: base, " if within else ""
        raise UsageError(
            f"{of}recipe {shortened(str(recipe))} is unknown; {meant}choose from {', '.join(PRESETS)}, or a .toml file"
        )
    options = _read_toml(path)
    if path.resolve() in within:
        raise UsageError(f"recipe {path} is based on itself; let its base be one of {', '.join(PRESETS)}")
    base = _found(str(options.pop(BASE, "syn")), (*within, path.resolve())).model_dump()
    return _checked({**_merged(base, options), "name": options.get("name", path.stem)}, str(path), further=(BASE,))


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _LONGEST or not path.is_file():
            raise UsageError(f"recipe {path} cannot be read: no file of at most {_LONGEST} bytes, as recipes are")
        text = path.read_text(encoding="utf-8")
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        last = f"at line {len(text.splitlines())}, the end of the file"
        raise UsageError(f"recipe {path} cannot be read: {str(error).replace('at end of document', last)}") from None
    except FileNotFoundError:
        known = ", ".join(PRESETS)
        raise UsageError(f"recipe {path} does not exist; choose from {known}, or a .toml file") from None
    except (OSError, ValueError) as error:  # damage, numbers of thousands of digits
        raise UsageError(f"recipe {path} cannot be read: {error}") from None
    except RecursionError:
        raise UsageError(f"recipe {path} cannot be read: its values are nested too deeply") from None


def _merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        nested = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if nested else None if value in OFF else value
    return merged


def _place(options: dict[str, Any], key: str, value: Any) -> None:
    *tables, last = key.split(".")
    for table in tables:
        options = options.setdefault(table, {})
        if not isinstance(options, dict):
            raise UsageError(f"setting {key!r}: {table} has a value already and holds no options")
    options[last] = value


def _parse_value(setting: str, text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    except (ValueError, RecursionError):
        raise UsageError(f"setting {shortened(setting)} is too long or too deeply nested to be a value") from None


def _checked(options: dict[str, Any], source: str, further: tuple[str, ...] = ()) -> Recipe:
    try:
        return Recipe.model_validate(options)
    except ValidationError as error:
        whole = "" if error.errors()[0]["loc"] else f"recipe {options.get('name')!r}: "
        raise UsageError(f"{source}: {whole}{message_of(error, Recipe, further)}") from None


PRESETS: dict[str, Recipe] = {
    "rigid": Recipe(name="rigid", linear=Linear(stages=("rigid",)), syn=None),
    "affine": Recipe(name="affine", syn=None),
    "syn": Recipe(name="syn"),
    "syn-fast": Recipe(name="syn-fast", syn=Syn(iterations=(60, 40, 10), total_sigma=0.45)),
    "syn-quality": Recipe(
        name="syn-quality", syn=Syn(iterations=(200, 150, 30), update_weights=(0.5, 0.5), total_sigma=0.42)
    ),
    "syn-smooth": Recipe(name="syn-smooth", syn=Syn(total_sigma=0.58)),
    "syn-contrast": Recipe(name="syn-contrast", syn=Syn(contrast="predicted", beside=UNLIKE)),
}
"""Named recipes of the Python API and of ``warpline register --recipe``."""
