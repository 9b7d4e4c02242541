"""Time whole registrations on one device: stages, memory, quality, scaling with size, several at once.

``python bench/registration.py --backend cuda --sizes 2 1 0.7 --data ../shared/data/oasis-trt-20 --json OUT.json``
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import brains
import cases
import measure
import tables
from cases import Case
from device import Device, device_of
from memory import Peak, peak_of
from warpline import Job, write_image
from warpline import run as run_job
from warpline.backends import Backend, select
from warpline.evaluation import overlap
from warpline.recipe import Recipe
from warpline.registration.alignment import Alignment, align
from warpline.resampling import warp
from warpline.space import Affine

Row = dict[str, Any]

STAGES = ("preparation", "linear", "deformable", "inversion", "download")


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backend", default="cuda", help="cuda, cuda:N, numba or numpy; default: cuda")
    parser.add_argument("--sizes", nargs="*", default=cases.SIZES, metavar="MM|N^3", help="of phantoms")
    parser.add_argument("--data", type=Path, help="folder of sub-NN/t1_brain.nii.gz and labels.nii.gz")
    parser.add_argument("--pairs", nargs="+", default=list(brains.DEVELOPMENT_PAIRS), metavar="FIXED,MOVING")
    parser.add_argument("--repeats", type=int, default=3, help="registrations after the first; default: 3")
    parser.add_argument("--at-once", type=int, nargs="*", default=[1, 2, 3, 4], metavar="N", help="from threads")
    parser.add_argument("--at-once-size", default="1", metavar="MM", help="phantom for that; default: 1")
    parser.add_argument("--files-up-to", type=float, default=2e7, metavar="VOXELS", help="also files to files")
    parser.add_argument("--recipe", default="syn")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the rows here, after each of them")
    return parser.parse_args(arguments)


# -- one case ---------------------------------------------------------------------------------------------------------


def measure_case(case: Case, recipe: Recipe, backend: Backend, device: Device, repeats: int) -> Row:
    """Register a pair several times: first and later times, peak memory, quality, and whether all came out alike."""
    with peaks_of(device, backend) as peaks:
        start = time.perf_counter()
        first = align(case.fixed, case.moving, recipe, backend=backend)
        first_s = time.perf_counter() - start
    later = [align(case.fixed, case.moving, recipe, backend=backend) for _ in range(repeats)]
    return {
        "case": case.name,
        "shape": list(case.fixed.grid.shape),
        "voxels": int(np.prod(case.fixed.grid.shape)),
        "first_s": first_s,
        "stages": {stage: median(a.seconds.get(stage, 0.0) for a in later or [first]) for stage in STAGES},
        "levels": _levels(later or [first]),
        "memory_bytes": {name: peak.grown for name, peak in peaks.items()},
        "same_bits": all(identical(first, other) for other in later) if later else None,
        **quality(case, first, backend),
    }


@contextmanager
def peaks_of(device: Device, backend: Backend) -> Iterator[dict[str, Peak]]:
    """Watch everything that counts the memory of a device, from where nothing is kept of runs before."""
    backend.release()
    with ExitStack() as watched:
        yield {name: watched.enter_context(peak_of(read)) for name, read in device.memory.items()}


def _levels(alignments: Sequence[Alignment]) -> list[Row]:
    """Seconds inside the loop of every level, preparation excluded."""
    return [
        {
            "stage": records[0].stage,
            "shape": list(records[0].shape),
            "iterations": records[0].iterations,
            "seconds": median(record.seconds for record in records),
        }
        for records in zip(*(alignment.levels for alignment in alignments), strict=True)
    ]


def identical(one: Alignment, other: Alignment) -> bool:
    """Whether two alignments are the same, bit for bit."""
    if not np.array_equal(one.affine.matrix, other.affine.matrix):
        return False
    if one.warp is None or other.warp is None:
        return one.warp is other.warp
    pairs = ((one.warp.field, other.warp.field), (one.warp.inverse_field, other.warp.inverse_field))
    return all(np.array_equal(a, b) for a, b in pairs if a is not None)


def quality(case: Case, alignment: Alignment, backend: Backend) -> Row:
    """Dice before and after, folds, inverse error."""

    def dice(transform: Any) -> float:
        warped = warp(case.moving_labels, transform, case.fixed.grid, order=0, backend=backend)
        return overlap(case.fixed_labels, warped).mean

    found = alignment.quality
    row = {"dice_before": dice(Affine.identity()), "dice_affine": dice(alignment.affine)}
    if found is None:
        return row
    errors = {"folded_voxels": found.folded_voxels, "inverse_error_mean": found.inverse_error_mean}
    return {**row, "dice": dice(alignment.transform), **errors, "inverse_error_p99": found.inverse_error_p99}


def from_files(case: Case, options: argparse.Namespace) -> Row:
    """The same pair from NIfTI files to everything that ``warpline register`` writes: seconds per step."""
    with tempfile.TemporaryDirectory(prefix="registration-") as folder:
        names = [f"{folder}/{side}.nii.gz" for side in ("fixed", "moving")]
        for image, name in zip((case.fixed, case.moving), names, strict=True):
            write_image(image, name)
        recipe = Recipe.load(options.recipe).with_options(*options.settings)
        start = time.perf_counter()
        report = run_job(Job(*names, f"{folder}/out_", recipe, backend=options.backend)).report
        return {"wall_s": time.perf_counter() - start, "seconds": report["seconds"]}


# -- several at once --------------------------------------------------------------------------------------------------


def measure_at_once(
    case: Case, recipe: Recipe, backend: Backend, device: Device, counts: Sequence[int]
) -> Iterator[Row]:
    """The same pair from so many threads at the same time; each must come out as it does alone, bit for bit."""
    alone = align(case.fixed, case.moving, recipe, backend=backend)
    for count in counts:
        with peaks_of(device, backend) as peaks:
            start = time.perf_counter()
            together = _together(case, recipe, backend, count)
            wall = time.perf_counter() - start
        same = all(identical(alone, other) for other in together)
        memory = {name: peak.grown for name, peak in peaks.items()}
        yield {"at_once": count, "wall_s": wall, "s_each": wall / count, "memory_bytes": memory, "same_bits": same}


def _together(case: Case, recipe: Recipe, backend: Backend, count: int) -> list[Alignment]:
    ready = threading.Barrier(count)

    def one(_: int) -> Alignment:
        ready.wait()
        return align(case.fixed, case.moving, recipe, backend=backend)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


# -- the report -------------------------------------------------------------------------------------------------------


def page(document: Row) -> str:
    """All rows as Markdown tables."""
    headings = ["case", "voxels", "first s", "total s", *(f"{s} s" for s in STAGES), "files to files s", "memory GiB"]
    headings += ["Dice", "folded", "inverse error mean", "same bits"]
    together = [
        [str(r["at_once"]), f"{r['wall_s']:.3f}", f"{r['s_each']:.3f}", _gib(r["memory_bytes"]), str(r["same_bits"])]
        for r in document["at_once"]
    ]
    counted = " / ".join(document["memory"])
    return "\n\n".join(
        [
            f"# Registrations on {document['device']['name']}",
            tables.table(headings, [_line(row) for row in document["cases"]]),
            f"Seconds: medians after the first run. Memory: growth during the first run; {counted}.",
            tables.table(["at once", "wall s", "s each", "memory GiB", "same bits"], together),
        ]
    )


def _line(row: Row) -> list[str]:
    if "stages" not in row:
        return [row["case"], row["error"].splitlines()[0]]
    stages = [row["stages"][stage] for stage in STAGES]
    seconds = [f"{value:.3f}" for value in (row["first_s"], sum(stages), *stages)]
    files = f"{row['files']['wall_s']:.3f}" if "files" in row else row.get("error", "-").splitlines()[0]
    found = [format(row[name], form) if name in row else "-" for name, form in QUALITIES]
    return [row["case"], str(row["voxels"]), *seconds, files, _gib(row["memory_bytes"]), *found, str(row["same_bits"])]


QUALITIES = (("dice", ".4f"), ("folded_voxels", "d"), ("inverse_error_mean", ".4f"))


def _gib(counts: dict[str, int]) -> str:
    return " / ".join(f"{count / 2**30:.2f}" for count in counts.values())


def _cases(options: argparse.Namespace, backend: Backend, work: Path) -> Iterator[tuple[str, Callable[[], Case]]]:
    """Name of every case, and how it is made."""
    for size in options.sizes:
        yield f"phantom {size}", partial(cases.phantom, size, backend)
    for pair in options.pairs if options.data else ():
        yield f"brains {pair}", partial(cases.real, options.data, pair, work)


def run(options: argparse.Namespace) -> Row:
    """Measure everything that the options ask for; a case that fails becomes a row that says so."""
    backend, recipe = select(options.backend), Recipe.load(options.recipe).with_options(*options.settings)
    device = device_of(backend)
    document = {"device": device.describe(), "version": measure.version("warpline"), "memory": list(device.memory)}
    document |= {"recipe": recipe.model_dump(mode="json"), "cases": [], "at_once": []}

    def one(case: Case) -> Row:
        return measure_case(case, recipe, backend, device, options.repeats)

    with tempfile.TemporaryDirectory(prefix="brains-") as work:
        for name, make in _cases(options, backend, Path(work)):
            document["cases"].append(_case(name, make, options, one))
            _write(document, options.json)
    if options.at_once:
        pair = cases.phantom(options.at_once_size, backend)
        for row in measure_at_once(pair, recipe, backend, device, options.at_once):
            document["at_once"].append(row)
            _write(document, options.json)
    return document


def _case(name: str, make: Callable[[], Case], options: argparse.Namespace, in_memory: Callable[[Case], Row]) -> Row:
    """What was measured until something failed, and why it did."""
    row: Row = {"case": name}
    try:
        case = make()
        row = in_memory(case)
        return {**row, "files": from_files(case, options)} if row["voxels"] <= options.files_up_to else row
    except Exception as error:
        return {**row, "error": f"{type(error).__name__}: {error}"}


def _write(document: Row, path: Path | None) -> None:
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, indent=1) + "\n")


def main() -> None:
    """Measure, write the JSON, print the tables."""
    document = run(parse_arguments())
    print(page(document))


if __name__ == "__main__":
    main()
