"""The table of bytes, the rates, and that SciPy's calls do the same as ours."""

from __future__ import annotations

import inspect
import json
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.ndimage

import kernels
from cuda_on_cpu.emulated import EmulatedRuntime
from kernel_calls import OPERATIONS, POINTS, KernelInputs, Operation
from kernel_peers import PEERS
from warpline.backends import Backend, cuda_filters, select
from warpline.backends.cuda_backend import CudaBackend
from warpline.backends.descriptors import DescriptorOperations
from warpline.backends.motion import MotionOperations

SHAPE = (24, 20, 28)


@pytest.fixture(scope="module")
def inputs():
    return KernelInputs(select("numba", 2), SHAPE)


def test_every_operation_of_the_interface_is_timed():
    parts = {"descriptors": DescriptorOperations, "motion": MotionOperations}
    offered = {f"{part}.{name}" for part, protocol in parts.items() for name in operations_of(protocol)}
    offered |= set(operations_of(Backend))
    timed = {name.split()[0].rstrip(",") for name in OPERATIONS}
    memory, loops = (
        {"upload", "download", "download_later", "empty", "zeros"},
        {"repeat", "session", "release", "prepare"},
    )
    assert timed == offered - memory - loops


def operations_of(protocol):
    return [name for name, _ in inspect.getmembers(protocol, inspect.isfunction) if not name.startswith("_")]


class Recorder:
    """A backend that remembers the arrays of the last call and computes nothing."""

    def __init__(self, backend, arrays=None):
        self._backend = backend
        self.arrays = [] if arrays is None else arrays

    def __getattr__(self, name):
        method = getattr(self._backend, name)
        if name in ("descriptors", "motion"):
            return Recorder(method, self.arrays)
        if name in ("upload", "download", "empty", "zeros"):
            return method
        return lambda *given, **named: self.arrays.extend(a for a in (*given, *named.values()) if is_array(a))


def is_array(value):
    return isinstance(value, np.ndarray) and value.size > 16


@pytest.mark.parametrize("name", [name for name, operation in OPERATIONS.items() if operation.units == "voxel"])
def test_the_bytes_of_an_operation_are_those_of_its_arrays(inputs, name):
    recorder = Recorder(inputs.backend)
    call = OPERATIONS[name].prepare(SimpleNamespace(**{**vars(inputs), "backend": recorder}, **makers(inputs)))
    call()
    moved = sum(array.nbytes for array in recorder.arrays if not is_scratch(array))
    assert moved == OPERATIONS[name].nbytes * np.prod(SHAPE)


def is_scratch(array):
    """Partial sums, counts, tables and curves, which are few."""
    is_few = array.dtype in (np.float64, np.uint32, np.uint64) or array.ndim == 1
    return is_few and array.size < np.prod(SHAPE)


class CountingRuntime(EmulatedRuntime):
    """Counts the bytes of the volumes and fields that kernels are given, and runs none."""

    moved = 0

    def compile(self, source, entry):
        def launch(grid, block, arguments):
            self.moved += sum(a.nbytes for a in arguments if is_array(a) and not is_scratch(a))

        return launch


@pytest.mark.parametrize("name", [name for name, operation in OPERATIONS.items() if operation.units == "voxel"])
def test_bytes_that_kernels_move_again_are_counted_apart(inputs, name, monkeypatch):
    """Of a volume that is worth timing: what lies between two launches over few voxels stays in the L2."""
    monkeypatch.setattr(cuda_filters, "FEW", 0)
    runtime = CountingRuntime()
    on_host = {**vars(inputs), "backend": CudaBackend(runtime)}
    call = OPERATIONS[name].prepare(SimpleNamespace(**on_host, **makers(inputs)))
    call()
    counted = OPERATIONS[name].nbytes + OPERATIONS[name].again
    assert runtime.moved == counted * np.prod(SHAPE)


def makers(inputs):
    return {"volume": inputs.volume, "new_field": inputs.new_field, "coordinates": inputs.coordinates}


@pytest.mark.parametrize("name", PEERS)
def test_the_peer_computes_what_the_operation_computes(inputs, name):
    ours = np.asarray(OPERATIONS[name].prepare(inputs)() if "smooth" not in name else smoothed(inputs, name))
    theirs = np.asarray(PEERS[name](inputs, scipy.ndimage)())
    inner = (..., *(slice(4, -4),) * 3)
    scale = np.ptp(theirs[inner].astype(float))
    assert np.mean(np.abs(ours[inner].astype(float) - theirs[inner]) > 0.02 * scale) < 0.01


def smoothed(inputs, name):
    outs = []
    taken = SimpleNamespace(**{**vars(inputs), "backend": Keeping(inputs.backend, outs)})
    OPERATIONS[name].prepare(taken)()
    return outs[0]


class Keeping:
    """A backend whose `empty` keeps what it makes."""

    def __init__(self, backend, outs):
        self.smooth, self._empty, self._outs = backend.smooth, backend.empty, outs

    def empty(self, shape):
        self._outs.append(self._empty(shape))
        return self._outs[-1]


def test_a_rate_is_bytes_over_the_median_time():
    row = kernels.achieved(Operation("voxel", 10, None), (10, 10, 10), [1.0, 2.0, 9.0], copy=50_000.0)
    assert (row["median_s"], row["best_s"]) == (2.0, 1.0)
    assert row["gb_per_s"] == pytest.approx(5000e-9)
    assert row["share_of_copy"] == pytest.approx(0.1)


def test_what_is_moved_again_counts_in_the_rate():
    once, twice = (kernels.achieved(Operation("voxel", 10, None), (9, 9, 9), [1.0], 1.0, again) for again in (0, 10))
    assert twice["gb_per_s"] == 2 * once["gb_per_s"]
    assert twice["bytes_per_unit"] == 20


def test_operations_over_points_count_points():
    row = kernels.achieved(Operation("point", 48, None), (500, 500, 500), [1.0], copy=1.0)
    assert row["gb_per_s"] == pytest.approx(48e-9 * POINTS)


def test_a_run_has_every_operation_and_level_and_can_be_written(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(kernels, "copy_bandwidth", lambda *_: 1e9)
    out = tmp_path / "new" / "kernels.json"
    sizes = ["--shape", *map(str, SHAPE), "--repeats", "1", "--iterations", "2"]
    monkeypatch.setattr("sys.argv", ["kernels.py", "--backend", "numba", *sizes, "--json", str(out)])
    kernels.main()
    document = json.loads(out.read_text())
    assert {row["operation"] for row in document["operations"]} == set(OPERATIONS)
    assert {row["operation"] for row in document["operations"] if row["library"] != "warpline"} == set(PEERS)
    assert [row["shape"] for row in document["iterations"]] == [[8, 8, 8], [12, 10, 14], [24, 20, 28]]
    assert [row for row in document["operations"] if "error" in row] == []
    printed = capsys.readouterr().out
    assert document["device"]["name"] in printed
    assert "local_cc radius 4, mask" in printed
