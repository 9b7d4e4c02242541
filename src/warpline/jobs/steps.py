"""The steps of one registration: read and check, compute, save."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from warpline.backends import Backend
from warpline.errors import InputError
from warpline.image import Image
from warpline.io.atomic import Transaction
from warpline.io.checks import check_pair
from warpline.io.header_notes import once
from warpline.io.images import Source, as_image
from warpline.io.transform_files import read_transform
from warpline.jobs.clock import Clock
from warpline.jobs.files import Prefix, check_names, names_after, store
from warpline.recipe import Recipe
from warpline.registration import Alignment, Listener, align
from warpline.report.page import html_summary
from warpline.report.pictures import write_overlay
from warpline.report.provenance import describe, environment, likeness, plain
from warpline.resampling import warp
from warpline.transforms import Affine, Chain

Initial = Affine | str | os.PathLike[str] | ArrayLike
"""An affine from fixed world to moving world (RAS+ mm): a transform, a transform file or a (4, 4) matrix."""

Loader = Callable[[Source, str, str | None], tuple[Image, dict[str, Any]]]
"""Reads and describes one image; see `load`."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """What one registration starts from, read and checked.

    Parameters
    ----------
    recipe : Recipe
        What to run.
    images : dict
        ``"fixed"``, ``"moving"``, and ``"fixed_mask"``, ``"moving_mask"`` where given.
    described : dict
        Path, shape, voxel size and checksum of each image.
    initial : Affine or None
        Where to start, fixed world to moving world.
    origin : str, list or None
        The file or matrix that `initial` comes from.
    seconds : dict
        Wall-clock time of each part.
    geometry : str or None
        Which matrix of NIfTI headers was asked for.
    notes : tuple of str
        What the headers of the images leave open, for the warnings of the report.
    """

    recipe: Recipe
    images: dict[str, Image]
    described: dict[str, Any]
    initial: Affine | None
    origin: Any
    seconds: dict[str, float]
    geometry: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Registration:
    """The maps between two images, and both images carried through them.

    Parameters
    ----------
    alignment : Alignment
        Images, maps and measurements.
    warped : Image
        The moving image on the fixed grid.
    inverse_warped : Image
        The fixed image on the moving grid.
    report : dict
        Versions, backend, recipe, inputs, seconds per step, levels with energies, quality, similarity before
        and after, judgement, warnings (what headers leave open, reasons for doubt); `outputs` after `save`. Plain JSON
        values.
    """

    alignment: Alignment
    warped: Image
    inverse_warped: Image
    report: dict[str, Any]

    @property
    def transform(self) -> Chain:
        """Fixed world points to moving world points (RAS+ mm)."""
        return self.alignment.transform

    @property
    def inverse(self) -> Chain:
        """Moving world points to fixed world points (RAS+ mm)."""
        return self.alignment.inverse

    def save(self, prefix: Prefix) -> dict[str, Path]:
        """Write transforms, images, pictures and reports; all of them or none.

        Parameters
        ----------
        prefix : str
            What every name begins with; missing folders are made.

        Returns
        -------
        dict
            What each file is, to its path.

        Raises
        ------
        OutputError
            When a file cannot be written.
        UsageError
            When an output would replace an input.
        """
        names = names_after(prefix)
        check_names(names, [entry["path"] for entry in self.report["inputs"].values()])
        with Transaction() as files:
            files.prepare(names["report"].parent)
            return store(self, files, names)

    def __repr__(self) -> str:
        """The images and the quality in one line."""
        inputs, quality = self.report["inputs"], self.report["quality"]
        names = " on ".join(inputs[name]["path"] or name for name in ("moving", "fixed"))
        folds = "linear" if quality is None else f"{quality['folded_voxels']} folded voxels"
        return f"<Registration of {names}: recipe {self.report['recipe']['name']}, {folds}>"

    def _repr_html_(self) -> str:
        overlay = io.BytesIO()
        write_overlay(self.alignment.fixed, self.alignment.moving, self.warped, overlay)
        return html_summary(self.report, {"overlay": overlay})


def load(source: Source, name: str, geometry: str | None = None) -> tuple[Image, dict[str, Any]]:
    """Read one image, and describe it as reports do: path, shape, voxel size, matrix of its header, checksum."""
    image = as_image(source, name, geometry)
    return image, describe(image, source)


def read(
    fixed: Source,
    moving: Source,
    recipe: str | Path | Recipe = "syn",
    fixed_mask: Source | None = None,
    moving_mask: Source | None = None,
    *,
    initial: Initial | None = None,
    geometry: str | None = None,
    load: Loader = load,
) -> Inputs:
    """Read and check everything one registration needs; nothing is computed, so it can run ahead in a thread.

    The arguments are those of `register`; `load` reads one image, and may keep what many pairs share.

    Raises
    ------
    UsageError, InputError
        As for `register`.
    """
    recipe = Recipe.load(recipe)
    clock = Clock()
    given = {"fixed": fixed, "moving": moving, "fixed_mask": fixed_mask, "moving_mask": moving_mask}
    with clock.step("read"):
        loaded = {name: load(source, name, geometry) for name, source in given.items() if source is not None}
        start = _read_initial(initial)
    images = {name: image for name, (image, _) in loaded.items()}
    with clock.step("check"):
        check_pair(**images, recipe=recipe, initial=start)
    described = {name: description for name, (_, description) in loaded.items()}
    origin = os.fspath(initial) if isinstance(initial, (str, os.PathLike)) else start and start.matrix.tolist()
    notes = tuple(once(*(image.grid for image in images.values())))
    return Inputs(recipe, images, described, start, origin, clock.seconds, geometry, notes)


def compute(
    inputs: Inputs, backend: Backend, *, threads: int | None = None, progress: Listener | None = None
) -> Registration:
    """Find the maps between the images of `inputs`, and carry both images through them; touches no file."""
    images, clock = inputs.images, Clock(dict(inputs.seconds))
    alignment = align(**images, recipe=inputs.recipe, backend=backend, initial=inputs.initial, progress=progress)
    clock.seconds.update(alignment.seconds)
    with clock.step("warp"):
        warped = warp(alignment.moving, alignment.transform, alignment.fixed.grid, backend=backend)
        inverse_warped = warp(alignment.fixed, alignment.inverse, alignment.moving.grid, backend=backend)
    with clock.step("similarity"):
        alike = likeness(images["fixed"], images["moving"], warped, images.get("fixed_mask"), backend=backend)
    report = {
        **environment(backend, threads),
        "recipe": inputs.recipe.model_dump(mode="json"),
        "inputs": inputs.described,
        "geometry": inputs.geometry,
        "initial": inputs.origin,
        "seconds": clock.seconds,
        "levels": [asdict(level) for level in alignment.levels],
        "quality": None if alignment.quality is None else asdict(alignment.quality),
        "similarity": alike,
        "judgement": asdict(alignment.judgement),
        "warnings": [*inputs.notes, *alignment.warnings],
    }
    return Registration(alignment, warped, inverse_warped, plain(report))


def _read_initial(initial: Initial | None) -> Affine | None:
    if initial is None or isinstance(initial, Affine):
        return initial
    if not isinstance(initial, (str, os.PathLike)):
        return Affine(np.asarray(initial, dtype=np.float64))
    transform = Chain.of(read_transform(initial)).simplified()
    if not isinstance(transform, Affine):
        raise InputError(f"{initial} is not affine; an affine transform is needed to start from")
    return transform
