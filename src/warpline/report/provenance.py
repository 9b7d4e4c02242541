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
from warpline.images.image import Image
from warpline.io.itk_images import DETACHED
from warpline.report import regions
from warpline.report.contrast import contrast_of
from warpline.report.excerpt import Excerpt

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
    fixed: Image, moving: Image, warped: Image, mask: Image | None = None, *, outside: float = 0.0, backend: Backend
) -> dict[str, Any]:
    """Correlation with the fixed image before and after, see `warpline.evaluation.similarity`.

    Masks, labels and other images of few values say nothing within their object: they are compared over the box around
    the fixed one, a quarter wider on each side, and small windows where they cross its edges. Of large images only some
    bands are measured, see `warpline.report.excerpt`.

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
    outside : float
        Value beyond the moving image where the headers carry it.
    backend : Backend
        Where the arithmetic runs.

    Returns
    -------
    dict
        ``similarity``: ``before`` and ``after``, each ``ncc`` and ``local_ncc``; ``measured``: the share of the voxels
        that these are of; ``contrast``: ``line``, ``curve`` and ``is_alike`` of `warpline.report.contrast.Contrast`,
        None for images of few values.
    """
    few = mask is None and (regions.of_few_values(fixed) or regions.of_few_values(moving))
    inside = fixed.data > fixed.data.min() if mask is None else mask.data != 0
    where = regions.surroundings(fixed) if few else Image(inside, fixed.grid)
    excerpt = Excerpt.of(where)
    target, region = excerpt.image(fixed), excerpt.mask(where)
    before, after = excerpt.by_headers(moving, outside=outside, backend=backend), excerpt.image(warped)
    compared = _shapes_alike if few else _alike
    contrast = None if few else contrast_of(target, after, region)
    return {
        "similarity": {
            name: compared(target, image, region, backend) for name, image in (("before", before), ("after", after))
        },
        "measured": excerpt.share,
        "contrast": None if contrast is None else {**asdict(contrast), "is_alike": contrast.is_alike},
    }


def _alike(fixed: Image, image: Image, region: Image, backend: Backend) -> dict[str, float]:
    return asdict(similarity(fixed, image, region, backend=backend))


def _shapes_alike(fixed: Image, image: Image, region: Image, backend: Backend) -> dict[str, float]:
    whole = similarity(fixed, image, region, backend=backend)
    rim = similarity(fixed, image, regions.edges(fixed, region), radius=regions.RADIUS, backend=backend)
    return {"ncc": whole.ncc, "local_ncc": rim.local_ncc}


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
    """Of the file where there is one that holds the values, else of the array in C order."""
    if path is None or path.endswith(DETACHED):
        return hashlib.sha256(np.ascontiguousarray(image.data).data).hexdigest()
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
