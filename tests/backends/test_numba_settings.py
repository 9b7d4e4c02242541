"""Compiled code of the CPU backend: the same bits however it came into the process, and one piece per kernel."""

from __future__ import annotations

import os
import pickle
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from numba.core.registry import CPUDispatcher

from backends import operations
from warpline.backends import (
    numba_affine,
    numba_fields,
    numba_sampling,
    numba_similarity,
    numba_smoothing,
    select,
)

MODULES = (numba_affine, numba_fields, numba_sampling, numba_similarity, numba_smoothing)
WEAK, FUNCTION = 2, 2
COMPOSE = """if True:
    import hashlib, sys
    import numpy as np
    from warpline.backends import select
    made = np.random.default_rng(0).normal(0, 0.4, (2, 3, 9, 17, 33)).astype(np.float32)
    out = select("numba", 2).compose(made[0], made[1], out=np.empty_like(made[0]))
    print(hashlib.sha256(out.tobytes()).hexdigest())
    """


def kernels():
    """Every function that Python calls; helpers have no wrapper for Python."""
    for module in MODULES:
        for value in vars(module).values():
            if isinstance(value, CPUDispatcher) and value.targetoptions.get("nogil") and value.signatures:
                yield value


def object_code(kernel):
    """The machine code of every signature of a kernel, as the cache's index names the files."""
    code, folder = kernel.py_func.__code__, Path(kernel.stats.cache_path)
    name = f"{kernel.py_func.__module__.rpartition('.')[2]}.{kernel.py_func.__qualname__}-{code.co_firstlineno}."
    for index in folder.glob(f"{name}*.nbi"):
        with index.open("rb") as file:
            pickle.load(file)
            _, files = pickle.load(file)
        for path in files.values():
            content = (folder / path).read_bytes()
            if (start := content.find(b"\x7fELF")) >= 0:
                yield content[start:]


def symbols(elf):
    """(name, binding, kind, section) of every symbol of a 64-bit ELF file."""
    offset, size, count = struct.unpack_from("<Q", elf, 40)[0], *struct.unpack_from("<HH", elf, 58)
    sections = [struct.unpack_from("<IIQQQQIIQQ", elf, offset + size * at) for at in range(count)]
    for section in sections:
        if section[1] == 2:  # SHT_SYMTAB
            names = sections[section[6]][4]
            for at in range(section[4], section[4] + section[5], 24):
                name, info, _, home = struct.unpack_from("<IBBH", elf, at)
                end = elf.index(b"\0", names + name)
                yield elf[names + name : end].decode(), info >> 4, info & 15, home


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="object files of other systems are not ELF")
def test_no_kernel_shares_code_with_another():
    """A weak function is taken from whichever piece of code was loaded first: that was how bits came to differ."""
    backend = select("numba", 1)
    for name in operations.OPERATIONS:
        operations.results(name, backend)
    seen = 0
    for kernel in kernels():
        for code in object_code(kernel):
            seen += 1
            weak = [name for name, bind, kind, home in symbols(code) if (bind, kind) == (WEAK, FUNCTION) and home]
            assert [name for name in weak if "numba_" in name or "gufunc" in name] == []
    assert seen >= 15


def test_compiled_and_cached_code_give_the_same_bits(tmp_path):
    """One operation, the one that showed it; bench/cold_warm.py compares all."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    runs = [subprocess.run([sys.executable, "-c", COMPOSE], env=environment, capture_output=True) for _ in range(2)]
    assert [run.returncode for run in runs] == [0, 0], runs[0].stderr.decode()
    assert runs[0].stdout == runs[1].stdout and len(runs[0].stdout) > 60
