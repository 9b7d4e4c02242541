"""GPUs that a run may use, found without loading a GPU library into the driver."""

from __future__ import annotations

import os
import shutil
import subprocess

from warpline.backends import BACKENDS

_QUERY = ("--query-gpu=uuid", "--format=csv,noheader")


def visible_gpus(backend: str | None) -> list[str]:
    """What to put into ``CUDA_VISIBLE_DEVICES``, one entry per GPU; empty when `backend` uses none.

    An existing ``CUDA_VISIBLE_DEVICES``, such as SLURM sets, is shared out; else every GPU of this machine is used.
    """
    if (backend or os.environ.get("WARPLINE_BACKEND") or "auto") not in ("auto", "cuda") or "cuda" not in BACKENDS:
        return []
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [entry.strip() for entry in given.split(",") if entry.strip() and entry.strip() != "-1"]
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    answer = subprocess.run([program, *_QUERY], capture_output=True, text=True, check=False)
    return answer.stdout.split() if answer.returncode == 0 else []
