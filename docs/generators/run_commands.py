"""Type what guides tell their readers to type: every command of a page, in its order, on small made data.

    python docs/generators/run_commands.py [PAGE...]

Without arguments, all pages of `PAGES`. ``make docs-check`` runs this; it takes some minutes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from guide_commands import code_of, commands_of
from made_data import make

DOCS = Path(__file__).resolve().parents[1]

PAGES = (
    "getting-started",
    "coming-from",
    "guide",
    "template",
    "labelling",
    "longitudinal",
    "series",
    "clusters",
)
"""Guides whose commands follow from one another and from the files of `made_data`."""

WITH_PYTHON = ("getting-started",)
"""Those whose Python runs as well, after the commands."""

LEFT_OUT = {
    "atlas.ome.zarr": "takes a pyramid of three levels",
    "bundle.trk": "takes streamlines",
    "lh.": "takes surfaces",
    "rh.": "takes surfaces",
    "-prepare": "takes the extra itk",
    "cohort status": "takes a job that has run",
    "cohort report": "takes a job that has run",
}
"""What a command names that is not run here, and why."""

ALLOWED = {"template build": (0, 3), "check-header": (0, 8)}
"""Exit codes of commands that say something of the data by them."""


def main(pages: Sequence[str]) -> int:
    """Run all commands of the pages; the exit code is 1 where one does not do what it should."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    failed = 0
    for name in pages or PAGES:
        with tempfile.TemporaryDirectory() as folder:
            make(Path(folder))
            page = DOCS / f"{name}.md"
            (Path(folder) / "mine.toml").write_text(code_of(page, "toml"), encoding="utf-8")
            for command in commands_of(page):
                failed += _run(command, folder, environment)
            if name in WITH_PYTHON:
                failed += _run(f"python - <<'END'\n{code_of(page, 'python')}\nEND", folder, environment)
    return 1 if failed else 0


def _run(command: str, folder: str, environment: dict[str, str]) -> int:
    """Run one command and say how it went; 1 where it failed."""
    why = next((why for part, why in LEFT_OUT.items() if part in command), None)
    if why:
        return _say("left out", command, why)
    started = time.perf_counter()
    done = subprocess.run(command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    codes = next((codes for part, codes in ALLOWED.items() if part in command), (0,))
    if done.returncode in codes:
        return _say("ran", command, f"{time.perf_counter() - started:.1f} s")
    return _say(f"exit code {done.returncode}", command, done.stderr) + 1


def _say(what: str, command: str, more: str) -> int:
    sys.stdout.write(f"{what:10} {command}  ({more.strip()})\n")
    sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
