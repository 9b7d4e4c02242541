"""Patterns of file names in arguments, which shells of Windows hand on as they are."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence


def expanded(arguments: Sequence[str]) -> list[str]:
    """Replace each pattern such as ``sub-*_T1w.nii.gz`` by the files that it stands for, in order of their names.

    What names a file, or stands for none, stays, as in shells of POSIX systems.
    """
    found = [sorted(glob.glob(one)) if glob.has_magic(one) and not os.path.exists(one) else [] for one in arguments]
    return [name for one, names in zip(arguments, found, strict=True) for name in names or [one]]
