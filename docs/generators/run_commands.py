"""Type what guides tell their readers to type: the commands and the Python of a page, in its order, on made data.

    python docs/generators/run_commands.py [--jobs N] [PAGE...]

Without pages, the README and all guides. ``make docs-check`` runs this.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from guide_commands import ROOT, Step, code_of, guides, steps_of

LEFT_OUT = {
    "cohort serve": "serves until it is stopped",
    'backend="cuda"': "takes a GPU, and arrays of CuPy",
}
"""Parts of commands and blocks that are not run here, and why."""

NEEDS = {
    "n4": ("SimpleITK", "the extra itk"),
    "nlmeans": ("dipy", "the extra denoise"),
    ".zarr": ("zarr", "the extra zarr"),
    "workers=": ("distributed", "the extra cluster"),
    "label_overlap_measures": ("pandas", "pandas"),
    "import torch": ("torch", "PyTorch"),
    "import nitransforms": ("nitransforms", "nitransforms"),
    "nilearn": ("nilearn", "nilearn"),
}
"""Parts that need a package which may not be here: its module, and what it is called."""

ALLOWED = {"template build": (0, 3), "cohort summarise": (0, 3), "check-header": (0, 8)}
"""Exit codes of commands that say something of the data by them."""

COHORT = "warpline cohort run cohort.tsv out"

BEFORE = {"warpline cohort status out": COHORT, "warpline cohort summarise out": COHORT}
"""What has happened before a command, elsewhere: on a cluster, or on another page."""


@dataclass(frozen=True)
class Outcome:
    """How a step went: ran, left out or failed; why, and the seconds of a processor that it took."""

    step: Step
    went: str
    why: str = ""
    seconds: float = 0.0


def main(arguments: Sequence[str]) -> int:
    """Run all steps of the pages; the exit code is 1 where one does not do what it should."""
    parser = argparse.ArgumentParser(description="Run the commands and the Python of guides.")
    parser.add_argument("pages", nargs="*", metavar="PAGE", help="README or a page of docs/, without .md")
    parser.add_argument("--jobs", type=int, default=1, help="pages at a time; default: %(default)s")
    options = parser.parse_args(arguments)
    _prepare_environment(options.jobs)
    found: dict[Path, list[Outcome]] = {}
    with tempfile.TemporaryDirectory() as data, _workers(options.jobs) as workers:
        _make(data)
        pages = [page_of(name) for name in options.pages] or guides()
        running = {workers.submit(run_page, page, data): page for page in _longest_first(pages)}
        for one in as_completed(running):
            found[running[one]] = one.result()
            _print_page(running[one], one.result())
    _print_table(found)
    return 1 if any(one.went == "failed" for page in found.values() for one in page) else 0


def page_of(name: str) -> Path:
    """The file of a page."""
    return ROOT / "README.md" if name == "README" else ROOT / "docs" / f"{name}.md"


def run_page(page: Path, data: str) -> list[Outcome]:
    """Run the steps of a page, each once, in a copy of the made data; names of its Python last from block to block."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(shutil.copytree(data, f"{folder}/data")):
        Path("mine.toml").write_text(code_of(page, "toml"), encoding="utf-8")
        names = {"__name__": "__main__"}
        return [run_step(step, names, page.name) for step in _without_repeats(steps_of(page))]


def run_step(step: Step, names: dict[str, Any], page: str = "page") -> Outcome:
    """Run one step here; `names` are those that Python has so far."""
    if why := why_left_out(step.code):
        return Outcome(step, "left out", why)
    started = _processor_seconds()
    message = _python(step, names, page) if step.python else _shell(step.code)
    return Outcome(step, "failed" if message else "ran", message, _processor_seconds() - started)


def why_left_out(code: str) -> str:
    """Why a step is not run here; nothing where it is."""
    for part, (module, name) in NEEDS.items():
        if part in code and find_spec(module) is None:
            return f"needs {name}"
    return next((why for part, why in LEFT_OUT.items() if part in code), "")


# -- running --------------------------------------------------------------------------------------------------------


def _prepare_environment(jobs: int) -> None:
    """Let commands be found, and share the cores among the pages."""
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    os.environ.setdefault("WARPLINE_THREADS", str(max((os.cpu_count() or 1) // jobs, 1)))


def _workers(jobs: int) -> ProcessPoolExecutor:
    """Processes that run a page each: a page has a folder, and modules, of its own."""
    return ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), max_tasks_per_child=1)


def _processor_seconds() -> float:
    """Of this process and those that it has waited for; other work on the machine does not count."""
    return sum(os.times()[:4])


def _make(folder: str) -> None:
    from made_data import make

    make(Path(folder))


def _without_repeats(steps: Sequence[Step]) -> list[Step]:
    """The first of equal ones."""
    first: dict[str, Step] = {}
    for step in steps:
        first.setdefault(step.code, step)
    return list(first.values())


def _longest_first(pages: Sequence[Path]) -> list[Path]:
    return sorted(pages, key=lambda page: -len(steps_of(page)))


def _shell(command: str) -> str:
    """Type a command; what it says where it fails."""
    said = _shell(BEFORE[command]) if command in BEFORE else ""
    if said:
        return said
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    codes = next((codes for part, codes in ALLOWED.items() if part in command), (0,))
    return "" if done.returncode in codes else f"exit code {done.returncode}: {done.stderr.strip()}"


def _python(step: Step, names: dict[str, Any], page: str) -> str:
    """Run a block; the traceback where it fails, which counts lines as the page does."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile("\n" * (step.line - 1) + step.code, page, "exec"), names)
    except Exception:
        return traceback.format_exc().strip()
    return ""


# -- saying ---------------------------------------------------------------------------------------------------------

_say = partial(print, flush=True)


def _print_page(page: Path, outcomes: Sequence[Outcome]) -> None:
    _say(f"\n{page.relative_to(ROOT)}")
    for one in outcomes:
        what = f"Python of line {one.step.line}" if one.step.python else one.step.code
        _say(f"  {one.went:8} {what}  ({one.why or f'{one.seconds:.1f} s'})")


def _print_table(found: dict[Path, list[Outcome]]) -> None:
    _say(f"\n{'page':28} {'ran':>4} {'left out':>9} {'failed':>7} {'CPU s':>8}")
    rows = {str(page.relative_to(ROOT)): outcomes for page, outcomes in sorted(found.items())}
    for name, outcomes in {**rows, "all": [one for row in rows.values() for one in row]}.items():
        went = Counter(one.went for one in outcomes)
        seconds = sum(one.seconds for one in outcomes)
        _say(f"{name:28} {went['ran']:4} {went['left out']:9} {went['failed']:7} {seconds:8.0f}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
