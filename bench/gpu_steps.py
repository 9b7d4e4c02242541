"""The steps of `gpu.sh`, by interest: the table `STEPS`. ``gpu_steps.py --out OUT --work WORK -- STEP`` is one of them.

Imports stay inside the functions, so that `gpu_run.py` reads the table without NumPy.
"""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import gpu_profile
import gpu_tensors
import gpu_tools
from gpu_place import MissingError, Place

AT_ONCE = 8
"""Processes beside each other that call operations."""
PACKAGES = ("warpline", "numpy", "scipy", "numba", "torch", "fireants")
"""Packages whose versions are recorded."""
WORST = 1e-4
"""Share of the largest value by which an operation may differ from NumPy's; the contract suite has a bound for each."""
MISSING = 3
"""Exit code of a step that needs what is not there."""


def builds(place: Place) -> int:
    """Build every kernel as the backend may build it, in as many threads as it uses for that."""
    import measure
    from kernel_builds import builds as all_builds
    from warpline.backends import thread_count
    from warpline.backends.cuda_compile import MOST_THREADS
    from warpline.backends.cuda_launch import load

    runtime, start = place.runtime(), time.perf_counter()
    packages = {name: measure.version(name) for name in PACKAGES}
    place.tell(step="builds", machine=place.device.describe(), packages=packages)
    wanted = all_builds()[: place.size.builds]

    def failure(build: tuple[str, Any]) -> dict[str, str] | None:
        name, defines = build
        try:
            runtime.compile(load(name, defines).source, name)
        except Exception as error:
            return {"kernel": name, "defines": str(defines), "error": str(error)[:500]}
        return None

    with ThreadPoolExecutor(min(MOST_THREADS, thread_count())) as pool:
        failed = [found for found in pool.map(failure, wanted) if found]
    seconds = round(time.perf_counter() - start, 1)
    place.tell(step="builds", device=runtime.name, count=len(wanted), failed=failed, seconds=seconds)
    return len(failed)


def smoke(place: Place) -> int:
    """Every operation in a process of its own, against NumPy's."""
    from backends.operations import OPERATIONS

    def one(name: str) -> int:
        command = place.command("smoke_one", name)
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
        except subprocess.TimeoutExpired:
            place.tell(step="smoke", operation=name, error="did not end within 50 s")
            return 1
        if done.returncode:
            said = (done.stdout + done.stderr)[-600:]
            place.tell(step="smoke", operation=name, exit=done.returncode, error=said)
        return int(done.returncode != 0)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return sum(pool.map(one, list(OPERATIONS)[: place.size.operations]))


def smoke_one(place: Place, name: str) -> int:
    """The largest difference of one operation from NumPy's, beside the largest value."""
    import numpy as np

    from backends.operations import results
    from warpline.backends import select

    wanted, found = ([np.asarray(a, float) for a in results(name, b)] for b in (select("numpy"), place.backend))
    different = [float(np.max(np.abs(a - b), initial=0.0)) for a, b in zip(wanted, found, strict=True)]
    largest = max(float(np.max(np.abs(a), initial=0.0)) for a in wanted)
    place.tell(step="smoke", operation=name, worst=max(different), scale=largest)
    return int(not max(different) <= WORST * max(largest, 1e-30))


def _captured_as_is(_: Any, step: Callable[[], None]) -> Callable[[], None]:
    return step


HOW: dict[str, dict[str, Callable[..., Any]]] = {"graphs": {}, "eager": {"capture": _captured_as_is}}
"""How iterations run: methods of the runtime that are replaced."""


def headline(place: Place, how: str = "graphs") -> int:
    """One pair several times, its images on the host before and its maps there after."""
    import registration
    from warpline.registration.alignment import align

    backend, pair = place.backend_on(place.runtime(**HOW[how])), place.pair
    step = "headline" if how == "graphs" else how
    found, walls = [], []
    for _ in range(place.size.registrations):
        start = time.perf_counter()
        found.append(align(pair.fixed, pair.moving, place.recipe, backend=backend))
        walls.append(round(time.perf_counter() - start, 4))
        place.tell(step=step, wall=walls[-1])
    later = found[1:]
    same = all(registration.identical(found[0], other) for other in later)
    place.tell(
        step=step, how=how, case=pair.name, shape=pair.fixed.grid.shape, walls=walls,
        stages={name: round(median(a.seconds[name] for a in later), 4) for name in found[-1].seconds},
        levels=[[v.stage, v.shape, v.iterations, round(v.seconds, 4)] for v in found[-1].levels],
        same_bits=same, device=backend.device, **registration.quality(pair, found[-1], backend),
    )  # fmt: skip
    return int(not same)


def kernels(place: Place) -> int:
    """Rates of operations, each printed as it is measured."""
    import kernels as bench

    size, failed = place.size, 0
    with place.backend.session():
        for row in bench.time_operations(place.backend, place.device, size.shape, size.repeats, size.timed):
            place.tell(step="kernels", **row)
            failed += "error" in row
    return failed


def interpolation(place: Place) -> int:
    """`map_coordinates` and `affine_transform` beside CuPy's, and a series that goes through host memory."""
    import kernels as bench

    size, failed, peer = place.size, 0, place.device.peer
    missing = not _imports(peer)
    with place.backend.session():
        rows = bench.time_operations(place.backend, place.device, size.shape, size.repeats, "interpolate")
        for row in (*rows, *_lost_labels(place)):
            if missing and row.get("library") == peer:
                continue
            place.tell(step="interpolation", **row)
            failed += "error" in row
    place.tell(step="interpolation", **bench.time_series(place.backend, size.shape, size.volumes))
    if missing and not failed:
        raise MissingError(f"{peer} to compare with")
    return failed


def _imports(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True


def _lost_labels(place: Place) -> Iterator[dict[str, Any]]:
    """How many of 64-bit labels above 2^53 come out as others."""
    import numpy as np

    from warpline import map_coordinates

    labels = 2**60 + np.arange(1000)
    found = map_coordinates(labels, np.arange(1000.0)[None], order=0, backend=place.backend)
    lost = int(np.count_nonzero(found != labels))
    yield {"labels": len(labels), "lost": lost} | ({"error": "labels of 64 bits are not exact"} if lost else {})


def iterations(place: Place) -> int:
    """Iterations of SyN at each level, one launch after the other and as a graph."""
    import kernels as bench

    with place.backend.session():
        for row in bench.time_iterations(place.backend, place.device, place.size.shape, place.size.iterations):
            place.tell(step="iterations", **row)
    return 0


def at_once(place: Place) -> int:
    """The pair from several threads at the same time."""
    import registration

    pair, different = place.pair, 0
    options = (pair, place.recipe, place.backend, place.device, place.size.threads)
    for row in registration.measure_at_once(*options):
        place.tell(step="at_once", **row)
        different += not row["same_bits"]
    return different


def sizes(place: Place) -> int:
    """Phantoms of growing size: seconds of every stage, memory, Dice."""
    import registration
    from cases import phantom

    backend, failed = place.backend, 0
    for size in place.size.phantoms:
        try:
            row = registration.measure_case(phantom(size, backend), place.recipe, backend, place.device, repeats=1)
        except Exception as error:
            row = {"case": f"phantom {size}", "error": f"{type(error).__name__}: {error}"[:600]}
        place.tell(step="sizes", **row)
        failed += "error" in row
    return failed


@dataclass(frozen=True)
class Step:
    """What is run, how many seconds it may take, and the step whose success makes it needless."""

    run: Callable[[Place], int | None]
    limit: float
    unless: str = ""


STEPS: dict[str, Step] = {
    "builds": Step(builds, 60),
    "smoke": Step(smoke, 75),
    "headline": Step(headline, 90),
    "eager": Step(partial(headline, how="eager"), 60, unless="headline"),
    "profile": Step(gpu_profile.profile, 45),
    "costs": Step(gpu_profile.costs, 45),
    "kernels": Step(kernels, 60),
    "interpolation": Step(interpolation, 45),
    "iterations": Step(iterations, 30),
    "tensors": Step(gpu_tensors.tensors, 45),
    "contract": Step(gpu_tools.contract, 120),
    "counters": Step(gpu_tools.counters, 60),
    "gpu_tests": Step(gpu_tools.gpu_tests, 90),
    "sanitizers": Step(gpu_tools.sanitizers, 120),
    "at_once": Step(at_once, 60),
    "fireants": Step(gpu_tools.fireants, 120),
    "sizes": Step(sizes, 240),
}
"""The most interesting first: what there is no time for is at the end."""

PARTS: dict[str, Callable[..., int | None]] = {
    "smoke_one": smoke_one,
    "hot_kernels": gpu_tools.hot_kernels,
    "operations": gpu_tools.operations,
}
"""What steps start as processes of their own."""


def main(arguments: list[str] | None = None) -> int:
    """Run one step or part; 0 when all went well, 3 when what it needs is not there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("out", "work", "data"):
        parser.add_argument(f"--{name}", type=Path, required=name != "data")
    parser.add_argument("--rehearse", action="store_true")
    parser.add_argument("step", choices=[*STEPS, *PARTS])
    parser.add_argument("arguments", nargs="*")
    options = parser.parse_args(arguments)
    place = Place(options.out, options.work, options.data, options.rehearse)
    run = STEPS[options.step].run if options.step in STEPS else PARTS[options.step]
    try:
        return int(bool(run(place, *options.arguments)))
    except MissingError as missing:
        place.tell(step=options.step, skipped=f"needs {missing}")
        return MISSING
    except Exception:
        traceback.print_exc()
        if options.step in STEPS:
            place.tell(step=options.step, error=traceback.format_exc()[-1500:])
        return 1


if __name__ == "__main__":
    sys.exit(main())
