"""2-D images in text form: a line of sizes, then the values."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
from nibabel.spatialimages import SpatialImage

from warpline.io import limits


def open_image(path: Path) -> SpatialImage:
    """Read the sizes, check them against the file, then read the values."""
    sizes, values = path.read_text().split("\n", 1)
    shape = tuple(int(size) for size in sizes.split())
    limits.check_size(path, shape, 2, path.stat().st_size, decoded=8)
    return nibabel.Nifti1Image(np.array(values.split(), np.float64).reshape(shape), np.diag([-1.0, -1.0, 1.0, 1.0]))
