"""Compiled code of the CPU backend: the same bits however it came into the process, and one piece per kernel."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import struct
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from numba.core.registry import CPUDispatcher

from backends import operations
from synthetic import smooth_field
from warpline.backends import (
    numba_affine,
    numba_cache,
    numba_compile,
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


def test_code_that_was_compiled_gives_the_bits_of_code_that_was_loaded(tmp_path):
    """One operation, the one that showed it; bench/cold_warm.py compares all."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    runs = [subprocess.run([sys.executable, "-c", COMPOSE], env=environment, capture_output=True) for _ in range(2)]
    assert [run.returncode for run in runs] == [0, 0], runs[0].stderr.decode()
    assert runs[0].stdout == runs[1].stdout and len(runs[0].stdout) > 60


def _gradient_sum(volume):
    return float(select("numba", 2).gradient(volume).sum())


def test_a_forked_process_computes_with_threads_of_its_own():
    """As data loaders and workflow engines fork, after this process has used its threads."""
    volume = smooth_field((40, 40, 40), 1)[0].copy()
    here = _gradient_sum(volume)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads
        with multiprocessing.get_context("fork").Pool(2) as pool:
            assert pool.map_async(_gradient_sum, [volume] * 4).get(timeout=120) == [here] * 4


def test_parts_of_recipes_name_operations_that_run():
    names = {name for part in numba_compile.PARTS.values() for name in part}
    assert names == set(numba_compile.OPERATIONS)
    numba_compile.compile_here(sorted(names))


def test_shares_hold_every_operation_once_and_are_alike():
    names = list(numba_compile.OPERATIONS)
    for count in (1, 2, 4):
        shares = numba_compile._shares(names, count)
        assert sorted(name for share in shares for name in share) == sorted(names)
        costs = [sum(numba_compile.OPERATIONS[name][0] for name in share) for share in shares]
        assert max(costs) <= sum(costs) / count + 3 + 5.6


def test_compiling_is_said_and_done_once(tmp_path, monkeypatch, caplog):
    done = []
    monkeypatch.setattr(numba_compile, "_stamp", lambda names: tmp_path / "stamp")
    monkeypatch.setattr(numba_compile, "compile_here", done.append)
    numba_compile.compile_ahead(["linear"], 1)
    numba_compile.compile_ahead(["linear"], 1)
    assert [sorted(share) for share in done] == [sorted(numba_compile.PARTS["linear"])]
    assert caplog.text.count("compiling 8 operations for this CPU, once") == 1


@pytest.fixture
def nowhere(monkeypatch):
    """Nothing can be written but temporary folders."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", "")
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    monkeypatch.setattr(numba_cache, "_writable", lambda folder: False)


def test_compiled_code_goes_beside_the_package_where_that_is_writable(monkeypatch):
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setattr(numba_cache, "_writable", lambda folder: True)
    numba_cache.place_cache()
    assert "NUMBA_CACHE_DIR" not in os.environ


def test_compiled_code_goes_to_the_users_cache_elsewhere(nowhere, monkeypatch):
    monkeypatch.setattr(numba_cache, "_writable", lambda folder: folder.name == "numba")
    numba_cache.place_cache()
    assert "warpline" in os.environ["NUMBA_CACHE_DIR"]


def test_a_cache_that_was_chosen_stays(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    numba_cache.place_cache()
    assert os.environ["NUMBA_CACHE_DIR"] == str(tmp_path)


def test_where_nothing_can_be_written_a_temporary_folder_is_used_and_named(nowhere, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(numba_cache.tempfile, "gettempdir", lambda: str(tmp_path))
    numba_cache.place_cache()
    place = Path(os.environ["NUMBA_CACHE_DIR"])
    assert place.parent == tmp_path and place.stat().st_mode & 0o777 == 0o700
    assert "can be written: compiled code is kept in" in caplog.text


@pytest.mark.parametrize("trap", ["open to others", "a link"])
def test_a_temporary_folder_of_strangers_is_not_used(nowhere, tmp_path, monkeypatch, trap):
    monkeypatch.setattr(numba_cache.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(numba_cache.tempfile, "tempdir", str(tmp_path))
    guessed = tmp_path / f"warpline-numba-{os.getuid()}"
    if trap == "a link":
        (tmp_path / "theirs").mkdir()
        guessed.symlink_to(tmp_path / "theirs")
    else:
        guessed.mkdir()
        guessed.chmod(0o777)
    numba_cache.place_cache()
    assert Path(os.environ["NUMBA_CACHE_DIR"]) != guessed


def test_code_that_is_shipped_compiled_is_copied_where_it_can_be_used(tmp_path, monkeypatch):
    shipped, place = tmp_path / "shipped", tmp_path / "place"
    (shipped / "sub").mkdir(parents=True)
    (shipped / "sub" / "kernel.nbi").write_bytes(b"compiled")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(place))
    monkeypatch.setenv(numba_cache.SHIPPED, str(shipped))
    numba_cache.place_cache()
    assert (place / "sub" / "kernel.nbi").read_bytes() == b"compiled"
