"""Time every operation of a backend against the bytes it must move and the device's copy bandwidth.

``python bench/kernels.py --backend cuda --shape 150 190 155 --json OUT.json``
"""

from __future__ import annotations

import argparse
import importlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import measure
import tables
from device import Device, copy_bandwidth, device_of
from kernel_calls import BINS, ITERATION_BYTES, OPERATIONS, POINTS, Call, KernelInputs, Operation
from kernel_peers import PEERS
from warpline.backends import Backend, select
from warpline.images import Image
from warpline.recipe import Syn
from warpline.registration.cropping import Channel, CroppedPair
from warpline.registration.pyramid import SharedLevel
from warpline.registration.syn import SynLevel
from warpline.resampling import resample
from warpline.space.grid import Grid, Shape

Row = dict[str, Any]

OURS = "warpline"

FACTORS = (4.0, 2.0, 1.0)
"""Shrink factors of the levels whose iterations are timed."""


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backend", default="cuda", help="cuda, cuda:N, numba or numpy; default: cuda")
    parser.add_argument("--shape", type=int, nargs=3, default=(150, 190, 155), metavar=("I", "J", "K"))
    parser.add_argument("--repeats", type=int, default=30, help="timed calls of each operation; default: 30")
    parser.add_argument("--iterations", type=int, default=100, help="SyN iterations per level; default: 100")
    parser.add_argument("--only", default="", metavar="TEXT", help="operations whose name contains this")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the rows here too")
    return parser.parse_args(arguments)


def time_operations(backend: Backend, device: Device, shape: Shape, repeats: int, only: str = "") -> Iterator[Row]:
    """One row per operation as soon as it is timed, and one more where SciPy's interface has the same."""
    inputs, copy = KernelInputs(backend, shape), copy_bandwidth(backend, device)
    for name, operation in OPERATIONS.items():
        if only not in name:
            continue
        for library, prepare in _libraries(name, device):
            row = {"operation": name, "library": library}
            again = operation.again if (library, backend.name) == (OURS, "cuda") else 0.0
            try:
                seconds = device.times(prepare(inputs), repeats)
                yield {**row, **achieved(operation, shape, seconds, copy, again)}
            except Exception as error:
                yield {**row, "error": f"{type(error).__name__}: {error}"}


def _libraries(name: str, device: Device) -> Iterator[tuple[str, Callable[[KernelInputs], Call]]]:
    yield OURS, OPERATIONS[name].prepare
    if name in PEERS:
        yield device.peer, lambda inputs: PEERS[name](inputs, importlib.import_module(device.peer))


def achieved(operation: Operation, shape: Shape, seconds: list[float], copy: float, again: float = 0.0) -> Row:
    """Median and best seconds, and the rate of the median by the bytes that must move, those moved `again` included."""
    count = {"voxel": int(np.prod(shape)), "point": POINTS, "call": 1}[operation.units]
    rate = (operation.nbytes + again) * count / median(seconds)
    return {
        "bytes_per_unit": operation.nbytes + again,
        "unit": operation.units,
        "median_s": median(seconds),
        "best_s": min(seconds),
        "gb_per_s": rate / 1e9,
        "copy_gb_per_s": copy / 1e9,
        "share_of_copy": rate / copy,
    }


def time_series(backend: Backend, shape: Shape, volumes: int) -> Row:
    """Seconds per volume of a series on the host, carried onto a grid of another voxel size and back to the host."""
    grid = Grid(shape, np.eye(4))
    series = np.random.default_rng(0).integers(0, 3000, (*(max(1, n // 2) for n in shape), volumes)).astype(np.int16)
    coarse = Image(series, Grid(series.shape[:3], np.diag([2.0, 2.0, 2.0, 1.0])))
    resample(coarse, like=grid, backend=backend)
    start = time.perf_counter()
    resample(coarse, like=grid, backend=backend)
    return {"series": list(series.shape), "onto": list(shape), "s_per_volume": (time.perf_counter() - start) / volumes}


# -- whole iterations -------------------------------------------------------------------------------------------------


def time_iterations(backend: Backend, device: Device, shape: Shape, iterations: int) -> Iterator[Row]:
    """One SyN iteration at each level: one launch after the other, and as `Backend.repeat` runs it."""
    inputs = KernelInputs(backend, shape)
    for factor in FACTORS:
        yield _iteration(level_of(inputs, factor), device, iterations)


def level_of(inputs: KernelInputs, factor: float = 1.0) -> SynLevel:
    """A level of SyN of images of a size, coarser by a factor."""
    grid, foreground = Grid(inputs.shape, np.eye(4)), np.ones(inputs.shape, np.bool_)
    images = Channel(_unit(inputs.fixed), _unit(inputs.moving), grid, grid)
    pair = CroppedPair((images,), np.eye(4), foreground)
    return SynLevel(pair, SharedLevel.of(grid, factor), Syn(), inputs.backend)


def _unit(volume: Any) -> Any:
    """Intensities between 0 and about 1, as registration normalises them."""
    return volume * np.float32(1 / BINS)


def _iteration(level: SynLevel, device: Device, iterations: int) -> Row:
    backend = level.backend

    def eager() -> None:
        for _ in range(iterations):
            level.iterate()

    def replayed() -> None:
        backend.repeat(level.iterate, iterations)

    seconds = {name: _whole(call, device) / iterations for name, call in (("eager", eager), ("replayed", replayed))}
    rate = ITERATION_BYTES * int(np.prod(level.grid.shape)) / seconds["replayed"]
    return {"shape": list(level.grid.shape), **{f"{n}_s": s for n, s in seconds.items()}, "gb_per_s": rate / 1e9}


def _whole(call: Callable[[], None], device: Device) -> float:
    """Wall seconds of a call until the device is done; the call before it captures what is replayed."""
    call()
    device.wait()
    start = time.perf_counter()
    call()
    device.wait()
    return time.perf_counter() - start


# -- the report -----------------------------------------------------------------------------------------------------


def page(document: dict[str, Any]) -> str:
    """Both tables in Markdown."""
    rows = [[row["operation"], row["library"], *_figures(row)] for row in document["operations"]]
    loops = [
        ["x".join(map(str, row["shape"])), f"{row['eager_s'] * 1e6:.0f}", f"{row['replayed_s'] * 1e6:.0f}"]
        + [f"{row['gb_per_s']:.1f}"]
        for row in document["iterations"]
    ]
    shape = "x".join(map(str, document["shape"]))
    return "\n\n".join(
        [
            f"# Operations on {document['device']['name']}, {shape}",
            tables.table(["operation", "by", "us", "bytes", "GB/s", "of copy"], rows),
            "us: median of a call, the host's part included where a call returns numbers to it. bytes: what must move "
            "per voxel, on a GPU as often as its kernels go over it; per point for sample_at, affine_moments and "
            "mutual_information; per call for minimise_affine and update_convergence.",
            tables.table(["SyN iteration at", "eager us", "replayed us", "GB/s"], loops),
        ]
    )


def _figures(row: Row) -> list[str]:
    if "error" in row:
        return [row["error"].splitlines()[0]]
    rate = [f"{row['gb_per_s']:.1f}", f"{row['share_of_copy']:.0%}"]
    return [f"{row['median_s'] * 1e6:.0f}", f"{row['bytes_per_unit']:g}", *rate]


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Time everything that the options ask for."""
    backend, shape = select(options.backend), tuple(options.shape)
    device = device_of(backend)
    with backend.session():
        rows = list(time_operations(backend, device, shape, options.repeats, options.only))
    with backend.session():
        loops = list(time_iterations(backend, device, shape, options.iterations)) if options.iterations else []
    about = {"device": device.describe(), "version": measure.version("warpline"), "shape": list(shape)}
    return {**about, "operations": rows, "iterations": loops}


def main() -> None:
    """Time, write the JSON, print the tables."""
    options = parse_arguments()
    document = run(options)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    print(page(document))


if __name__ == "__main__":
    main()
