"""Sources that the reference of Python leads to, as `sphinx.ext.viewcode` shows them."""

from __future__ import annotations

import re
from typing import Any

_BACK = re.compile(r'(class="viewcode-back" href="[^"#]*)#[^"]*')


def lead_back_to_pages(_app: Any, name: str, _template: str, context: dict[str, Any], _tree: Any) -> None:
    """Let links back from a source lead to pages as a whole.

    Each name has one, while viewcode takes the place on it from a single one of the modules that export the source.
    """
    if name.startswith("_modules/") and "body" in context:
        context["body"] = _BACK.sub(r"\1", context["body"])
