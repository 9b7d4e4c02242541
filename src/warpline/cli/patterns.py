"""Patterns of file names in arguments, which shells of Windows hand on as they are."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence


def expanded(arguments: Sequence[str]) -> list[str]:
    """Replace each pattern such as ``sub-*_T1w.nii.gz`` by the files that it stands for, in order of their names.

    What names a file, or stands for none, stays, as in shells of POSIX systems; so do options, ``KEY=VALUE`` and
    inverses such as ``[affine.mat,1]``. Brackets stand for themselves.
    """
    return [name for one in arguments for name in _files(one) or [one]]


def _files(argument: str) -> list[str]:
    """The files that an argument stands for, where it is a pattern."""
    if not set("*?") & set(argument) or argument.startswith(("-", "[")) or "=" in argument or os.path.exists(argument):
        return []
    return sorted(glob.glob(argument.replace("[", "[[]")))
