"""Signatures with types as the source writes them: `Source`, and not the seven types that stand for it."""

from __future__ import annotations

import inspect
from typing import Any

from pydantic import BaseModel
from sphinx.util.inspect import stringify_signature


def as_written(_app: Any, _what: str, _name: str, value: Any, *_more: Any) -> tuple[str, str] | None:
    """Arguments and result of a function, method or class; None leaves it to autodoc."""
    if getattr(value, "_is_protocol", False):
        return "", ""  # nobody calls it
    if inspect.isclass(value) and issubclass(value, BaseModel):
        return _options(value), ""
    try:
        found = inspect.signature(value)
    except (TypeError, ValueError):
        return None
    parameters = [one for one in found.parameters.values() if one.name != "self"]
    result = inspect.Signature.empty if inspect.isclass(value) else found.return_annotation
    types = [*(one.annotation for one in parameters), result]
    if not all(isinstance(kind, str) or kind is inspect.Signature.empty for kind in types):
        return None
    shown = found.replace(parameters=parameters, return_annotation=result)
    arguments, _, returned = stringify_signature(shown, unqualified_typehints=True).partition(" -> ")
    return arguments, returned


def _options(model: type[BaseModel]) -> str:
    """Arguments of a table of options with their defaults, those of tables within it left out; types stand below."""
    defaults = {name: field.get_default(call_default_factory=True) for name, field in model.model_fields.items()}
    needed = [name for name, field in model.model_fields.items() if field.is_required()]
    written = [
        f"{name}={type(value).__name__}()" if isinstance(value, BaseModel) else f"{name}={value!r}"
        for name, value in defaults.items()
        if name not in needed
    ]
    return f"({', '.join(['*', *needed, *written])})"
