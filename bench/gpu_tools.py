"""Steps of `gpu.sh` in which other programs look: pytest, Nsight Compute, compute-sanitizer, FireANTs."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from gpu_place import MissingError, Place

Row = dict[str, Any]

ROOT = Path(__file__).resolve().parents[1]

# -- pytest -----------------------------------------------------------------------------------------------------------

CONTRACT = (
    "",
    "_affine",
    "_descriptors",
    "_fields",
    "_filters",
    "_information",
    "_sampling",
    "_similarity",
    "_splines",
    "_tetrahedra",
    "_values",
)
SCIPYS = ("tests/resampling/test_scipys_own_suite.py", "tests/resampling/test_on_device.py")
FAILURES = 30
"""Most failed tests that are listed."""


def contract(place: Place) -> int:
    """Every operation against slow float64 loops."""
    files = [f"tests/backends/test_contract{part}.py" for part in CONTRACT]
    return _pytest(place, "contract", ["tests/backends/test_contract_fields.py"] if place.rehearse else files)


def gpu_tests(place: Place) -> int:
    """What only a real GPU can show."""
    if place.rehearse:
        raise MissingError("a GPU, which a rehearsal has not")
    return _pytest(place, "gpu_tests", ["tests/backends/test_cuda_gpu.py", *SCIPYS])


def _pytest(place: Place, step: str, files: Sequence[str]) -> int:
    missing = [name for name in ("pytest", "hypothesis") if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingError(f"{' and '.join(missing)} in {sys.executable}")
    report = place.work / f"{step}.xml"
    options = ["-q", "-W", "default", "-p", "no:cacheprovider", f"--junitxml={report}", *place.size.tests]
    options += ["-n", "2" if place.rehearse else "8"] if importlib.util.find_spec("xdist") and len(files) > 1 else []
    options += ["--timeout=60"] if importlib.util.find_spec("pytest_timeout") else []
    child = subprocess.Popen([sys.executable, "-m", "pytest", *options, *files], cwd=ROOT)
    try:
        code = child.wait(seconds_left())
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGINT)  # it writes its report all the same
        code = child.wait(SPARE)
    if not report.exists():
        place.tell(step=step, error=f"pytest ended with {code} and left no report")
        return code or 1
    place.tell(step=step, **outcomes(report))
    return code


def seconds_left() -> float:
    """Of the step, less what telling its results takes; `gpu_run.py` says how long it may take in all."""
    return max(1.0, float(os.environ.get("STEP_SECONDS", "120")) - SPARE)


def outcomes(report: Path) -> Row:
    """Counts of a JUnit report, and what failed."""
    cases = list(ElementTree.parse(report).getroot().iter("testcase"))
    failed = [
        {"test": f"{case.get('classname')}::{case.get('name')}", "error": (found.get("message") or "")[:300]}
        for case in cases
        for found in (case.find("failure"), case.find("error"))
        if found is not None
    ]
    skipped = sum(case.find("skipped") is not None for case in cases)
    passed = len(cases) - skipped - len({row["test"] for row in failed})
    return {"passed": passed, "skipped": skipped, "failed": len(failed), "failures": failed[:FAILURES]}


# -- Nsight Compute ---------------------------------------------------------------------------------------------------

SECTIONS = ("SpeedOfLight", "MemoryWorkloadAnalysis", "SchedulerStats", "WarpStateStats", "LaunchStats", "Occupancy")
COUNTERS = {
    "Duration": "us",
    "DRAM Throughput": "dram_percent",
    "L2 Cache Throughput": "l2_percent",
    "L2 Hit Rate": "l2_hit_percent",
    "Compute (SM) Throughput": "sm_percent",
    "One or More Eligible": "issue_slots_percent",
    "Registers Per Thread": "registers",
    "Achieved Occupancy": "occupancy_percent",
    "Theoretical Occupancy": "occupancy_limit_percent",
    "Waves Per SM": "waves",
}
"""A metric of Nsight Compute to what it is called in a result."""
MICROSECONDS = {"ns": 1e-3, "nsecond": 1e-3, "us": 1.0, "usecond": 1.0, "ms": 1e3, "msecond": 1e3}


def counters(place: Place) -> int:
    """Hardware counters of every kernel of an iteration, and of those that are hot elsewhere."""
    if shutil.which("ncu") is None:
        raise MissingError("ncu (Nsight Compute) on the PATH")
    table = place.out / "counters.csv"
    command = ["ncu", "--profile-from-start", "off", "--clock-control", "none", "--target-processes", "all", "--csv"]
    command += [option for section in SECTIONS for option in ("--section", section)]
    command += ["--page", "details", "--log-file", str(table)]
    code = subprocess.run([*command, *place.command("hot_kernels")], check=False).returncode
    lines = table.read_text().splitlines() if table.exists() else []
    rows = counted(lines)
    for row in rows:
        place.tell(step="counters", **row)
    if not rows:
        place.tell(step="counters", error="\n".join(lines[-8:]) or f"ncu ended with {code}")
    return code or not rows


def counted(lines: Iterable[str]) -> list[Row]:
    """One row per launch from the table of Nsight Compute's details."""
    rows: dict[str, Row] = {}
    for line in csv.DictReader(line for line in lines if line.startswith('"')):
        row = rows.setdefault(
            line["ID"], {"kernel": line["Kernel Name"], "grid": line["Grid Size"], "block": line["Block Size"]}
        )
        name = COUNTERS.get(line["Metric Name"] or "")
        if name:
            row[name] = _number(line["Metric Value"], MICROSECONDS.get(line["Metric Unit"], 1.0))
    return list(rows.values())


def _number(text: str, unit: float) -> float | None:
    try:
        return float(text.replace(",", "")) * unit
    except ValueError:  # "no data"
        return None


def hot_kernels(place: Place) -> None:
    """One iteration of SyN and one call of each other operation that takes long, for a profiler to watch."""
    import numpy as np

    from kernel_calls import OPERATIONS, KernelInputs
    from kernels import level_of

    with place.backend.session():
        inputs = KernelInputs(place.backend, place.size.shape)
        level = level_of(inputs)
        calls = [level.iterate, *(OPERATIONS[name].prepare(inputs) for name in HOT[: 1 if place.rehearse else None])]
        for call in calls:
            call()
        place.device.wait()
        with nullcontext() if place.rehearse else _profiled():
            for call in calls:
                call()
            place.device.wait()
    print(f"{len(calls)} calls on {np.prod(place.size.shape)} voxels")


HOT = (
    "jacobian",
    "sample cubic, matrix",
    "invert",
    "statistics of a field",
    "mutual_information",
    "mutual_information, 16 values",
    "mutual_information_forces",
    "descriptors.describe",
    "descriptors.warp, two at once",
    "descriptors.forces",
    "map_values",
    "add_weighted, the first of a sum",
    "affine_moments",
    "motion.coefficients",
    "motion.sums, 8 volumes",
    "motion.gram, 8 volumes",
    "smooth volume 4",
    "downsample 2",
    "sample_field",
    "extent",
    "least_jacobian",
    "unfold",
    "interpolate cubic, matrix",
    "interpolate linear, matrix",
)
"""Operations outside of iterations."""


@contextmanager
def _profiled() -> Iterator[None]:
    import cupy

    cupy.cuda.runtime.profilerStart()
    yield
    cupy.cuda.runtime.profilerStop()


# -- compute-sanitizer ------------------------------------------------------------------------------------------------

SANITIZERS = ("memcheck", "racecheck", "initcheck")
SANITIZER_LIMIT, SPARE = 100.0, 8.0
"""Seconds that each sanitizer may take, and that are kept of a step's time to tell what was found."""
"""Seconds for each of them."""
VAIN = 3
"""Processes in a row that end before their first operation does, after which no more are started."""
DID = "did: "
FOUND = re.compile(r"(?:ERROR SUMMARY: (\d+) error|RACECHECK SUMMARY: (\d+) hazard)")


def sanitizers(place: Place) -> int:
    """Every operation under each tool, the tools beside each other."""
    if shutil.which("compute-sanitizer") is None:
        raise MissingError("compute-sanitizer on the PATH")
    from backends.operations import OPERATIONS

    names = list(OPERATIONS)[: place.size.operations]
    with ThreadPoolExecutor(len(SANITIZERS)) as pool:
        return sum(pool.map(lambda tool: _sanitize(place, tool, names), SANITIZERS))


def _sanitize(place: Place, tool: str, names: Sequence[str]) -> int:
    ends = time.monotonic() + min(SANITIZER_LIMIT, seconds_left())

    def run(left: Sequence[str]) -> str:
        command = ["compute-sanitizer", "--tool", tool, "--print-limit", "20", *place.command("operations", *left)]
        with (place.work / f"{tool}.txt").open("w+", errors="replace") as said:
            with suppress(subprocess.TimeoutExpired):
                limit = max(1.0, ends - time.monotonic())
                subprocess.run(command, stdout=said, stderr=subprocess.STDOUT, timeout=limit, check=False)
            said.seek(0)
            return said.read()

    said, unfinished = over_all(names, run)
    errors = sum(int(a or b) for a, b in FOUND.findall(said))
    print(said[-20_000:])
    first = "\n".join([line for line in said.splitlines() if line.startswith("=========")][:25])
    row = {"operations": len(names), "errors": errors, "unfinished": unfinished}
    place.tell(step="sanitizers", tool=tool, **row, first=first if errors else "")
    return errors + len(unfinished)


def over_all(names: Sequence[str], run: Callable[[Sequence[str]], str]) -> tuple[str, list[str]]:
    """Run operations in one process, and those after one that ended it in another.

    Returns
    -------
    tuple of str and list of str
        What all processes said, and the operations that did not end well.
    """
    said, unfinished, left, vain = "", [], list(names), 0
    while left and vain < VAIN:
        text = run(left)
        said += text
        done = {line.removeprefix(DID) for line in text.splitlines() if line.startswith(DID)}
        failed = next((n for n, name in enumerate(left) if name not in done), len(left))
        vain = 0 if failed else vain + 1
        unfinished += left[failed : failed + 1]
        left = left[failed + 1 :]
    return said, unfinished + left


def operations(place: Place, *names: str) -> None:
    """Operations one after the other, each array in memory of its own, so that a step beyond its end is seen."""
    from backends.operations import results

    if not place.rehearse:
        import cupy

        cupy.cuda.set_allocator(None)
    for name in names:
        results(name, place.backend)
        print(f"{DID}{name}", flush=True)


# -- FireANTs ---------------------------------------------------------------------------------------------------------

FIREANTS = ("fireants-greedy", "fireants-syn")
FIREANTS_LIMIT = 55.0


def fireants(place: Place) -> int:
    """FireANTs on the same pair, as `compare.py` runs it: seconds of its stages, Dice by the field it saved."""
    interpreter = os.environ.get("FIREANTS_PYTHON") or sys.executable
    asked = [interpreter, "-c", "import fireants.io, fireants.registration.greedy, fireants.registration.syn"]
    imported = subprocess.run(asked, capture_output=True, text=True, check=False, env=surroundings_of_fireants())
    if imported.returncode:
        raise MissingError(f"FireANTs in {interpreter}: {(imported.stderr.strip().splitlines() or ['?'])[-1]}")
    return sum(_fireants(place, tool, interpreter) for tool in FIREANTS)


def surroundings_of_fireants() -> dict[str, str]:
    """The environment of FireANTs: an interpreter of its own has packages of its own."""
    environment = dict(os.environ)
    if environment.get("FIREANTS_PYTHON"):
        environment["PYTHONPATH"] = str(ROOT / "bench")
    return environment


def _fireants(place: Place, tool: str, interpreter: str) -> int:
    import cases
    from brains import Brain, Job
    from peers import TOOLS

    folder, work = place.work / "pair", place.work / tool
    name = place.pair.name  # which makes the files
    work.mkdir()
    sides = (
        Brain(*(str(cases.file_of(folder, side + part)) for part in ("", "_labels"))) for side in ("fixed", "moving")
    )
    settings = TOOLS[tool].settings
    job = Job(tool, *sides, work=str(work), threads=os.cpu_count() or 1, settings=settings)
    (work / "job.json").write_text(json.dumps(job.to_dict()))
    command = [interpreter, str(Path(__file__).with_name("peer_job.py")), "register", str(work / "job.json")]
    row = {"step": "fireants", "tool": tool, "case": name, "settings": settings}
    try:
        how = {"timeout": FIREANTS_LIMIT, "env": surroundings_of_fireants()}
        done = subprocess.run(command, capture_output=True, text=True, check=False, **how)
        if done.returncode:
            raise RuntimeError((done.stdout + done.stderr)[-1000:])
        stages = json.loads(Path(job.file("register.json")).read_text())
        place.tell(**row, seconds=stages, dice=_dice(job))
    except Exception as error:
        place.tell(**row, error=f"{type(error).__name__}: {error}"[:1500])
        return 1
    return 0


def _dice(job: Any) -> float:
    """Mean Dice of labels carried by the field that a tool saved."""
    import nibabel as nib

    import scoring
    from brains import load_labels
    from peers import TOOLS

    fixed, moving = load_labels(job.fixed.labels), load_labels(job.moving.labels)
    warped = scoring.warp_labels(TOOLS[job.tool].read(job), moving, nib.load(job.moving.labels).affine, displaced=True)
    return scoring.mean_dice(fixed, warped, moving)["dice"]
