"""Compilation settings shared by the numba modules, so that compiled and cached code give the same bits.

Numba links a copy of a helper that is compiled on its own into every caller, optimised once more, and the linker uses
the copy that was loaded first. That is another one in a process that compiles than in one that loads from the cache,
and fast-math copies differ in their last bits. Hence all helpers are inlined, and kernels share no code
(``tests/backends/test_numba_settings.py`` inspects the object code).
"""

from __future__ import annotations

from typing import Any

FAST = {"contract", "reassoc", "arcp", "nsz"}
"""Fast-math flags: reordering and fused multiply-add, but NaN and infinity are respected."""

_ARITHMETIC: dict[str, Any] = {"fastmath": FAST, "error_model": "numpy"}

KERNEL: dict[str, Any] = {"cache": True, "nogil": True, "no_cfunc_wrapper": True, **_ARITHMETIC}
"""For loops over slabs, run by `numba_threads`. Each slab writes its own results: any split gives the same bits."""

INLINE: dict[str, Any] = {"inline": "always", **_ARITHMETIC}
"""For helpers that numba inlines before type inference."""

HELPER: dict[str, Any] = {"forceinline": True, "no_cpython_wrapper": True, "no_cfunc_wrapper": True, **_ARITHMETIC}
"""For helpers with their own types, which LLVM inlines: rows of a volume, so that their loops vectorise."""

IN_ORDER: dict[str, Any] = {**HELPER, "fastmath": {"contract"}}
"""For helpers without reassociation, so that results do not depend on where they are inlined."""

EXACT: dict[str, Any] = {**HELPER, "fastmath": False}
"""For helpers without fast-math."""

KERNEL_EXACT: dict[str, Any] = {**KERNEL, "fastmath": False}
"""For kernels of vectors (`numba_lanes`), which say themselves what is fused."""
