"""Images prepared before they are compared: masked, corrected for bias, denoised, their intensities brought together.

The steps of `warpline.recipe.Prepare` run in the order of `STEPS`. Only metrics see their results; what is resampled
and written are the images as given.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Backend
from warpline.errors import InputError, UsageError
from warpline.extras import install_command
from warpline.images import Image
from warpline.images.checks import check_contrast, check_finite
from warpline.images.denoising import PATCH_RADIUS, SEARCH_RADIUS, denoise_nlmeans
from warpline.images.foreground import foreground_mask
from warpline.images.intensity import winsorise
from warpline.images.itk_filters import BINS, ITERATIONS, MESH, POINTS, TOLERANCE, match_histogram, n4_bias_field
from warpline.images.median_otsu import largest_without_holes, median_otsu_mask
from warpline.metrics import LABELS
from warpline.recipe import Prepare
from warpline.recipe.prepare import Side
from warpline.registration.image_pairs import LoadedImages
from warpline.registration.progress import Progress, ProgressCallback
from warpline.registration.provenance import version

LIBRARIES = {
    "bias_correction": ("SimpleITK", "itk"),
    "denoise": ("dipy", "denoise"),
    "match_histogram": ("SimpleITK", "itk"),
}
"""Steps that need a library, its name, and the extra of warpline that installs it."""

GIVEN, FOREGROUND = "given", "foreground"
"""Masks that a step measures inside: that of the user, and without any the voxels above a threshold."""

FIELD_QUANTILES = (0.01, 0.99)
"""Of a bias field inside the object, for the report."""


@dataclass(frozen=True)
class PreparationStep:
    """Record of one step on one image.

    Parameters
    ----------
    image : str
        ``"fixed"``, ``"moving"``, or of a further pair ``"fixed_2"`` and so on.
    step : str
        The option of `warpline.recipe.Prepare`.
    method : str
        What did it, such as ``"n4"``.
    parameters : dict
        How it was done, and what was found; plain JSON values.
    library : str, optional
        Name and version of the library that did it, where it is not warpline itself.
    """

    image: str
    step: str
    method: str
    parameters: dict[str, Any]
    library: str | None = None


@dataclass(frozen=True, eq=False)
class Prepared:
    """What registration compares.

    Parameters
    ----------
    images : dict
        As in `warpline.registration.Inputs`, with masks that were computed.
    pairs : tuple of LoadedImages
        Further images to compare.
    steps : tuple of PreparationStep
        What was done.
    notes : tuple of str
        A sentence for everything that was not done as asked.
    """

    images: dict[str, Image]
    pairs: tuple[LoadedImages, ...] = ()
    steps: tuple[PreparationStep, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class _Changes:
    """An image between two steps, None while it is as given, its mask, and what was done.

    Parameters
    ----------
    image : Image or None
        As changed so far.
    mask : Image or None
        Where it counts.
    inside : str
        Which mask that is; foreground where there is none.
    steps, notes
        As for `Prepared`.
    """

    image: Image | None
    mask: Image | None
    inside: str
    steps: tuple[PreparationStep, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class _Work:
    """What every step is told.

    Parameters
    ----------
    name : str
        Of the image, in reports.
    given : Image
        The image as given.
    asked : Prepare
        The options.
    threads : int or None
        CPU threads.
    progress : callable or None
        Called with a `Progress` by steps that take long.
    """

    name: str
    given: Image
    asked: Prepare
    threads: int | None
    progress: ProgressCallback | None = None

    def tell_n4(self, level: int, iteration: int, change: float) -> None:
        """Pass on how far N4 is."""
        if self.progress is not None:
            stage, of = f"n4 of {self.name}", (len(ITERATIONS), iteration, ITERATIONS[level])
            self.progress(Progress(stage, level, *of, change, measure="change"))


def check_libraries(asked: Prepare) -> None:
    """Refuse steps whose library is not installed, before anything is read.

    Raises
    ------
    UsageError
        Naming the option, the library, and how to install it.
    """
    for option, (library, extra) in LIBRARIES.items():
        if getattr(asked, option) and importlib.util.find_spec(library) is None:
            raise UsageError(
                f"prepare.{option} needs {library}, which is not installed; {install_command(extra)}, or leave it out"
            )


def prepare(
    images: Mapping[str, Image],
    pairs: Sequence[LoadedImages],
    asked: Prepare,
    *,
    backend: Backend,
    threads: int | None = None,
    progress: ProgressCallback | None = None,
) -> Prepared:
    """Prepare the images of a registration.

    Parameters
    ----------
    images : dict
        ``"fixed"``, ``"moving"``, and ``"fixed_mask"``, ``"moving_mask"`` where given; checked.
    pairs : sequence of LoadedImages
        Further images to compare; label maps stay as they are.
    asked : Prepare
        What to do.
    backend : Backend
        Whose cache keeps the prepared image where the given one is shared by many registrations.
    threads : int, optional
        CPU threads, as in `warpline.backends.thread_count`.
    progress : callable, optional
        Called with a `Progress` by steps that take long, such as N4.

    Raises
    ------
    UsageError
        When a library is not installed.
    InputError
        When a step finds nothing in an image that it can work with, or leaves no contrast.
    """
    if asked.is_empty:
        return Prepared(dict(images), tuple(pairs))
    masks = images.get("fixed_mask"), images.get("moving_mask")
    first = LoadedImages(images["fixed"], images["moving"], 1.0, None, *masks)
    prepared, made, notes = [], list[PreparationStep](), list[str]()
    for number, pair in enumerate((first, *pairs), 1):
        one, steps, said = _prepare_pair(
            pair, number, partial(_Work, asked=asked, threads=threads, progress=progress), backend
        )
        prepared.append(one)
        made += steps
        notes += said
    main, *further = prepared
    fields = {name: getattr(main, name) for name in ("fixed", "moving", "fixed_mask", "moving_mask")}
    found = {name: image for name, image in fields.items() if image is not None}
    return Prepared({**images, **found}, tuple(further), tuple(made), tuple(notes))


def _prepare_pair(
    pair: LoadedImages, number: int, work_on: Callable[[str, Image], _Work], backend: Backend
) -> tuple[LoadedImages, list[PreparationStep], list[str]]:
    """A pair, prepared, what was done and what was not; `number` counts from 1."""
    if pair.metric == LABELS:
        return pair, [], []
    end = "" if number == 1 else f"_{number}"
    sides: dict[Side, tuple[Image, Image | None]] = {
        "fixed": (pair.fixed, pair.fixed_mask),
        "moving": (pair.moving, pair.moving_mask),
    }
    works = {side: work_on(f"{side}{end}", image) for side, (image, _) in sides.items()}
    fixed, moving = (
        _prepare_image(work, work.asked.steps_of(side), sides[side][1], backend) for side, work in works.items()
    )
    if works["moving"].asked.match_histogram:
        moving = _match(works["moving"], moving, fixed.image or pair.fixed)
    for changes in (fixed, moving):
        _check(changes)
    made = replace(
        pair,
        fixed=fixed.image or pair.fixed,
        moving=moving.image or pair.moving,
        fixed_mask=fixed.mask,
        moving_mask=moving.mask,
    )
    return made, [*fixed.steps, *moving.steps], [*fixed.notes, *moving.notes]


def _prepare_image(work: _Work, steps: Sequence[str], mask: Image | None, backend: Backend) -> _Changes:
    """One image by itself; cached where it is shared by many registrations."""
    start = _Changes(None, mask, FOREGROUND if mask is None else GIVEN)
    if not steps:
        return start

    def make() -> _Changes:
        changes = start
        for step in steps:
            changes = STEPS[step](work, changes)
        return changes

    changes = backend.cache.get(work.given, ("prepared", work.asked, mask), make)
    if changes.image is not None and backend.cache.is_shared(work.given):
        backend.cache.share(changes.image)
    return changes


def _check(changes: _Changes) -> None:
    """Refuse what the steps left without contrast."""
    if changes.image is None:
        return
    done = ", ".join(step.method for step in changes.steps)
    image = replace(changes.image, name=f"{changes.image.name}, prepared by {done},")
    check_finite(image)
    check_contrast(image, changes.mask)


# -- the steps --------------------------------------------------------------------------------------------------------


def _mask(work: _Work, before: _Changes) -> _Changes:
    if before.mask is not None:
        note = f"prepare.mask: {work.name} has a mask already, which counts"
        return replace(before, notes=(*before.notes, note))
    radius, dilation = work.asked.median_radius, work.asked.mask_dilation
    bright = median_otsu_mask(work.given.data, radius=radius, passes=1, dilation=dilation or None, threads=work.threads)
    inside = largest_without_holes(bright)
    if not inside.any():
        raise InputError(
            f"{work.given.name}: median_otsu finds no object in it; give a mask, or leave prepare.mask out"
        )
    share = float(np.mean(inside))
    parameters = {"median_radius": radius, "dilation": dilation, "share_of_voxels": share}
    mask = Image(inside.astype(np.uint8), work.given.grid, f"mask of {work.given.name}")
    step = PreparationStep(work.name, "mask", "median_otsu", parameters)
    return replace(before, mask=mask, inside="median_otsu", steps=(*before.steps, step))


def _correct_bias(work: _Work, before: _Changes) -> _Changes:
    data, shrink = _values(work, before).astype(np.float32), work.asked.shrink
    inside = _inside(work, before) & (data > 0)
    try:
        field = n4_bias_field(data, inside, shrink=shrink, threads=work.threads, progress=work.tell_n4)
    except InputError as error:
        raise InputError(f"{work.given.name}: {error}; leave prepare.bias_correction out") from None
    corrected = data / field
    low, high = np.quantile(field[inside], FIELD_QUANTILES).tolist()
    how = {"iterations": list(ITERATIONS), "tolerance": TOLERANCE, "mesh": MESH}
    parameters = {"shrink": shrink, **how, "inside": before.inside, "field": [low, high]}
    return _changed(work, before, corrected, ("bias_correction", "n4"), parameters)


def _denoise(work: _Work, before: _Changes) -> _Changes:
    found = denoise_nlmeans(_values(work, before), _inside(work, before), threads=work.threads)
    parameters = {
        "patch_radius": PATCH_RADIUS,
        "search_radius": SEARCH_RADIUS,
        "inside": before.inside,
        "sigma": found.sigma,
        "rician": found.rician,
    }
    return _changed(work, before, found.volume, ("denoise", "nlmeans"), parameters)


def _winsorise(work: _Work, before: _Changes) -> _Changes:
    quantiles = work.asked.winsorise
    assert quantiles is not None
    data, values = winsorise(_values(work, before), _inside(work, before), quantiles)
    parameters = {"quantiles": list(quantiles), "inside": before.inside, "values": list(values)}
    return _changed(work, before, data, ("winsorise", "winsorise"), parameters)


def _match(work: _Work, before: _Changes, fixed: Image) -> _Changes:
    data = match_histogram(_values(work, before), fixed.data)
    parameters = {"to": work.name.replace("moving", "fixed"), "bins": BINS, "points": POINTS, "above_mean": True}
    return _changed(work, before, data, ("match_histogram", "match_histogram"), parameters)


STEPS: dict[str, Callable[[_Work, _Changes], _Changes]] = {
    "mask": _mask,
    "bias_correction": _correct_bias,
    "denoise": _denoise,
    "winsorise": _winsorise,
}
"""What each step of `warpline.recipe.prepare.SIDED` does."""


def _values(work: _Work, before: _Changes) -> NDArray[np.generic]:
    return (before.image or work.given).data


def _inside(work: _Work, before: _Changes) -> NDArray[np.bool_]:
    """Where a step measures, (I, J, K): the mask without its dark background, unless it holds nothing else."""
    bright = foreground_mask(before.image or work.given)
    if before.mask is None:
        return bright
    inside: NDArray[np.bool_] = before.mask.data != 0
    return both if (both := inside & bright).any() else inside


def _library(step: str) -> str | None:
    """Name and version of what a step runs in."""
    name, _ = LIBRARIES.get(step, (None, None))
    return None if name is None else f"{name} {version(name)}"


def _changed(
    work: _Work, before: _Changes, data: NDArray[Any], what: tuple[str, str], parameters: dict[str, Any]
) -> _Changes:
    """The image with other intensities; `what` are the option and the method that made them."""
    image = replace(work.given, data=data.astype(np.float32, copy=False))
    record = PreparationStep(work.name, *what, parameters, _library(what[0]))
    return replace(before, image=image, steps=(*before.steps, record))
