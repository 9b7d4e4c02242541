"""Signatures with types as the source writes them: `Source`, and not the seven types that stand for it."""

from __future__ import annotations

import inspect
from typing import Any

from sphinx.util.inspect import stringify_signature


def as_written(_app: Any, _what: str, _name: str, value: Any, *_more: Any) -> tuple[str, str] | None:
    """Arguments and result of a function, method or class; None leaves it to autodoc."""
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
