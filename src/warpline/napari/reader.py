"""What napari calls with a path: a registration, an image or a displacement field becomes layers."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from warpline.cohort.json_files import read_object
from warpline.errors import InputError, UsageError
from warpline.images import Image
from warpline.io.transform_files import read_transform
from warpline.io.transform_files.format import MissingGridError
from warpline.io.zarr_names import is_zarr, store_of
from warpline.napari.layers import LayerData, image_layer, vectors_layer
from warpline.operations import read_image
from warpline.registration.provenance import describe
from warpline.space import Displacement

Reader = Callable[[Any], list[LayerData]]
"""Takes the path again, and returns layers."""

_LOOKS: dict[str, dict[str, Any]] = {
    "warped": {"colormap": "magenta", "blending": "additive"},
    "warped_labels": {},
    "robust_weights": {"colormap": "viridis", "blending": "additive", "visible": False},
    "uncertainty": {"colormap": "inferno", "blending": "additive", "visible": False},
}
"""Images of a registration that are shown over the fixed one, and how they look: where both agree, it is grey."""

_NEEDED = ("recipe", "inputs", "outputs")
"""What the report of a registration, and the sidecar of a pair of a cohort, has."""


def get_reader(path: str | list[str]) -> Reader | None:
    """The function that reads what is dropped into napari.

    Parameters
    ----------
    path : str or list of str
        The report of a registration, a folder with one, an image or a displacement field. A list, which napari gives to
        have files stacked, is not read.

    Returns
    -------
    callable or None
        It takes the path again and returns layers; None where it is nothing of ours.

    Examples
    --------
    >>> import numpy as np
    >>> import warpline
    >>> from warpline.napari import get_reader
    >>> grid = warpline.Grid((4, 5, 6), np.diag([2.0, 2.0, 3.0, 1.0]))
    >>> warpline.write_image(warpline.Image(np.ones(grid.shape, np.uint8), grid), "ones.nii.gz")
    >>> [(data, arguments, kind)] = get_reader("ones.nii.gz")("ones.nii.gz")
    >>> data.shape, arguments["name"], arguments["affine"].diagonal(), kind
    ((6, 5, 4), 'ones', array([ 3., -2., -2.,  1.]), 'image')
    """
    if isinstance(path, list):
        return None
    place = Path(path)
    if is_zarr(place) or not (place.is_dir() or place.suffix == ".json"):
        return _read_file
    reports = [one for one in (sorted(place.glob("*.json")) if place.is_dir() else [place]) if _is_registration(one)]
    return partial(_read_only_one, reports) if reports else None


def _read_only_one(reports: list[Path], path: object) -> list[LayerData]:
    if len(reports) > 1:
        raise UsageError(f"{path} has the reports of {len(reports)} registrations; open one of them: {reports[0].name}")
    return _read_registration(reports[0])


def _is_registration(path: Path) -> bool:
    report = read_object(path)
    if not all(isinstance(report.get(name), dict) for name in _NEEDED):
        return False
    fixed, names = report["inputs"].get("fixed"), report["outputs"].values()
    return isinstance(fixed, dict) and {"path", "sha256"} <= fixed.keys() and all(isinstance(one, str) for one in names)


def _read_registration(path: Path) -> list[LayerData]:
    """The fixed image, what lies on it, and the displacements between them."""
    report = read_object(path)
    outputs = {kind: path.parent / Path(stated).name for kind, stated in report["outputs"].items()}
    missing = [str(one) for kind, one in outputs.items() if kind in {*_LOOKS, "warp"} and not one.is_file()]
    fixed = _fixed_image(report, path.parent)
    if fixed is None:
        missing.append(report["inputs"]["fixed"]["path"] or "the fixed image, which was an array")
    if missing:
        warnings.warn(f"{path}: not found as they were, and not shown: {', '.join(missing)}", UserWarning, stacklevel=2)
    layers = [] if fixed is None else [image_layer(fixed, "fixed", colormap="green", blending="additive")]
    for kind, look in _LOOKS.items():
        if kind in outputs and outputs[kind].is_file():
            layers.append(image_layer(read_image(outputs[kind]), kind.replace("_", " "), **look))
    if "warp" in outputs and outputs["warp"].is_file():
        layers += _read_file(outputs["warp"], "warp")
    return layers


def _fixed_image(report: Mapping[str, Any], folder: Path) -> Image | None:
    """The fixed image where it still is and has not changed; its path was relative to a folder around the report."""
    about = report["inputs"]["fixed"]
    for place in (folder, *folder.absolute().parents) if about["path"] else ():
        found = place / about["path"]
        if Path(store_of(found)).exists():
            image = read_image(found, report.get("geometry"))
            if describe(image, found)["sha256"] == about["sha256"]:
                return image
    return None


def _read_file(path: str | Path, name: str | None = None) -> list[LayerData]:
    """A displacement field as arrows, anything else as an image."""
    path = Path(path)
    name = name or path.name.partition(".")[0]
    try:
        transform = None if is_zarr(path) else read_transform(path)
    except MissingGridError:
        raise
    except InputError:  # no transform
        transform = None
    if isinstance(transform, Displacement):
        return [vectors_layer(transform, name)]
    return [image_layer(read_image(path), name)]
