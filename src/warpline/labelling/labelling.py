"""`label`: an image and atlases in, its labels out; `run_label` writes the files too."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from warpline.backends import Backend, select
from warpline.images import Image
from warpline.images.checks import check_contrast, check_finite, check_one_volume
from warpline.io.atomic import claimed
from warpline.io.images import Source
from warpline.io.json_values import plain
from warpline.io.unknown import fill_unknown
from warpline.labelling.atlases import Atlases, listed, load_atlas, repeated_images
from warpline.labelling.fusion import FUSIONS, chosen_fusion
from warpline.labelling.joint_fusion import JointOptions, joint
from warpline.labelling.kept_atlases import warp_or_take
from warpline.labelling.label_names import NameSource, read_label_names
from warpline.labelling.result import Labelling, names_after, store
from warpline.labelling.warped_atlases import Warping, fuse
from warpline.recipe import Recipe
from warpline.registration import ProgressCallback, check_names, load, read
from warpline.registration.clock import Clock
from warpline.registration.provenance import environment

DEFAULT_FUSION = "joint"
"""The one that labelled held-out brains best, see docs/labelling.md."""

AtlasCallback = Callable[[str, int, int], None]
"""Receives the name of the atlas whose registration begins, its number from 1, and how many there are."""


def label(
    image: Source,
    atlases: Atlases,
    *,
    fusion: str = DEFAULT_FUSION,
    joint_options: JointOptions | None = None,
    recipe: str | Path | Recipe = "syn",
    registrations: str | os.PathLike[str] | None = None,
    label_names: NameSource | None = None,
    geometry: str | None = None,
    backend: str | Backend | None = "auto",
    threads: int | None = None,
    progress: ProgressCallback | None = None,
    on_atlas: AtlasCallback | None = None,
) -> Labelling:
    """Label an image: register each atlas to it, carry their labels over, and fuse them.

    Atlases are registered in turn, each on all threads or on the GPU; labels are fused on the CPU.

    Parameters
    ----------
    image : path, nibabel image, Image, array or (array, affine)
        One volume, 3-D, or 2-D for single slices.
    atlases : sequence of Atlas or (image, labels), or path
        Labelled images of the same contrast, or a table of them, see `warpline.labelling.read_atlases`.
    fusion : {"joint", "local", "majority"}
        A name in `warpline.labelling.FUSIONS`.
    joint_options : JointOptions, optional
        Settings of `joint`; its defaults when None.
    recipe : str, path or Recipe
        How atlases are registered, as for `warpline.register`.
    registrations : path, optional
        A folder where registered atlases are kept, and where those of an earlier run with the same images and recipe
        are taken from: a run that was killed goes on, another fusion registers nothing.
    label_names : path or dict of int to str, optional
        Names of labels: a table with columns ``index`` and ``name``, as BIDS has it, or a colour table of FreeSurfer.
    geometry : {"sform", "qform"}, optional
        Which matrix of NIfTI headers to take where both are set; the sform when None.
    backend, threads
        Where it is computed, as in `warpline.backends.select`.
    progress : callable, optional
        Called with a `warpline.registration.Progress` as each registration goes on.
    on_atlas : callable, optional
        Called with the name, number and count of atlases before each registration.

    Returns
    -------
    Labelling
        `.labels`, `.confidence`, `.volumes`, `.report` and `.save(prefix)`. Atlases whose registration failed are left
        out, those whose registration is doubtful are kept; warnings of the report name both.

    Raises
    ------
    UsageError
        When an option is not allowed, or no atlas is given.
    InputError
        When an image cannot be used, or no atlas can be registered.
    OutputError
        When registered atlases cannot be kept.

    Examples
    --------
    >>> import numpy as np
    >>> import warpline
    >>> x, y = np.indices((32, 32)) - 15.5
    >>> shape = np.exp(-(x**2 + 2 * y**2) / 80) * (2 + np.sin(x) + np.cos(1.3 * y + x / 3))
    >>> atlases = [(np.roll(shape, by, 0), np.roll(shape > 1, by, 0).astype(np.uint8)) for by in (1, 2, 3)]
    >>> found = warpline.label(shape, atlases, recipe="rigid", fusion="majority")
    >>> bool(warpline.evaluation.overlap(warpline.Image.from_array((shape > 1) * 1), found.labels).mean > 0.9)
    True
    """
    chosen_fusion(fusion, joint_options)
    checked, clock = Recipe.load(recipe), Clock()
    checked.refuse_uncertainty("a labelling")
    chosen = select(None if backend == "auto" else backend, threads)
    with clock.step("read"):
        read_target, about = load(image, "image", geometry)
        target, note = fill_unknown(read_target)
        _check_image(target)
        called, sources = ({}, {}) if label_names is None else read_label_names(label_names)
        loaded = [load_atlas(one, target, geometry) for one in listed(atlases)]
        for one in loaded:
            read(target, one.image, checked)  # refuses all that its registration would refuse, before the first begins
    warping = Warping(target, about, checked, chosen, threads, progress)
    warped = []
    with clock.step("registration"):
        for number, one in enumerate(loaded, 1):
            if on_atlas is not None:
                on_atlas(one.name, number, len(loaded))
            warped.append(warping.warp(one) if registrations is None else warp_or_take(one, warping, registrations))
    report = {
        **environment(chosen, threads),
        "inputs": {"image": about, **sources, "atlases": [{"name": one.name, **one.described} for one in loaded]},
        "options": {
            "fusion": fusion,
            "joint": asdict(joint_options or JointOptions()) if FUSIONS[fusion] is joint else None,
            "recipe": checked.model_dump(mode="json"),
            "registrations": None if registrations is None else os.fspath(registrations),
        },
    }
    with clock.step("fusion"):
        found = fuse(target, warped, fusion, joint_options=joint_options, backend=chosen.name, threads=threads)
    notes = [*([note] if note else []), *repeated_images(about, loaded), *found.report["warnings"]]
    report = {**report, **found.report, "warnings": notes, "seconds": clock.seconds}
    return replace(found, report=plain(report), names=called)


def run_label(image: Source, atlases: Atlases, prefix: str | Path, **options: Any) -> Labelling:
    """Label an image and write every output; the report, written last, marks it as done.

    The output folder is tried before anything is computed. When it fails, nothing that it made stays.

    Parameters
    ----------
    image, atlases
        As for `label`.
    prefix : str
        Start of the names of all outputs, folder included.
    **options
        As for `label`.

    Returns
    -------
    Labelling
        With the report as written.

    Raises
    ------
    UsageError, InputError, OutputError
        As `label` and `Labelling.save`.

    Examples
    --------
    >>> import numpy as np
    >>> import warpline
    >>> x, y = np.indices((32, 32)) - 15.5
    >>> shape = np.exp(-(x**2 + 2 * y**2) / 80) * (2 + np.sin(x) + np.cos(1.3 * y + x / 3))
    >>> atlas = shape, (shape > 1).astype(np.uint8)
    >>> warpline.run_label(np.roll(shape, 1, 0), [atlas], "out/", recipe="rigid").report["outputs"]["labels"]
    'out/labels.nii.gz'
    """
    names, given = names_after(prefix), listed(atlases)
    sources = [image, options.get("label_names"), *(side for one in given for side in (one.image, one.labels))]
    check_names(names, sources)
    with claimed(list(names.values())) as files:
        return store(label(image, given, **options), files, names)


def _check_image(image: Image) -> None:
    check_one_volume(image)
    check_finite(image)
    check_contrast(image)
