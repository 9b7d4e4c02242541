"""A translation in one line: ``shift x y z``, mm along R, A and S."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from warpline.io.transform_files.format import Format, Head, read_text
from warpline.space import Affine


def matches(head: Head) -> bool:
    """Whether the file begins with the word."""
    return head.text.startswith("shift ")


def read(path: Path) -> Affine:
    """Read the translation."""
    matrix = np.eye(4)
    matrix[:3, 3] = [float(word) for word in read_text(path).split()[1:4]]
    return Affine(matrix)


def encode(transform: Affine) -> bytes:
    """Write the translation of an affine."""
    return "shift {} {} {}\n".format(*transform.matrix[:3, 3]).encode()


FORMAT = Format("a translation", "fixed to moving", "mm, RAS", Affine, (".shift",), matches, read, encode)
