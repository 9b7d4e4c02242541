"""What a recipe needs is compiled once, by several processes."""

from __future__ import annotations

from warpline.backends import numba_compile
from warpline.backends.numba_backend import NumbaBackend


def test_parts_of_recipes_name_operations_that_run():
    names = {name for part in numba_compile.PARTS.values() for name in part}
    assert names == set(numba_compile.OPERATIONS)
    numba_compile.compile_here(NumbaBackend(1), sorted(names))


def test_shares_hold_every_operation_once_and_are_alike():
    names = list(numba_compile.OPERATIONS)
    for count in (1, 2, 4):
        shares = numba_compile.share_out(names, count)
        assert sorted(name for share in shares for name in share) == sorted(names)
        costs = [sum(numba_compile.OPERATIONS[name][0] for name in share) for share in shares]
        assert max(costs) <= sum(costs) / count + 3 + 5.6


def test_compiling_is_said_and_done_once(tmp_path, monkeypatch, caplog):
    done = []
    monkeypatch.setattr(numba_compile, "_stamp", lambda names: tmp_path / "stamp")
    monkeypatch.setattr(numba_compile, "compile_here", lambda backend, names: done.append(names))
    numba_compile.compile_ahead(NumbaBackend, ["linear"], 1)
    numba_compile.compile_ahead(NumbaBackend, ["linear"], 1)
    assert [sorted(share) for share in done] == [sorted(numba_compile.PARTS["linear"])]
    assert caplog.text.count("compiling 8 operations for this CPU, once") == 1
