"""Where a result comes from: versions, backend and inputs, as plain JSON values for the report."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import sys
from functools import cache
from typing import Any

import numpy as np

from warpline.backends import Backend, thread_count
from warpline.images import Image
from warpline.io.itk_images import DETACHED
from warpline.io.zarr_names import is_zarr

_PACKAGES = ("numpy", "scipy", "numba", "nibabel")


def environment(backend: Backend, threads: int | None) -> dict[str, Any]:
    """Versions, platform and backend of a run."""
    return {
        "warpline": version("warpline"),
        "versions": {name: version(name) for name in _PACKAGES},
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


def peak_memory() -> int:
    """The most bytes that this process has taken."""
    try:
        import resource
    except ImportError:  # Windows
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


@cache
def version(package: str) -> str | None:
    """The installed version of a package; None where it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _sha256(image: Image, path: str | None) -> str:
    """Of the file where there is one that holds the values, else of the array in C order."""
    if path is None or path.endswith(DETACHED) or is_zarr(path):
        return hashlib.sha256(np.ascontiguousarray(image.data).data).hexdigest()
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
