"""Jobs: from files to numbers and back to files. The one place where the two meet."""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import ArrayLike

from warpline.backends import Backend, select
from warpline.errors import InputError, UsageError
from warpline.image import Image
from warpline.io.atomic import Transaction
from warpline.io.checks import check_pair
from warpline.io.compression import compress
from warpline.io.images import Source, as_image, encode_image
from warpline.io.transform_files import itk_affine, itk_warp, read_transform
from warpline.recipe import Recipe
from warpline.registration import Alignment, Listener, align
from warpline.report.page import html_summary, write_page
from warpline.report.pictures import write_deformation, write_overlay
from warpline.report.provenance import describe, environment, likeness, plain, shortcomings
from warpline.resampling import warp
from warpline.transforms import Affine, Chain

AFFINE = "0GenericAffine.mat"
WARP = "1Warp.nii.gz"
INVERSE_WARP = "1InverseWarp.nii.gz"
WARPED = "Warped.nii.gz"
INVERSE_WARPED = "InverseWarped.nii.gz"
OVERLAY = "Overlay.png"
DEFORMATION = "Grid.png"
PAGE = "report.html"
REPORT = "report.json"

Initial = Affine | str | os.PathLike[str] | ArrayLike
"""An affine from fixed world to moving world (RAS+ mm): a transform, a transform file or a (4, 4) matrix."""

Prefix = str | os.PathLike[str]
"""What the names of all outputs begin with, folder included."""


@dataclass(frozen=True)
class Job:
    """One registration of files, as plain data.

    Parameters
    ----------
    fixed, moving : path
        Images of one volume each.
    prefix : str
        What the names of all outputs begin with, folder included: ``out/sub-01_``.
    recipe : str, path or Recipe
        A preset, a TOML file or a recipe.
    fixed_mask, moving_mask : path, optional
        Where the metric counts (voxels other than 0), each on its image's grid.
    initial : path, optional
        An affine to start from, fixed world to moving world.
    backend : str, optional
        ``"auto"`` or None reads ``WARPLINE_BACKEND`` first.
    threads : int, optional
        CPU threads; None reads ``WARPLINE_THREADS``, else uses every core.
    """

    fixed: str | os.PathLike[str]
    moving: str | os.PathLike[str]
    prefix: str
    recipe: str | Path | Recipe = "syn"
    fixed_mask: str | os.PathLike[str] | None = None
    moving_mask: str | os.PathLike[str] | None = None
    initial: str | os.PathLike[str] | None = None
    backend: str | None = None
    threads: int | None = None


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
        and after, warnings where a bar of quality is missed; `outputs` after `save`. Plain JSON values.
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
        with Transaction() as files:
            _prepare(files, prefix, [entry["path"] for entry in self.report["inputs"].values()])
            return _store(self, files, prefix)

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


def run(job: Job, progress: Listener | None = None) -> Registration:
    """Register the files of a job and write every output; the report, written last, marks it as done.

    The output folder is tried before anything is computed. When the job fails, nothing that it made stays.

    Raises
    ------
    UsageError
        When an option is not allowed.
    InputError
        When an input cannot be used.
    OutputError
        When the output folder is not writable or full.
    """
    sources = (job.fixed, job.moving, job.fixed_mask, job.moving_mask, job.initial)
    with Transaction() as files:
        _prepare(files, job.prefix, sources)
        registration = register(
            job.fixed,
            job.moving,
            job.recipe,
            job.fixed_mask,
            job.moving_mask,
            initial=job.initial,
            backend=job.backend,
            threads=job.threads,
            progress=progress,
        )
        _store(registration, files, job.prefix)
    return registration


def register(
    fixed: Source,
    moving: Source,
    recipe: str | Path | Recipe = "syn",
    fixed_mask: Source | None = None,
    moving_mask: Source | None = None,
    *,
    initial: Initial | None = None,
    backend: str | Backend | None = "auto",
    threads: int | None = None,
    progress: Listener | None = None,
) -> Registration:
    """Find the map that carries the moving image onto the fixed image, and its inverse.

    Parameters
    ----------
    fixed, moving : path, nibabel image, Image, array or (array, affine)
        One volume each, 3-D, or 2-D for single slices; an array alone has the identity as its affine.
    recipe : str, path or Recipe
        ``"rigid"``, ``"affine"``, ``"syn"``, ``"syn-fast"``, ``"syn-quality"``, a TOML file, or a recipe.
    fixed_mask, moving_mask : like the images, optional
        Where the metric counts (voxels other than 0), each on its image's grid.
    initial : Affine, path or (4, 4), optional
        Where to start, fixed world to moving world (RAS+ mm), in place of the recipe's initialisation.
    backend : str or Backend
        ``"auto"`` takes ``WARPLINE_BACKEND``, else the fastest that runs here.
    threads : int, optional
        CPU threads; None reads ``WARPLINE_THREADS``, else uses every core.
    progress : callable, optional
        Called with a `Progress` as the registration advances.

    Returns
    -------
    Registration
        `.warped`, `.inverse_warped`, `.transform`, `.inverse`, `.report` and `.save(prefix)`.

    Raises
    ------
    UsageError
        When an option is not allowed.
    InputError
        When an image cannot be read, is not one volume, is not finite, constant or smaller than the metric's
        window, when a mask does not lie on its image's grid, or when the grids do not overlap in world space.
    """
    recipe = Recipe.load(recipe)
    chosen = select(None if backend == "auto" else backend, threads)
    clock = _Clock()
    with clock.step("read"):
        masks = {"fixed_mask": fixed_mask, "moving_mask": moving_mask}
        sources = {"fixed": fixed, "moving": moving} | {name: mask for name, mask in masks.items() if mask is not None}
        images = {name: as_image(source, name) for name, source in sources.items()}
        start = _read_initial(initial)
    with clock.step("check"):
        check_pair(**images, recipe=recipe, initial=start)
    alignment = align(**images, recipe=recipe, backend=chosen, initial=start, progress=progress)
    clock.seconds.update(alignment.seconds)
    with clock.step("warp"):
        warped = warp(alignment.moving, alignment.transform, alignment.fixed.grid, backend=chosen)
        inverse_warped = warp(alignment.fixed, alignment.inverse, alignment.moving.grid, backend=chosen)
    with clock.step("similarity"):
        alike = likeness(images["fixed"], images["moving"], warped, images.get("fixed_mask"), backend=chosen)
    report = {
        **environment(chosen, threads),
        "recipe": recipe.model_dump(mode="json"),
        "inputs": {name: describe(image, sources[name]) for name, image in images.items()},
        "initial": os.fspath(initial) if isinstance(initial, (str, os.PathLike)) else start and start.matrix.tolist(),
        "seconds": clock.seconds,
        "levels": [asdict(level) for level in alignment.levels],
        "quality": None if alignment.quality is None else asdict(alignment.quality),
        "similarity": alike,
        "warnings": shortcomings(alignment.quality),
    }
    return Registration(alignment, warped, inverse_warped, plain(report))


@dataclass(frozen=True)
class _Clock:
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start


def _read_initial(initial: Initial | None) -> Affine | None:
    if initial is None or isinstance(initial, Affine):
        return initial
    if not isinstance(initial, (str, os.PathLike)):
        return Affine(np.asarray(initial, dtype=np.float64))
    transform = read_transform(initial)
    if not isinstance(transform, Affine):
        raise InputError(f"{initial} is not affine; an affine transform is needed to start from")
    return transform


# -- files ------------------------------------------------------------------------------------------------------


def _prepare(files: Transaction, prefix: Prefix, sources: Iterable[Source | None]) -> None:
    outputs = {_path(prefix, name).resolve() for name in (AFFINE, WARP, INVERSE_WARP, WARPED, INVERSE_WARPED)}
    for source in sources:
        if isinstance(source, (str, os.PathLike)) and Path(source).resolve() in outputs:
            raise UsageError(f"prefix {os.fspath(prefix)!r} would overwrite the input {source}; choose another prefix")
    files.prepare(_path(prefix, REPORT).parent)


def _store(registration: Registration, files: Transaction, prefix: Prefix) -> dict[str, Path]:
    report, clock, outputs, pictures = registration.report, _Clock(), {}, {}
    with ThreadPoolExecutor(report["backend"]["threads"]) as pool:
        encoded = [(kind, name, pool.submit(encode)) for kind, name, encode in _results(registration)]
        with clock.step("pictures"):
            for kind, name, draw in _pictures(registration):
                outputs[kind], pictures[kind] = _path(prefix, name), io.BytesIO()
                draw(pictures[kind])
                files.write(outputs[kind], pictures[kind].getvalue())
        with clock.step("write"):
            for kind, name, content in encoded:
                outputs[kind] = _path(prefix, name)
                files.write(outputs[kind], content.result())
    outputs["page"] = _path(prefix, PAGE)
    report["outputs"] = {kind: str(path) for kind, path in outputs.items()}
    report["seconds"].update(clock.seconds)
    with files.staged(outputs["page"]) as temporary, clock.step("page"):
        write_page(report, pictures, temporary)
    for name in (WARP, INVERSE_WARP, DEFORMATION):  # of an earlier run, when this one has none
        if _path(prefix, name) not in outputs.values():
            files.discard(_path(prefix, name))
    report["seconds"].update(clock.seconds)
    outputs["report"] = _path(prefix, REPORT)
    files.write(outputs["report"], json.dumps(report, indent=2, allow_nan=False).encode() + b"\n")
    return outputs


def _results(registration: Registration) -> Iterator[tuple[str, str, Callable[[], bytes]]]:
    """What each file is, how its name ends, and what makes its content."""
    affine, field = registration.alignment.affine, registration.alignment.warp
    yield "affine", AFFINE, partial(itk_affine.encode, affine)
    if field is not None:
        yield "warp", WARP, lambda: compress(itk_warp.encode(field))
        yield "inverse_warp", INVERSE_WARP, lambda: compress(itk_warp.encode(field.inverse()))
    yield "warped", WARPED, lambda: compress(encode_image(registration.warped))
    yield "inverse_warped", INVERSE_WARPED, lambda: compress(encode_image(registration.inverse_warped))


def _pictures(registration: Registration) -> Iterator[tuple[str, str, Callable[[BinaryIO], None]]]:
    """What each picture shows, how its name ends, and what draws it."""
    fixed, moving, field = registration.alignment.fixed, registration.alignment.moving, registration.alignment.warp
    yield "overlay", OVERLAY, partial(write_overlay, fixed, moving, registration.warped)
    if field is not None:
        yield "deformation", DEFORMATION, partial(write_deformation, fixed, field)


def _path(prefix: Prefix, name: str) -> Path:
    return Path(f"{os.fspath(prefix)}{name}")
