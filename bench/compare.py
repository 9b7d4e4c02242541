"""Run warpline and its peers on the same pairs of labelled brains, side by side.

``python bench/compare.py --tools warpline,greedy`` writes one JSON and one Markdown page; ``--gpu`` compares what runs
on a GPU.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import brains
import measure
import tables
from brains import Brain, Job
from peers import ON_CPU, ON_GPU, TOOLS

HERE = Path(__file__).parent
Page = Callable[[dict[str, Any]], str]


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=HERE.parent.parent / "shared/data/oasis-trt-20")
    parser.add_argument("--pairs", nargs="+", default=list(brains.DEVELOPMENT_PAIRS), metavar="FIXED,MOVING")
    parser.add_argument("--gpu", action="store_true", help="the tools that run on a GPU, and warpline on the CPU")
    parser.add_argument("--tools", help=f"comma-separated, of {', '.join(TOOLS)}; default: those for CPU or GPU")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--margin", type=int, default=8, help="voxels kept around the brain; -1: do not crop")
    parser.add_argument("--out", type=Path, help="default: results/compare-cpu.json, or compare-gpu.json")
    parser.add_argument("--work", type=Path, help="keep all files in this folder (default: temporary)")
    parser.add_argument("--resume", action="store_true", help="keep rows of same version and settings")
    options = parser.parse_args(arguments)
    options.tools = options.tools.split(",") if options.tools else list(ON_GPU if options.gpu else ON_CPU)
    options.out = options.out or HERE / f"results/compare-{'gpu' if options.gpu else 'cpu'}.json"
    unknown = [tool for tool in options.tools if tool not in TOOLS]
    if unknown:
        parser.error(f"--tools: {', '.join(unknown)} unknown; choose from {', '.join(TOOLS)}")
    return options


class Results:
    """The JSON on disk, rewritten after every row; several runs may share it.

    Parameters
    ----------
    path : Path
        The JSON; the Markdown page lies beside it.
    keep : bool
        False begins anew.
    page : callable
        Markdown of the document.
    identity : sequence of str
        A row takes the place of an earlier one that has the same values of these.
    """

    def __init__(
        self, path: Path, keep: bool, page: Page = tables.page, identity: Sequence[str] = ("tool", "pair")
    ) -> None:
        self.path, self.page, self.identity = path, page, identity
        path.parent.mkdir(parents=True, exist_ok=True)
        if not keep:
            path.unlink(missing_ok=True)

    def load(self) -> dict[str, Any]:
        """Return the document as it is on disk now."""
        if not self.path.exists():
            return {"machine": measure.machine(), "runs": []}
        return json.loads(self.path.read_text())

    def has(self, key: dict[str, Any]) -> bool:
        """Tell whether a finished row of exactly this key is there."""
        return any("scores" in row and _has_values(row, key) for row in self.load()["runs"])

    def put(self, row: dict[str, Any]) -> None:
        """Add a row in place of the earlier one of the same identity, and write both files."""
        with _locked(self.path.parent):
            document = self.load()
            same = {name: row[name] for name in self.identity}
            document["runs"] = [r for r in document["runs"] if not _has_values(r, same)] + [row]
            _write(self.path, _json(document))
            _write(self.path.with_suffix(".md"), self.page(document))


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(text)
    beside.replace(path)


def _json(document: dict[str, Any]) -> str:
    """The document with one line for every row."""
    head = json.dumps({**document, "runs": []}, indent=1)
    lines = ",\n".join(f"  {json.dumps(row)}" for row in document["runs"])
    return head.replace('"runs": []', f'"runs": [\n{lines}\n ]') + "\n"


def _has_values(row: dict[str, Any], values: dict[str, Any]) -> bool:
    return all(row.get(name) == value for name, value in values.items())


def describe(tool: str, pair: str, options: argparse.Namespace) -> dict[str, Any]:
    """What identifies a row: tool, its version and settings, pair, threads, cropping."""
    return {
        "tool": tool,
        "version": measure.version(TOOLS[tool].package, TOOLS[tool].python()),
        "pair": pair,
        "threads": options.threads,
        "margin": options.margin,
        "settings": TOOLS[tool].settings,
    }


def run_row(key: dict[str, Any], pair: tuple[Brain, Brain], folder: Path) -> dict[str, Any]:
    """Register and score in two child processes, in a folder of their own; only the first is measured."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    job = Job(key["tool"], *pair, work=str(folder), threads=key["threads"], settings=key["settings"])
    (folder / "job.json").write_text(json.dumps(job.to_dict()))
    cost = _phase("register", folder, job)
    row = {**key, "cost": {**asdict(cost), "contended": cost.contended}}
    if cost.returncode or _phase("score", folder, job).returncode:
        return {**row, "error": _last_lines(folder)}
    stages, scores = (json.loads((folder / f"{p}.json").read_text()) for p in ("register", "score"))
    return {**row, "stages": stages, "scores": scores}


def _phase(name: str, folder: Path, job: Job) -> measure.Cost:
    interpreter = TOOLS[job.tool].python() if name == "register" else sys.executable
    command = measure.python("peer_job.py", name, str(folder / "job.json"), interpreter=interpreter)
    return measure.run(command, job.threads, folder / f"{name}.log")


def _last_lines(folder: Path, count: int = 20) -> str:
    newest = max(folder.glob("*.log"), key=lambda log: log.stat().st_mtime)
    return "\n".join(newest.read_text(errors="replace").splitlines()[-count:])


def compare(options: argparse.Namespace, work: Path, results: Results) -> None:
    """Go through all pairs, every tool on a pair before the next pair, so that noise is shared."""
    for pair in options.pairs:
        sides = pair.split(",")
        fixed, moving = (brains.prepare(options.data, s, work / "brains", options.margin) for s in sides)
        for tool in options.tools:
            key = describe(tool, pair, options)
            if options.resume and results.has(key):
                continue
            folder = work / f"{tool}-{'-'.join(sides)}"
            results.put(run_row(key, (fixed, moving), folder))
            if options.work is None:
                shutil.rmtree(folder)


def main() -> None:
    """Run the comparison and print its tables."""
    options = parse_arguments()
    results = Results(options.out, keep=options.resume)
    with tempfile.TemporaryDirectory(prefix="compare-") as temporary:
        compare(options, options.work or Path(temporary), results)
    print(tables.page(results.load()))


if __name__ == "__main__":
    main()
