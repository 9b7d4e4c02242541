"""Paths as files of ours state them: relative to a folder, with slashes, so that they mean the same on every system."""

from __future__ import annotations

import os
from pathlib import Path


def relative_path(path: str | os.PathLike[str], folder: str | os.PathLike[str]) -> str:
    """A path as seen from a folder, with slashes; the whole path where no relative one leads to it.

    Parameters
    ----------
    path : path
        What is named.
    folder : path
        Where the file that names it stands.

    Examples
    --------
    >>> relative_path("data/sub-01/t1.nii.gz", "data/out")
    '../sub-01/t1.nii.gz'
    """
    try:
        found = os.path.relpath(path, folder)
    except ValueError:  # another drive of Windows
        found = os.path.abspath(path)
    return Path(found).as_posix()
