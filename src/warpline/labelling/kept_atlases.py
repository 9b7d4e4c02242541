"""Registered atlases in a folder: kept by one run, taken by the next one with the same images and recipe."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from warpline.errors import InputError
from warpline.images import Image
from warpline.io.atomic import claimed
from warpline.io.compression import compress
from warpline.io.images import encode_image, read_image
from warpline.io.json_values import plain
from warpline.labelling.atlases import LoadedAtlas
from warpline.labelling.warped_atlases import WarpedAtlas, Warping
from warpline.recipe import NUMERICS

IMAGE, LABELS, RECORD = "image.nii.gz", "labels.nii.gz", "record.json"
"""Files of an atlas; the record is written last and means that it is complete."""


def warp_or_take(atlas: LoadedAtlas, warping: Warping, folder: str | os.PathLike[str]) -> WarpedAtlas:
    """An atlas on the grid of an image: as an earlier run kept it, else registered, and kept.

    Its files lie in a folder of their own, named after a digest of everything that they follow from. Files that do not
    have the checksums of their record count as damaged: the atlas is registered again, and its warnings say so.

    Parameters
    ----------
    atlas : LoadedAtlas
        What is carried.
    warping : Warping
        Where to, and how.
    folder : path
        Made where it is missing.

    Raises
    ------
    InputError
        When the images cannot be registered.
    OutputError
        When the folder cannot be written, or another process registers this atlas right now.
    """
    place = Path(folder) / key_of(atlas, warping)
    taken = _read(place, atlas.name, warping.image)
    if taken is not None:
        return taken
    damaged = (place / RECORD).exists()
    with claimed([place / IMAGE, place / LABELS, place / RECORD]) as files:
        found = warping.warp(atlas)
        contents = {IMAGE: compress(encode_image(found.image)), LABELS: compress(encode_image(found.labels))}
        record = {
            "atlas": atlas.name,
            "inputs": {"image": warping.about, "atlas": atlas.described},
            "judgement": dict(found.judgement),
            "seconds": found.seconds,
            "warnings": list(found.warnings),
            "files": {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()},
        }
        for name, content in contents.items():
            files.write(place / name, content)
        files.write(place / RECORD, json.dumps(plain(record), indent=2, allow_nan=False).encode() + b"\n")
    if damaged:
        note = f"what an earlier run kept in {place} is damaged; registered again"
        return replace(found, warnings=(note, *found.warnings))
    return found


def key_of(atlas: LoadedAtlas, warping: Warping) -> str:
    """Digest of images, their grids, recipe and numerics."""
    images = {"image": warping.image, "atlas": atlas.image, "labels": atlas.labels}
    sums = {"image": warping.about, "atlas": atlas.described["image"], "labels": atlas.described["labels"]}
    parts: dict[str, Any] = {
        name: [sums[name]["sha256"], list(one.grid.shape), one.affine.tolist()] for name, one in images.items()
    }
    parts |= {"recipe": warping.recipe.model_dump(mode="json"), "numerics": NUMERICS}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _read(place: Path, name: str, image: Image) -> WarpedAtlas | None:
    """What was kept; None where that is nothing, or damaged."""
    try:
        record = json.loads((place / RECORD).read_bytes())
        for file in (IMAGE, LABELS):
            if hashlib.sha256((place / file).read_bytes()).hexdigest() != record["files"][file]:
                return None
        shown, labels = (replace(read_image(place / file), grid=image.grid.bare) for file in (IMAGE, LABELS))
        judgement, warnings = record["judgement"], tuple(record["warnings"])
        return WarpedAtlas(name, shown, labels, judgement, record["seconds"], warnings, is_reused=True)
    except (OSError, ValueError, KeyError, TypeError, InputError):
        return None
