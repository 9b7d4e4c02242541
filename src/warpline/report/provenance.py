"""Where a result comes from and how good it is, as plain JSON values for the report."""

from __future__ import annotations

import hashlib
import importlib.metadata
import math
import os
import platform
from dataclasses import asdict
from typing import Any

import numpy as np

from warpline.backends import Backend, thread_count
from warpline.evaluation import similarity
from warpline.image import Image
from warpline.resampling import warp
from warpline.transforms import Chain

_PACKAGES = ("numpy", "scipy", "numba", "nibabel")


def environment(backend: Backend, threads: int | None) -> dict[str, Any]:
    """Versions, platform and backend of a run."""
    return {
        "warpline": _version("warpline"),
        "versions": {name: _version(name) for name in _PACKAGES},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "backend": {"name": backend.name, "device": backend.device, "threads": thread_count(threads)},
    }


def describe(image: Image, source: Any) -> dict[str, Any]:
    """Path (None for arrays), shape, voxel size, matrix and checksum of an input.

    The matrix is that of its header which places the voxels, None where the format has only one.

    Parameters
    ----------
    image : Image
        What was read.
    source : path or other
        What it was read from.
    """
    path = os.fspath(source) if isinstance(source, (str, os.PathLike)) else None
    return {
        "path": path,
        "shape": list(image.data.shape),
        "voxel_size": image.grid.voxel_size.tolist(),
        "matrix": None if image.grid.header is None else image.grid.header.matrix,
        "sha256": _sha256(image, path),
    }


def likeness(
    fixed: Image, moving: Image, warped: Image, mask: Image | None = None, *, backend: Backend
) -> dict[str, dict[str, float]]:
    """Correlation with the fixed image before and after, see `warpline.evaluation.similarity`.

    Parameters
    ----------
    fixed : Image
        Where all are compared.
    moving : Image
        As it came; it is carried onto the fixed grid by the headers alone.
    warped : Image
        The result, on the fixed grid.
    mask : Image, optional
        Voxels other than 0 count; without it, every voxel above the lowest value of the fixed image.
    backend : Backend
        Where the arithmetic runs.
    """
    inside = fixed.data > fixed.data.min() if mask is None else mask.data != 0
    where = Image(inside, fixed.grid)
    before = warp(moving, Chain(), fixed.grid, backend=backend)
    compared = {"before": before, "after": warped}
    return {name: asdict(similarity(fixed, image, where, backend=backend)) for name, image in compared.items()}


def plain(value: Any) -> Any:
    """Nested values as JSON can hold them; it has no NaN, so what is not finite becomes None."""
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _sha256(image: Image, path: str | None) -> str:
    """Of the file where there is one, else of the array in C order."""
    if path is None:
        return hashlib.sha256(np.ascontiguousarray(image.data).data).hexdigest()
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
