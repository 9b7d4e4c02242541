"""Some readers, many damaged files, in this process: run by `__main__` as a child, whose death is a finding too."""

from __future__ import annotations

import json
import resource
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fuzzing.mutation import mutated
from fuzzing.readers import READERS, Files
from warpline.errors import WarplineError

ADDRESS_SPACE = 6 << 30
"""Bytes that a child may map: what asks for more fails in it, and the machine survives."""


def case(name: str, seeds: list[Files], number: int) -> Files:
    """The damaged files of a number; one of those that belong together is changed."""
    random = np.random.default_rng([number, *name.encode()])
    files = dict(seeds[number % len(seeds)])
    victim = list(files)[random.integers(len(files))]
    files[victim] = mutated(files[victim], random)
    return files


def outcome_of(name: str, files: Files, folder: Path) -> tuple[str, str]:
    """Write files, read them; ``read``, ``refused`` or ``traceback``, and the error in words."""
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            READERS[name].read(folder / next(iter(files)))
    except WarplineError as error:
        return ("traceback", f"{len(str(error))} letters") if len(str(error)) > 4000 else ("refused", str(error))
    except BaseException:
        return "traceback", traceback.format_exc()
    return "read", ""


def trials(name: str, first: int, seconds: float) -> Iterator[dict[str, object]]:
    """Try one number after the other for some seconds of computing."""
    home, end = Path(tempfile.mkdtemp(prefix="fuzzing-")), time.process_time() + seconds
    try:
        seeds = READERS[name].seeds(home)
        for number in range(first, 2**31):
            if time.process_time() > end:
                return
            shutil.rmtree(home)
            home.mkdir()
            files = case(name, seeds, number)
            before = _memory(reset=True)
            start = time.process_time()
            kind, words = outcome_of(name, files, home)
            took = {"seconds": time.process_time() - start, "megabytes": (_memory() - before) / 1000}
            yield {"name": name, "number": number, "kind": kind, "words": words, **took}
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _memory(*, reset: bool = False) -> int:
    """Most resident memory since the last reset, in kB; on Linux, else of the whole life of the process."""
    try:
        if reset:
            Path("/proc/self/clear_refs").write_text("5")
        status = Path("/proc/self/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main(seconds: str, *begin: str) -> None:
    """Print a line of JSON after each trial; `begin` says ``reader:number`` for each reader."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    for name, first in (one.split(":") for one in begin):
        for done in trials(name, int(first), float(seconds)):
            print(json.dumps(done), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
