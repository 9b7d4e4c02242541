"""Compilation settings shared by the numba modules, so that compiled code gives the same bits however it came there.

A function that is compiled on its own and called from others exists several times in a process: numba links a copy into
every caller, optimised once more, and the linker takes the copy that was loaded first. Compiled in this process that is
another one than loaded from the cache, and fast-math copies differ in their last bits. So every kernel is one piece:
its helpers are inlined, without exception, and no code is shared between kernels
(``tests/backends/test_numba_compiled.py`` looks into the object code).
"""

from __future__ import annotations

from typing import Any

FAST = {"contract", "reassoc", "arcp", "nsz"}
"""Floating-point licence: reordering and fused multiply-add, but NaN and infinity keep their meaning."""

_ARITHMETIC: dict[str, Any] = {"fastmath": FAST, "error_model": "numpy"}

KERNEL: dict[str, Any] = {"cache": True, "nogil": True, "no_cfunc_wrapper": True, **_ARITHMETIC}
"""For loops over slabs, run by `numba_threads`. Each slab writes its own results: any split gives the same bits."""

INLINE: dict[str, Any] = {"inline": "always", **_ARITHMETIC}
"""For helpers that become part of the kernel before it is typed."""

HELPER: dict[str, Any] = {
    "forceinline": True,
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
    **_ARITHMETIC,
}
"""For helpers with their own types, which LLVM inlines: rows of a volume, so that their loops vectorise."""

IN_ORDER: dict[str, Any] = {**HELPER, "fastmath": {"contract"}}
"""For helpers whose operations keep their order, so that it does not depend on where they are inlined."""

EXACT: dict[str, Any] = {**HELPER, "fastmath": False}
"""For helpers without any licence."""
