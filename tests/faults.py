"""Faults for cohorts: a stand-in for `warpline.registration.compute` that fails as a file beside the images says."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

from warpline import registration

FILE = "faults.json"
CALLS = "calls.txt"


class OutOfMemoryError(RuntimeError):
    """As CuPy calls its own."""


class CUDARuntimeError(RuntimeError):
    """As CuPy calls its own."""


def die(folder, id):
    os.kill(os.getpid(), signal.SIGKILL)


def hang(folder, id):
    time.sleep(3600)


def pause(folder, id):
    """Wait until a file says go on; another says who waits."""
    (folder / "pid.part").write_text(str(os.getpid()))
    (folder / "pid.part").rename(folder / "pid.txt")
    while not (folder / "go").exists():
        time.sleep(0.02)


def memory(folder, id):
    raise OutOfMemoryError("out of memory allocating 1,073,741,824 bytes")


def memory_once(folder, id):
    if first_time(folder, id):
        memory(folder, id)


def broken_once(folder, id):
    if first_time(folder, id):
        raise CUDARuntimeError("cudaErrorIllegalAddress: an illegal memory access was encountered")


def puzzling(folder, id):
    raise KeyError(id)


FAULTS = {fault.__name__: fault for fault in (die, hang, pause, memory, memory_once, broken_once, puzzling)}


def first_time(folder, id):
    """Whether this is the first call for a pair, over all processes."""
    try:
        os.close(os.open(folder / f"{id}.seen", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


def compute(inputs, backend, *, threads=None, progress=None):
    moving = Path(inputs.described["moving"]["path"])
    id, folder = moving.name.partition("_")[0], moving.parent
    with (folder / CALLS).open("a") as calls:
        calls.write(f"{id}\n")
    planned = json.loads((folder / FILE).read_text()) if (folder / FILE).exists() else {}
    if id in planned:
        FAULTS[planned[id]](folder, id)
    return registration.compute(inputs, backend, threads=threads, progress=progress)


def plan(folder, **planned):
    """Say which pairs fail how; ids with '_' for '-'."""
    (folder / FILE).write_text(json.dumps({id.replace("_", "-"): fault for id, fault in planned.items()}))


def calls(folder):
    """The pairs that were computed, in order."""
    path = folder / CALLS
    return path.read_text().split() if path.exists() else []
