"""How pairs of unlike contrasts are registered: recipe ``syn`` with settings, and ANTs; and how smooth a map is."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from warpline import Image, register, write_image
from warpline.backends import Backend
from warpline.evaluation import bending_energy, folding
from warpline.io.transform_files import read_transform
from warpline.recipe import Recipe
from warpline.resampling import resample
from warpline.space import Chain, Displacement

Row = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Maps:
    """What a tool found: fixed world to moving world, its affine part, and its displacement on the fixed grid."""

    transform: Chain
    affine: Chain
    displacement: Displacement
    seconds: float
    note: str = ""


Tool = Callable[[Image, Image], Maps]

ANTS = {"type_of_transform": "SyN", "syn_metric": "mattes", "random_seed": 1}
"""Affine and deformable by mutual information, as ANTsPy has it by default."""


def by_warpline(settings: str, backend: Backend) -> Tool:
    """Recipe ``syn`` with settings, separated by semicolons."""
    recipe = Recipe.load("syn").with_options(*(one for one in settings.split(";") if one))

    def run(fixed: Image, moving: Image) -> Maps:
        started = time.perf_counter()
        found = register(fixed, moving, recipe, backend=backend)
        seconds = time.perf_counter() - started
        compared = ", ".join(f"{term['metric']} {term['contrast']}" for term in found.report["terms"])
        alignment = found.alignment
        return Maps(alignment.transform, Chain.of(alignment.affine), alignment.warp, seconds, compared)

    return run


def by_ants(fixed: Image, moving: Image, **options: Any) -> Maps:
    """ANTsPy's `registration` with the options of `ANTS`, or others."""
    import ants

    with tempfile.TemporaryDirectory() as folder:
        paths = [f"{folder}/{name}.nii.gz" for name in ("fixed", "moving")]
        for image, path in zip((fixed, moving), paths, strict=True):
            write_image(image, path)
        images = [ants.image_read(path) for path in paths]
        started = time.perf_counter()
        found = ants.registration(*images, outprefix=f"{folder}/r_", **{**ANTS, **options})
        seconds = time.perf_counter() - started
        field, *affine = (Chain.of(read_transform(path)) for path in found["fwdtransforms"])
    parts = tuple(part for chain in affine for part in chain.parts)
    return Maps(Chain((*field.parts, *parts)), Chain(parts), field.parts[0], seconds)


def by_ants_along_j(fixed: Image, moving: Image) -> Maps:
    """ANTs' ``SyNOnly`` from where the images are, its deformation restricted to the world axis nearest to axis j.

    ANTs restricts a deformation only where no other transform comes before it, so there is no affine.
    """
    nearest = np.abs(fixed.grid.affine[:3, 1]).argmax()
    weights = tuple(int(axis == nearest) for axis in range(3))
    options = {"type_of_transform": "SyNOnly", "initial_transform": "identity", "restrict_transformation": weights}
    return by_ants(fixed, moving, **options)


def deformation_scores(maps: Maps, fixed: Image) -> Row:
    """Folds by the strictest measure, and bending, where the fixed image, or its mask, is above zero."""
    shown = resample(fixed, like=maps.displacement.grid, order=0)
    inside = replace(shown, data=(shown.data > 0).astype(np.uint8))
    folds = folding(maps.displacement, inside, differences="any")
    return {"folds": folds.count, "bending": bending_energy(maps.displacement, inside)}
