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
from collections.abc import Iterator
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
KEY = ("tool", "version", "pair", "threads", "margin", "settings")


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
    """The JSON on disk, rewritten after every row; several runs may share it."""

    def __init__(self, path: Path, keep: bool) -> None:
        self.path = path
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
        return any(_key(row) == key and "scores" in row for row in self.load()["runs"])

    def put(self, row: dict[str, Any]) -> None:
        """Add a row in place of the tool's earlier row for this pair, and write both files."""
        with _locked(self.path.parent):
            document = self.load()
            same = (row["tool"], row["pair"])
            document["runs"] = [r for r in document["runs"] if (r["tool"], r["pair"]) != same] + [row]
            _write(self.path, json.dumps(document, indent=1))
            _write(self.path.with_suffix(".md"), tables.page(document))


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


def _key(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row.get(name) for name in KEY}


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


def run_row(key: dict[str, Any], pair: tuple[Brain, Brain], work: Path) -> dict[str, Any]:
    """Register and score in two child processes; only the first is measured."""
    folder = work / f"{key['tool']}-{key['pair'].replace(',', '-')}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    job = Job(key["tool"], *pair, work=str(folder), threads=key["threads"])
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
            results.put(run_row(key, (fixed, moving), work))
            if options.work is None:
                shutil.rmtree(work / f"{tool}-{'-'.join(sides)}")


def main() -> None:
    """Run the comparison and print its tables."""
    options = parse_arguments()
    results = Results(options.out, keep=options.resume)
    with tempfile.TemporaryDirectory(prefix="compare-") as temporary:
        compare(options, options.work or Path(temporary), results)
    print(tables.page(results.load()))


if __name__ == "__main__":
    main()
