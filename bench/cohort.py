"""The engine of cohorts: what it costs per pair, how fast disks let it go, and how large a cohort it plans.

Compute is replaced by a sleep, so the figures are those of reading, writing and the engine itself. The same files are
written as by a registration: an affine, two rounded displacement fields, an image, a thumbnail and a sidecar.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from warpline import cohort, registration
from warpline.cohort import steps
from warpline.cohort.driver import Driver
from warpline.cohort.journal import Journal, RunStore
from warpline.cohort.layout import WORK
from warpline.cohort.options import load_pairs, plan_pairs
from warpline.cohort.results import NUMBERS, judge_results, write_tables
from warpline.cohort.worker_settings import WorkerSettings
from warpline.images import Image
from warpline.io.images import write_image
from warpline.registration.alignment import Alignment
from warpline.space import Affine, Displacement
from warpline.space.grid import Grid

PART = Path(__file__).resolve()
SLEEP = "WARPLINE_BENCH_SLEEP"
FIELD = "field.npy"
ROWS = 50_000


def main() -> None:
    """Run what the arguments ask for, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=24, help="of the simulated runs; default: 24")
    parser.add_argument("--size", type=int, nargs=3, default=(182, 218, 182), help="voxels; default: 182 218 182")
    parser.add_argument("--sleep", type=float, default=0.15, help="seconds of a simulated registration; default: 0.15")
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2], help="default: 0 2 (0: in this process)")
    parser.add_argument("--rows", type=int, default=ROWS, help="of the manifest that is planned; default: 50000")
    parser.add_argument("--out", type=Path, default=PART.parent / "results" / "cohort.json")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        print(json.dumps(PARTS[options.part](options)))
        return
    result = {"cpus": os.cpu_count(), "load_before": os.getloadavg()[0], "size": list(options.size)}
    with tempfile.TemporaryDirectory() as folder:
        write_inputs(Path(folder), options)
        for workers in options.workers:
            result[f"simulated, {workers} workers"] = in_process("simulated", options, folder, workers)
        result["overhead"] = in_process("overhead", options, folder, 0)
        result["plan"] = in_process("plan", options, folder, 0)
    result["load_after"] = os.getloadavg()[0]
    options.out.write_text(json.dumps(result, indent=2) + "\n")
    print(options.out.read_text())


def in_process(part: str, options: argparse.Namespace, folder: str, workers: int) -> dict[str, object]:
    """One part in a process of its own, so that memory and CPU seconds are its own."""
    numbers = ["--pairs", str(options.pairs), "--sleep", str(options.sleep), "--rows", str(options.rows)]
    place = ["--part", part, "--folder", folder, "--workers", str(workers)]
    command = [sys.executable, str(PART), *numbers, *place]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(answer.stdout.splitlines()[-1])


# -- a simulated device -------------------------------------------------------------------------------------------


def simulated(options: argparse.Namespace) -> dict[str, object]:
    """Throughput with a device that takes a fixed time, and what that costs in CPU seconds."""
    workers = options.workers[0]
    os.environ[SLEEP] = str(options.sleep)
    pairs = cohort.find_pairs(f"{options.folder}/{{id}}_T1w.nii.gz", fixed=f"{options.folder}/fixed.nii.gz")
    out = Path(options.folder, "out")
    asked = SleepOptions(backend="numpy", threads=1, workers=workers, pages="none")
    if not workers:
        cohort.run(pairs[:2], out, asked)  # imports and the made field are in memory after that
        shutil.rmtree(out)
    before = cpu_seconds()
    start = time.perf_counter()
    numbers = cohort.run(pairs, out, asked).numbers
    wall, cpu = time.perf_counter() - start, cpu_seconds() - before
    count = len(pairs)
    size = sum(path.stat().st_size for path in out.glob("sub-*/**/*") if path.is_file())
    shutil.rmtree(out)
    return {
        "pairs": count,
        "pairs_per_s": numbers["pairs_per_s"],
        "busy": numbers["busy"],
        "wall_s": wall,
        **{f"{stage}_s_per_pair": numbers[f"{stage}_s"] / count for stage in ("read", "compute", "write")},
        "cpu_s_per_pair": cpu / count,
        "pairs_per_s_per_core_at_most": count / cpu,
        "mb_per_pair": size / count / 1e6,
    }


def sleep(inputs, backend, *, threads=None, progress=None):
    """Stand in for `warpline.registration.compute`; quality control is left out, as a device would do it meanwhile."""
    steps.quality.measure = lambda *_, **__: {}
    time.sleep(float(os.environ[SLEEP]))
    fixed, moving = inputs.images["fixed"], inputs.images["moving"]
    field, inverse = made_fields(Path(inputs.described["fixed"]["path"]).with_name(FIELD))
    alignment = Alignment(fixed, moving, Affine(np.eye(4)), Displacement(field, fixed.grid, inverse))
    warped = Image(moving.data.astype(np.float32) * 1.01, fixed.grid, moving.name)
    report = {"backend": {"name": "sleep", "threads": 1}, "inputs": inputs.described, "seconds": inputs.seconds}
    described = {"initial": None, "recipe": {"name": "sleep"}, "warnings": []}
    return registration.Registration(alignment, warped, warped, {**report, **described})


class SleepOptions(cohort.Options):
    """Options of a run whose workers call `sleep`."""

    def worker_settings(self, root, run):
        """Those of `Options`, with `sleep` as the computation."""
        return replace(super().worker_settings(root, run), compute=sleep)


@cache
def made_fields(path):
    """Smooth displacements (mm) that fade out at the edge of the head, as a registration leaves them."""
    field = np.load(path)
    return field, -field


def write_fields(folder, shape):
    """What `made_fields` reads; made once."""
    noise = np.random.default_rng(0).standard_normal((3, *shape)).astype(np.float32)
    field = np.stack([gaussian_filter(component, 6) for component in noise])
    field *= head(shape) * np.float32(3 / np.abs(field).max())
    np.save(folder / FIELD, field)


def head(shape):
    """1 inside an ellipsoid that fills most of the grid, 0 outside."""
    radius = sum(
        np.square(np.linspace(-1.1, 1.1, n)).reshape([-1 if a == b else 1 for b in range(3)])
        for a, n in enumerate(shape)
    )
    return (radius < 1).astype(np.float32)


def write_inputs(folder: Path, options: argparse.Namespace) -> None:
    """One fixed image and as many moving ones as there are pairs: uint16, noisy inside a head."""
    shape = tuple(options.size)
    noise = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    brain = head(shape) * (700 + 200 * gaussian_filter(noise, 3) / gaussian_filter(noise, 3).std() + 20 * noise)
    image = Image(np.clip(brain, 0, 4000).astype(np.uint16), Grid(shape, np.eye(4)))
    write_image(image, folder / "fixed.nii.gz")
    write_fields(folder, shape)
    for number in range(options.pairs):
        shutil.copyfile(folder / "fixed.nii.gz", folder / f"sub-{number:03d}_T1w.nii.gz")


# -- the engine ---------------------------------------------------------------------------------------------------


def overhead(options: argparse.Namespace) -> dict[str, object]:
    """Seconds per pair of everything that is not reading, computing or writing, at 300 tiny pairs."""
    folder = Path(options.folder, "tiny")
    folder.mkdir()
    write_inputs(folder, argparse.Namespace(size=(16, 16, 16), pairs=300))
    os.environ[SLEEP] = "0"
    pairs = cohort.find_pairs(f"{folder}/{{id}}_T1w.nii.gz", fixed=f"{folder}/fixed.nii.gz")
    asked = SleepOptions(backend="numpy", threads=1, workers=0, pages="none")
    cohort.run(pairs[:5], folder / "warm", asked)
    start, before = time.perf_counter(), cpu_seconds()
    numbers = cohort.run(pairs, folder / "out", asked).numbers
    wall, cpu = time.perf_counter() - start, cpu_seconds() - before
    stages = {stage: numbers[f"{stage}_s"] / len(pairs) for stage in ("read", "compute", "write")}
    return {
        "wall_ms": 1e3 * wall / len(pairs),
        "cpu_ms": 1e3 * cpu / len(pairs),
        "stages_ms": {k: 1e3 * v for k, v in stages.items()},
    }


def plan(options: argparse.Namespace) -> dict[str, object]:
    """Plan, drive and tabulate a large cohort whose pairs take no time; the driver's time and memory."""
    folder = Path(options.folder, "many")
    (folder / "out" / WORK).mkdir(parents=True)
    for number in range(options.rows):
        (folder / f"{number}.nii").touch()
    lines = (f"sub-{n:06d}\t{n}.nii\t../fixed.nii.gz\t{n % 60 + 20}\t{'mf'[n % 2]}" for n in range(options.rows))
    (folder / "many.tsv").write_text("id\tmoving\tfixed\tage\tsex\n" + "\n".join(lines) + "\n")
    asked, seconds = cohort.Options(), {}
    with timed(seconds, "first_plan_s"):
        tasks = plan_pairs(load_pairs(folder / "many.tsv", asked), folder / "out", asked)
    settings = WorkerSettings(str(folder / "out"), "bench")
    driver = Driver(tasks, settings, RunStore(folder / "out", "1of1"))
    import distributed  # noqa: F401  (its memory counts)

    with timed(seconds, "drive_s"):
        driver.run(Instant())
    with timed(seconds, "tables_s"):
        write_tables(folder / "out", judge_results(tasks.results(folder / "out")))
    with timed(seconds, "plan_again_s"):
        plan_pairs(load_pairs(folder / "many.tsv", asked), folder / "out", asked)
    return {"rows": options.rows, **seconds, "done": tasks.count("done"), "peak_mb": steps.peak_memory()}


class Instant:
    """Two hundred workers that take no time."""

    whole = False

    def __init__(self):
        self._chunks = []

    def workers(self):
        """All of them."""
        return 200

    def submit(self, chunk):
        """Write the sidecar's place, and say that it is done."""
        self._chunks.append(chunk)

    def wait(self, seconds):
        """Every chunk that is out."""
        back, self._chunks = self._chunks, []
        for chunk in back:
            journal = Journal(chunk.journal)
            for task in chunk.tasks:
                metrics = dict.fromkeys(NUMBERS, hash(task.id) % 1000 / 1000)
                journal.outcome(replace(task.result(), metrics=metrics, stat=(1, 2), seconds={"compute": 1.0}))
            journal.close()
        return [(chunk, False) for chunk in back]

    def close(self):
        """Nothing to close."""


class timed:  # noqa: N801
    """Seconds of a block, into a dictionary."""

    def __init__(self, seconds, name):
        self._seconds, self._name = seconds, name

    def __enter__(self):
        self._start = time.perf_counter()

    def __exit__(self, *_):
        self._seconds[self._name] = time.perf_counter() - self._start


def cpu_seconds() -> float:
    """Of this process and its ended children."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


PARTS = {"simulated": simulated, "overhead": overhead, "plan": plan}

if __name__ == "__main__":
    main()
