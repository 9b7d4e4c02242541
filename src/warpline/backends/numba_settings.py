"""Compilation settings shared by the numba modules."""

from __future__ import annotations

from typing import Any

FAST = {"contract", "reassoc", "arcp", "nsz"}
"""Floating-point licence: reordering and fused multiply-add, but NaN and infinity keep their meaning."""

PARALLEL: dict[str, Any] = {"parallel": True, "cache": True, "fastmath": FAST, "error_model": "numpy"}
"""For loops over slabs. Each slab writes its own results, so any number of threads gives the same bits."""

INLINE: dict[str, Any] = {"inline": "always", "fastmath": FAST, "error_model": "numpy"}
"""For helpers inside such loops."""

SERIAL: dict[str, Any] = {"cache": True, "fastmath": FAST, "error_model": "numpy"}
"""For helpers compiled on their own."""


def threading_layer() -> str:
    """Name of the library that runs numba's parallel loops; known after the first of them."""
    import numba

    try:
        return str(numba.threading_layer())
    except ValueError:
        return "not started"
