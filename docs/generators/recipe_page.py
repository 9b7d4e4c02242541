"""Reference of recipes, from the models that check them."""

from __future__ import annotations

import ast
import inspect
import textwrap
import typing
from collections.abc import Iterator
from typing import Any, Literal

import restructured as rst
from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import AfterValidator, BaseModel
from pydantic.fields import FieldInfo

from warpline.cli.recipes import toml_value
from warpline.recipe import PRESETS, Recipe
from warpline.recipe.metric_names import BUILT_IN, check_name
from warpline.recipe.syn import FurtherTerm

LIMITS = {
    Ge: ("ge", "≥ {}"),
    Gt: ("gt", "> {}"),
    Le: ("le", "≤ {}"),
    Lt: ("lt", "< {}"),
    MaxLen: ("max_length", "at most {} entries"),
    MinLen: ("min_length", "at least {}"),
}
"""How limits of a field are written."""


INTRODUCTION = """\
All options of a registration, by section. In a TOML file a section is a table (``[syn]``), on the command line an
option is set by ``--set syn.radius=3``, in Python by ``Recipe.load("syn").with_options("syn.radius=3")``. What can be
switched off is ``off`` in TOML and on the command line, and ``None`` in Python.
"""


def pages() -> Iterator[tuple[str, str]]:
    """Yield the one page."""
    sections = {name: one for name, field in Recipe.model_fields.items() if (one := _model_of(field))}
    parts = [
        rst.title("Recipes"),
        INTRODUCTION,
        *(_section(name, model) for name, model in sections.items()),
        _section("an entry of syn.beside", FurtherTerm),
        _presets(),
    ]
    yield "recipe.rst", "\n".join(parts)


def _model_of(field: FieldInfo) -> type[BaseModel] | None:
    kinds = (field.annotation, *typing.get_args(field.annotation))
    return next((one for one in kinds if inspect.isclass(one) and issubclass(one, BaseModel)), None)


def _section(name: str, model: type[BaseModel]) -> str:
    said = meanings(model)
    rows = [
        (f"``{key}``", _kind(field), _default(field), rst.prose(said[key])) for key, field in model.model_fields.items()
    ]
    about = (inspect.getdoc(model) or "").partition("\n\nExamples\n")[0]
    headings = ("option", "values", "default", "meaning")
    return "\n".join([rst.title(name, "-"), rst.prose(about), "", rst.table(headings, rows, "16 22 16 46")])


def meanings(model: type[BaseModel]) -> dict[str, str]:
    """The docstring below each field of a model."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    assert isinstance(tree, ast.ClassDef)
    found = {}
    for field, text in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(field.target, ast.Name):
            found[field.target.id] = " ".join(str(ast.literal_eval(text.value)).split())
    return found


def _kind(field: FieldInfo) -> str:
    limits = [_limit(one) for one in field.metadata if type(one) in LIMITS]
    is_metric = any(isinstance(one, AfterValidator) and one.func is check_name for one in field.metadata)
    return ", ".join([_type(Literal[BUILT_IN] if is_metric else field.annotation), *limits])


def _limit(limit: Any) -> str:
    attribute, form = LIMITS[type(limit)]
    return form.format(_number(getattr(limit, attribute)))


def _number(value: float) -> str:
    """Whole numbers in full, others as short as they are."""
    return str(int(value)) if value == int(value) else f"{value:g}"


def _type(kind: Any) -> str:
    origin, of = typing.get_origin(kind), typing.get_args(kind)
    if kind is type(None):
        return "``off``"
    if origin is typing.Literal:
        return ", ".join(f"``{one}``" for one in of)
    if origin is typing.Annotated:
        metadata = [meta for one in of[1:] for meta in getattr(one, "metadata", [one])]
        return ", ".join([_type(of[0]), *(_limit(one) for one in metadata if type(one) in LIMITS)])
    if origin is tuple:
        count = "" if Ellipsis in of else f" {len(of)}"
        return f"list of{count}: {'; '.join(dict.fromkeys(_type(one) for one in of if one is not Ellipsis))}"
    if of:
        return " or ".join(_type(one) for one in of)
    return NAMES.get(kind, getattr(kind, "__name__", str(kind)))


NAMES = {
    bool: "``true``, ``false``",
    int: "whole number",
    float: "number",
    str: "text",
    FurtherTerm: "entries as below",
}
"""Types as TOML calls what they hold."""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "needed"
    return written(field.get_default(call_default_factory=True))


def written(value: Any) -> str:
    """A value as TOML has it; a word without its quotation marks, as the command line takes it."""
    return f"``{toml_value(value).strip(chr(34))}``"


def _presets() -> str:
    base = PRESETS["syn"].model_dump(mode="json")
    rows = [(f"``{name}``", _changes(base, one.model_dump(mode="json"))) for name, one in PRESETS.items()]
    table = rst.table(("recipe", "where it differs from ``syn``"), rows, "20 80")
    return f"{rst.title('Recipes by name', '-')}\n{table}"


def _changes(base: dict[str, Any], other: dict[str, Any]) -> str:
    changes = [
        f"``{section}.{key} = {toml_value(value)}``" if isinstance(other[section], dict) else f"``{section}`` off"
        for section in base
        if section != "name" and other[section] != base[section]
        for key, value in (other[section] or {"": None}).items()
        if other[section] is None or value != base[section][key]
    ]
    return ", ".join(changes) or "nothing"
