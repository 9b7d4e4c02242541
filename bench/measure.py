"""What one child process costs, and on what machine, with how much else going on."""

from __future__ import annotations

import datetime
import hashlib
import importlib.util
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import psutil

from memory import gpu_names, gpu_used_bytes, peak_of

THREAD_VARIABLES = (
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "WARPLINE_THREADS",
)
SOURCES = {".py", ".cu", ".cuh"}
BYTES_PER_RSS_UNIT = {"Linux": 1024, "Darwin": 1}
BUSY_ELSEWHERE = 0.15
LOAD_ABOVE_THREADS = 0.5


@dataclass(frozen=True)
class Cost:
    """Measured cost of one child process (and of the children it waited for).

    ``elsewhere`` is the share of all cores that other processes used meanwhile; ``device_bytes`` is how far the
    memory in use on all GPUs grew, None where there is none.
    """

    returncode: int
    wall_s: float
    cpu_s: float
    peak_bytes: int
    load_start: float
    load_end: float
    elsewhere: float
    nice: int
    threads: int
    date: str
    device_bytes: int | None = None

    @property
    def contended(self) -> bool:
        """True where other processes had a real share of the processor, so that wall seconds mislead."""
        crowded = max(self.load_start, self.load_end) > self.threads + LOAD_ABOVE_THREADS
        return self.nice > 0 or crowded or self.elsewhere > BUSY_ELSEWHERE


def run(command: Sequence[str], threads: int, log: Path) -> Cost:
    """Run `command`, its output into `log`, and measure it.

    Parameters
    ----------
    command : sequence of str
        Program and arguments.
    threads : int
        Given to every threading runtime that listens to an environment variable.
    log : Path
        File that receives standard output and error.
    """
    environment = os.environ | dict.fromkeys(THREAD_VARIABLES, str(threads))
    date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    load_start, busy_start, start = os.getloadavg()[0], _busy_seconds(), time.perf_counter()
    gpu = gpu_used_bytes()
    with log.open("w") as output, peak_of(gpu) if gpu else nullcontext() as device:
        child = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
        _, status, usage = os.wait4(child.pid, 0)
    wall = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    cpu = usage.ru_utime + usage.ru_stime
    others = max(0.0, _busy_seconds() - busy_start - cpu)
    return Cost(
        returncode=child.returncode,
        wall_s=wall,
        cpu_s=cpu,
        peak_bytes=usage.ru_maxrss * BYTES_PER_RSS_UNIT[platform.system()],
        load_start=load_start,
        load_end=os.getloadavg()[0],
        elsewhere=others / (wall * _cores()),
        nice=os.nice(0),
        threads=threads,
        date=date,
        device_bytes=device.grown if device else None,
    )


def _busy_seconds() -> float:
    times = psutil.cpu_times()
    return sum(times) - times.idle - getattr(times, "iowait", 0.0)


def _cores() -> int:
    return os.cpu_count() or 1


def machine() -> dict[str, object]:
    """Describe the machine: processor, cores, memory, GPUs, system, Python."""
    return {
        "cpu": _cpu_model(),
        "gpus": gpu_names(),
        "cores": _cores(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def version(package: str, interpreter: str = sys.executable) -> str:
    """Return the version installed for `interpreter`; for warpline, also a digest of its source and kernels."""
    number = _installed_version(package, interpreter)
    if package != "warpline":
        return number
    return f"{number}+{_source_digest()}"


def _installed_version(package: str, interpreter: str) -> str:
    ask = f"import importlib.metadata as m; print(m.version({package!r}))"
    answer = subprocess.run([interpreter, "-c", ask], capture_output=True, text=True, check=False)
    return answer.stdout.strip() if answer.returncode == 0 else "not installed"


def _source_digest() -> str:
    specs = [importlib.util.find_spec(package) for package in ("warpline", "warpline.kernels")]
    roots = [root for spec in specs if spec for root in spec.submodule_search_locations or []]
    digest = hashlib.sha256()
    for file in sorted({path for root in roots for path in Path(root).rglob("*.*") if path.suffix in SOURCES}):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:8]


def python(script: str, *arguments: str, interpreter: str = sys.executable) -> list[str]:
    """Command that runs a script of this folder, with this interpreter or another."""
    return [interpreter, str(Path(__file__).with_name(script)), *arguments]
