"""Run the steps of `gpu_steps.STEPS` one after the other, each in a process and within limits of its own.

Needs nothing but Python's own library, so that no step can take it down.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gpu_place import Place
from gpu_steps import STEPS

ROOT = Path(__file__).resolve().parents[1]
TIMED_OUT = 124
"""Exit code of a step that was ended, as that of ``timeout``."""
LEAST = 5.0
"""Seconds that must be left for a step to start."""
TAIL = 4000
"""Characters of what a step said that are kept."""

EPILOG = f"""steps, in this order: {", ".join(STEPS)}
OUT/results.jsonl has a JSON line for each result as soon as it is known; OUT/log.txt the end of what each step said.
environment: PYTHON, an interpreter with CuPy; WHEELS, DATA, as the options; FIREANTS_PYTHON, one that has FireANTs."""


@dataclass(frozen=True)
class Planned:
    """A step as it is run.

    Attributes
    ----------
    name : str
        What its results are called.
    command : sequence of str
        Its process.
    limit : float
        Seconds after which it is ended.
    unless : str
        A step whose success makes this one needless.
    """

    name: str
    command: Sequence[str]
    limit: float
    unless: str = ""


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="bench/gpu.sh",
        description=__doc__.splitlines()[0],
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    folders = {name: os.environ.get(name) or None for name in ("WHEELS", "DATA")}
    parser.add_argument("out", type=Path, metavar="OUT", help="folder for the results")
    parser.add_argument("--minutes", type=float, default=7.0, help="after which no step runs any more; default: 7")
    parser.add_argument("--steps", default=" ".join(STEPS), help="names, separated by blanks; default: all")
    parser.add_argument("--wheels", type=Path, default=folders["WHEELS"], help="folder of wheels to run with")
    parser.add_argument("--data", type=Path, default=folders["DATA"], help="sub-NN/t1_brain.nii.gz and labels.nii.gz")
    parser.add_argument("--rehearse", action="store_true", help="tiny, on the CPU: needs a C++ compiler and no GPU")
    options = parser.parse_args(arguments)
    options.steps = options.steps.split()
    unknown = [name for name in options.steps if name not in STEPS]
    if unknown or not options.steps:
        parser.error(f"--steps: unknown {', '.join(unknown) or 'nothing'}; choose from {', '.join(STEPS)}")
    for name in ("wheels", "data"):
        folder = getattr(options, name)
        if folder is not None and not folder.is_dir():
            parser.error(f"--{name}: no folder {folder}")
    return options


def run_steps(steps: Sequence[Planned], out: Path, ends: float, environment: dict[str, str]) -> dict[str, int]:
    """Run steps until `ends`, a time of `time.monotonic`.

    Returns
    -------
    dict
        Exit code of each step that ran.
    """
    exits: dict[str, int] = {}
    begin = time.monotonic()
    for step in steps:
        if exits.get(step.unless) == 0:
            continue
        left = ends - time.monotonic()
        if left < LEAST:
            tell(out, step=step.name, skipped="no time is left; --minutes gives more, --steps picks")
            continue
        start = time.monotonic()
        exits[step.name], said = run_step(step, min(step.limit, left), environment)
        seconds = round(time.monotonic() - start, 1)
        row = {"step": step.name, "exit": exits[step.name], "seconds": seconds, "at": round(start - begin, 1)}
        tell(out, **row, **how_it_ended(exits[step.name], min(step.limit, left)))
        log(out, f"== {step.name}: exit {exits[step.name]}, {seconds} s\n{said[-TAIL:]}\n")
    return exits


def run_step(step: Planned, limit: float, environment: dict[str, str]) -> tuple[int, str]:
    """Exit code of one process, negative for a signal, and what it said; nothing that it started outlives it."""
    with tempfile.TemporaryFile("w+", errors="replace") as said:
        try:
            child = subprocess.Popen(
                step.command, stdout=said, stderr=subprocess.STDOUT, cwd=ROOT, start_new_session=True,
                env=environment | {"STEP_SECONDS": f"{limit:.0f}"},
            )  # fmt: skip
        except OSError as error:
            return 127, str(error)
        try:
            code = child.wait(limit)
        except subprocess.TimeoutExpired:
            code = TIMED_OUT
        finally:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            with suppress(subprocess.TimeoutExpired):  # what hangs in the driver does not end; the next step goes on
                child.wait(10)
        said.seek(0)
        return code, said.read()


def how_it_ended(code: int, limit: float) -> dict[str, str]:
    """In words, where a step did not end by itself."""
    if code == TIMED_OUT:
        return {"ended": f"after its limit of {limit:.0f} s"}
    return {"ended": f"by signal {signal.Signals(-code).name}"} if code < 0 else {}


def tell(out: Path, **row: Any) -> None:
    """Add a line to the results and print it."""
    line = json.dumps(row)
    print(line, flush=True)
    with (out / "results.jsonl").open("a") as file:
        file.write(line + "\n")


def log(out: Path, text: str) -> None:
    """Add to the log."""
    with (out / "log.txt").open("a") as file:
        file.write(text)


def describe_gpu(out: Path) -> None:
    """What the driver says about the GPU and who else uses it, into the log."""
    with suppress(OSError, subprocess.TimeoutExpired):
        log(out, subprocess.run(["nvidia-smi"], capture_output=True, text=True, timeout=10, check=False).stdout)


def install(wheels: Path, site: Path, out: Path) -> None:
    """Put every wheel of a folder into `site`; one that does not fit here is reported and left out."""
    found = sorted(wheels.glob("*.whl"))
    if not found:
        tell(out, step="wheels", error=f"no wheel in {wheels}")
    elif find_spec("pip") is None:
        tell(out, step="wheels", unpacked=f"{sys.executable} has no pip: whether wheels fit it was not checked")
        unpack(found, site, out)
    else:
        install_by_pip(found, site, out)


def unpack(wheels: Sequence[Path], site: Path, out: Path) -> None:
    """Put wheels into `site` as pip would, without scripts; one that cannot be read is reported and left out."""
    for wheel in wheels:
        try:
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(site)
        except (OSError, zipfile.BadZipFile) as error:
            tell(out, step="wheels", wheel=wheel.name, error=str(error))
    for part in (*site.glob("*.data/purelib"), *site.glob("*.data/platlib")):
        shutil.copytree(part, site, dirs_exist_ok=True)


def install_by_pip(wheels: Sequence[Path], site: Path, out: Path) -> None:
    """All wheels at once, and one by one if that fails."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps"]
    pip += ["--no-compile", "--no-cache-dir", "--upgrade", "--target", str(site)]

    def into_site(files: Sequence[Path]) -> str:
        done = subprocess.run([*pip, *map(str, files)], capture_output=True, text=True, check=False)
        return "" if done.returncode == 0 else done.stderr[-500:] or f"pip ended with {done.returncode}"

    if not into_site(wheels):
        return
    for wheel in wheels:
        error = into_site([wheel])
        if error:
            tell(out, step="wheels", wheel=wheel.name, error=error)


def surroundings(work: Path) -> dict[str, str]:
    """The environment of all steps: what was installed, the tests' and benchmarks' modules, caches that start empty."""
    path = [str(work / "site"), str(ROOT / "tests"), str(ROOT / "bench"), os.environ.get("PYTHONPATH", "")]
    caches = {"CUPY_CACHE_DIR": str(work / "cupy"), "NUMBA_CACHE_DIR": str(work / "numba")}
    return os.environ | caches | {"PYTHONPATH": os.pathsep.join(filter(None, path)), "PYTHONUNBUFFERED": "1"}


def planned(names: Sequence[str], command: Callable[..., list[str]]) -> list[Planned]:
    """Steps of the table in its order."""
    return [Planned(name, command(name), step.limit, step.unless) for name, step in STEPS.items() if name in names]


def main(arguments: list[str] | None = None) -> int:
    """Install, run, say; 0 when no step failed (3 says that what a step needs is not there)."""
    begin, options = time.monotonic(), parse_arguments(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    out = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    describe_gpu(out)
    with tempfile.TemporaryDirectory(prefix="gpu-", ignore_cleanup_errors=True) as folder:
        work = Path(folder)
        if options.wheels:
            install(options.wheels, work / "site", out)
        place = Place(out, work, options.data and options.data.resolve(), options.rehearse)
        ends = begin + 60 * options.minutes
        exits = run_steps(planned(options.steps, place.command), out, ends, surroundings(work))
    print(f"{out / 'results.jsonl'}: {len(exits)} steps in {time.monotonic() - begin:.0f} s", flush=True)
    return int(any(code not in (0, 3) for code in exits.values()))


if __name__ == "__main__":
    sys.exit(main())
