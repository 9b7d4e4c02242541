"""Damaged files for every reader, for some minutes: ``make fuzz``.

Every file is either read or refused with one line. Findings are a traceback, a file that takes more than a second of
computing or more than 300 MB, and a process that dies or hangs; each is printed with its number, which repeats it:
``python -m fuzzing --only READER --number N``. The table at the end goes into docs/security.md.
"""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import tempfile
import threading
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from fuzzing.readers import READERS
from fuzzing.trial import case, outcome_of

SLOW, LARGE = 1.0, 300.0
"""Seconds of computing and megabytes above which a file is a finding."""

PATIENCE = 180.0
"""Seconds without a word after which a child hangs."""


def main() -> int:
    """Try all readers side by side; the exit code is 1 when anything was found."""
    options = _options()
    if options.number is not None:
        return _repeat(options.only[0], options.number)
    names = options.only or list(READERS)
    share = options.seconds / len(names)
    groups = [names[start :: options.jobs] for start in range(options.jobs)]
    with ThreadPoolExecutor(options.jobs) as pool:
        found = list(pool.map(lambda group: _tried(group, share), groups))
    counts = {name: next(own[name] for own in found if name in own) for name in names}
    total: Counter[str] = sum(counts.values(), Counter())
    for name, count in {**counts, "all": total}.items():
        print(_row(name, count))
    return int(any(total[kind] for kind in FINDINGS))


FINDINGS = ("traceback", "slow", "large", "dead")


def _row(name: str, count: Counter[str]) -> str:
    cells = [name, *(str(count[kind]) for kind in ("files", "read", "refused", *FINDINGS))]
    return "| " + " | ".join(cells) + " |"


def _tried(names: list[str], seconds: float) -> dict[str, Counter[str]]:
    """What became of damaged files, some seconds per reader; a child that dies is started again behind its file."""
    counts: dict[str, Counter[str]] = {name: Counter() for name in names}
    left = list(names)
    while left:
        command = [sys.executable, "-m", "fuzzing.trial", str(seconds)]
        command += [f"{name}:{counts[name]['files']}" for name in left]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        last, reason = _heard(child, counts, left[0])
        if not reason:
            return counts
        print(f"{last} {counts[last]['files']}: {reason}", flush=True)
        counts[last].update(("files", "dead"))
        left = left[left.index(last) :]
    return counts


def _heard(child: subprocess.Popen[str], counts: dict[str, Counter[str]], last: str) -> tuple[str, str]:
    """Listen to a child until it ends; which reader it tried last, and why it died, if it did."""
    lines: queue.Queue[str] = queue.Queue()
    assert child.stdout is not None and child.stderr is not None
    threading.Thread(target=_listen, args=(child.stdout, lines), daemon=True).start()
    try:
        while line := lines.get(timeout=PATIENCE):
            done = json.loads(line)
            last = done["name"]
            _enter(last, done, counts[last])
        return last, f"died: exit {child.returncode} {child.stderr.read()[-500:]}" if child.wait() else ""
    except queue.Empty:
        return last, f"hangs for {PATIENCE:.0f} s"
    finally:
        child.kill()
        child.wait()


def _listen(lines: Iterable[str], heard: queue.Queue[str]) -> None:
    for line in lines:
        heard.put(line)
    heard.put("")


def _enter(name: str, done: dict[str, Any], count: Counter[str]) -> None:
    count.update(("files", done["kind"]))
    count["slow"] += done["seconds"] > SLOW
    count["large"] += done["megabytes"] > LARGE
    if done["kind"] == "traceback" or done["seconds"] > SLOW or done["megabytes"] > LARGE:
        last = done["words"].strip().rpartition("\n")[2]
        print(
            f"{name} {done['number']}: {done['seconds']:.1f} s, {done['megabytes']:.0f} MB, {done['kind']} {last}",
            flush=True,
        )


def _repeat(name: str, number: int) -> int:
    with tempfile.TemporaryDirectory() as folder:
        seeds = READERS[name].seeds(Path(folder))
        kind, words = outcome_of(name, case(name, seeds, number), Path(folder))
    print(kind, words)
    return int(kind == "traceback")


def _options() -> Any:
    parser = ArgumentParser(prog="fuzzing", description="Damaged files for every reader.")
    parser.add_argument(
        "--seconds", type=float, default=240.0, help="of computing, for all readers together; default: 240"
    )
    parser.add_argument("--jobs", type=int, default=2, help="children at once; default: 2")
    parser.add_argument("--only", nargs="+", choices=list(READERS), metavar="READER", help="some readers")
    parser.add_argument("--number", type=int, help="repeat this file of the reader, in this process")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
