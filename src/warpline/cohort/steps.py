"""The three steps of one pair of a cohort: read, compute, write. `warpline.registration` does the first two."""

from __future__ import annotations

import os
import re
import resource
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter

from warpline.backends import Backend, select
from warpline.cohort import quality
from warpline.cohort.json_files import encode, read_object
from warpline.cohort.layout import checksum, fingerprint, sizes_in, without_ending
from warpline.cohort.plan import Task, Warps
from warpline.cohort.results import PairResult
from warpline.cohort.worker_settings import WorkerSettings
from warpline.errors import InputError
from warpline.images import Image
from warpline.images.checks import check_one_volume
from warpline.images.foreground import above_lowest
from warpline.io.atomic import Transaction
from warpline.io.compression import compress
from warpline.io.drafts import writing
from warpline.io.header_notes import once
from warpline.io.images import encode_image
from warpline.io.json_values import plain
from warpline.recipe import NUMERICS
from warpline.registration import Inputs, ProgressCallback, Registration, check_names, in_one_plane, load, store
from warpline.registration import compute as register_images
from warpline.registration import read as read_images
from warpline.registration.inverse_consistency import VOXELS, Quality, quality_of
from warpline.registration.judgement import judge, quality_signs
from warpline.report.pair_thumbnail import thumbnail
from warpline.resampling import warp
from warpline.space import Chain, Displacement, fields
from warpline.space.jacobian import least_jacobian_determinant

LABELS = ("moving_labels", "fixed_labels")

Loaded = tuple[Image, dict[str, Any]]


@dataclass(frozen=True, eq=False)
class LoadedPair:
    """What `read` hands to `compute`."""

    inputs: Inputs
    labels: dict[str, Image]
    sha256: dict[str, str]


@dataclass(frozen=True, eq=False)
class RegisteredPair:
    """What `compute` hands to `write`."""

    registration: Registration
    warped_labels: Image | None
    sha256: dict[str, str]
    metrics: dict[str, float | None]
    notes: tuple[str, ...] = ()


def read(task: Task, geometry: str | None = None) -> LoadedPair:
    """Read and check all inputs of a pair; fixed images are kept for the pairs that follow.

    `geometry` says which matrix of NIfTI headers to take, as for `warpline.register`.

    Raises
    ------
    InputError
        When one cannot be used.
    """
    sources = task.sources()
    labels = {name: sources.pop(name) for name in LABELS if name in sources}
    inputs = read_images(**sources, recipe=task.recipe, geometry=geometry, load=_load)
    loaded = {name: _load(path, name, geometry) for name, path in labels.items()}
    labelled = in_one_plane({**inputs.images, **{name: image for name, (image, _) in loaded.items()}})
    for name in loaded:
        _check_labels(labelled[name], name, inputs.images)
    described = {**inputs.described, **{name: about for name, (_, about) in loaded.items()}}
    sha256 = {name: about["sha256"] for name, about in described.items()}
    if "initial" in sources:
        sha256["initial"] = checksum(sources["initial"])
    images = {name: labelled[name] for name in loaded}
    notes = tuple(once(*(image.grid for image in (*inputs.images.values(), *images.values()))))
    return LoadedPair(replace(inputs, described=described, notes=notes), images, sha256)


def compute(pair: LoadedPair, settings: WorkerSettings, progress: ProgressCallback) -> RegisteredPair:
    """Register a pair, resample its labels, measure the result; data of the fixed image stay on the device."""
    backend = _backend(settings.backend, settings.threads)
    backend.cache.share(pair.inputs.images["fixed"])
    register = settings.compute or register_images
    registration: Registration = register(pair.inputs, backend, threads=settings.threads, progress=progress)
    registration = round_fields(registration, settings.warps, pair.inputs.images, backend)
    images = {**pair.inputs.images, **pair.labels}
    warped_labels = None
    if "moving_labels" in images:
        grid = registration.alignment.fixed.grid
        warped_labels = warp(images["moving_labels"], registration.transform, grid, order=0, backend=backend)
        images["warped_labels"] = warped_labels
    metrics = quality.measure(registration, images, backend=backend)
    return RegisteredPair(registration, warped_labels, pair.sha256, metrics, pair.inputs.notes)


def write(task: Task, pair: RegisteredPair, settings: WorkerSettings, seconds: Mapping[str, float]) -> PairResult:
    """Write every file of a pair, its sidecar last.

    Raises
    ------
    OutputError
        When a file cannot be written; files of an earlier run stay then.
    """
    root, names, registration = Path(settings.root), task.outputs.names(), pair.registration
    metrics = {**pair.metrics, "seconds": sum(seconds.values()), "memory_mb": peak_memory()}
    result = replace(task.result(), metrics=metrics, notes=pair.notes, columns=task.pair.columns)
    inputs = _relative_inputs(registration.report, root)
    if settings.warps == "none":
        registration = replace(registration, alignment=replace(registration.alignment, warp=None))
    extra = {**_extra(pair), **image_sidecars(task, inputs)}
    check_names({kind: root / name for kind, name in names.items()}, task.sources().values())
    with Transaction() as files:
        for folder in {root / path.parent for path in names.values()}:
            with writing(folder):
                folder.mkdir(parents=True, exist_ok=True)
        files.reserve([root / path for path in names.values()])
        sidecar = partial(_encode_sidecar, task, result, inputs=inputs, sha256=pair.sha256, root=root)
        made = registration.alignment, registration.images, registration.report
        stored = store(*made, files, names, root=root, extra=extra, encode=sidecar)
    stat = fingerprint(str(root / task.outputs.sidecar))
    return replace(result, stat=stat, sizes=sizes_in(stored.report))


def peak_memory() -> float:
    """The most memory this process has had, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def _load(path: str, name: str, geometry: str | None = None) -> Loaded:
    """`warpline.registration.load`; what many pairs share is read once, as long as its file stays the same."""
    if name.startswith("fixed"):
        return _cached_image(path, name, geometry, stat=fingerprint(path))
    return load(path, name, geometry)


@lru_cache(maxsize=6)
def _cached_image(path: str, name: str, geometry: str | None, *, stat: tuple[int, int]) -> Loaded:
    image, about = load(path, name, geometry)
    image.data.setflags(write=False)
    return image, about


@cache
def _backend(name: str | None, threads: int | None) -> Backend:
    return select(None if name == "auto" else name, threads)


def _check_labels(labels: Image, name: str, images: Mapping[str, Image]) -> None:
    check_one_volume(labels)
    image = images[name.removesuffix("_labels")]
    if labels.grid != image.grid:
        raise InputError(
            f"{labels.name} (shape {labels.grid.shape}) does not lie on the grid of {image.name} "
            f"(shape {image.grid.shape}): shape and affine must agree; resample the labels with order 0"
        )


def _extra(pair: RegisteredPair) -> dict[str, Callable[[], bytes]]:
    registration, labels = pair.registration, pair.warped_labels
    extra: dict[str, Callable[[], bytes]] = {
        "thumbnail": partial(thumbnail, registration.alignment.fixed, registration.warped)
    }
    if labels is not None:
        extra["warped_labels"] = lambda: compress(encode_image(labels))
    return extra


# -- rounding ---------------------------------------------------------------------------------------------------------

STEP, COARSE_STEP = 1 / 64, 1 / 2
"""Displacements are multiples of this many mm: at most 0.008 mm off along each axis, and 0.25 mm in the background."""

FINE_STEP = 1 / 1024
"""The same where rounding would fold a map that all but folds, in a voxel in a hundred thousand."""

MARGIN = 3
"""Voxels around the foreground that are rounded finely too."""

NEAR_FOLDS = 2
"""Voxels around a fold by rounding that are rounded more finely."""


def round_fields(
    registration: Registration, warps: Warps, images: Mapping[str, Image], backend: Backend
) -> Registration:
    """A registration with its displacements rounded as they are to be written, and measured once more.

    Parameters
    ----------
    registration : Registration
        As `warpline.registration.compute` gave it.
    warps : str
        ``"rounded"``; ``"forward"`` also leaves the inverse out, after it was measured. With a budget nothing is
        rounded.
    images : dict of str to Image
        ``"fixed"`` and, where given, ``"fixed_mask"``: folds and inverse errors are measured on their `object_mask`.
    backend : Backend
        Where the arithmetic runs.
    """
    field = registration.alignment.warp
    if field is None or warps not in ("rounded", "forward"):
        return registration
    if registration.alignment.spending is not None:  # rounding bends: the budget is a promise about what is written
        return registration if warps == "rounded" else _without_inverse(registration, field)
    inside = above_lowest(registration.alignment.fixed) | above_lowest(registration.warped)
    forward = _rounded(field, inside, backend)
    inverse = _rounded(field.inverse(), inside | _preimage(inside, field, backend), backend)
    rounded = Displacement(forward, field.grid, inverse)
    written = rounded if warps == "rounded" else Displacement(forward, field.grid)
    measured = _measure_again(registration, rounded, quality.object_mask(images), backend)
    judged = registration.alignment.judgement
    judgement = judge({**judged.signs, **quality_signs(measured)})
    alignment = replace(registration.alignment, warp=written, quality=measured, judgement=judgement)
    warnings = [text for text in registration.report["warnings"] if text not in judged.reasons]
    report = {
        **registration.report,
        "quality": plain(asdict(measured)),
        "judgement": plain(asdict(judgement)),
        "warnings": [*warnings, *judgement.reasons],
        "rounding_mm": {"content": STEP, "near_folds": FINE_STEP, "elsewhere": COARSE_STEP, "margin_voxels": MARGIN},
    }
    return replace(registration, alignment=alignment, report=report)


def _without_inverse(registration: Registration, field: Displacement) -> Registration:
    """The registration with the forward displacement only."""
    alignment = replace(registration.alignment, warp=Displacement(field.field, field.grid))
    return replace(registration, alignment=alignment)


def _preimage(inside: NDArray[np.bool_], field: Displacement, backend: Backend) -> NDArray[np.bool_]:
    """The voxels that the inverse of a field maps into a mask."""
    image = Image(inside.astype(np.uint8), field.grid)
    mapped: NDArray[np.bool_] = warp(image, Chain((field.inverse(),)), field.grid, order=0, backend=backend).data != 0
    return mapped


def _rounded(field: Displacement, inside: NDArray[np.bool_], backend: Backend) -> NDArray[np.float32]:
    """The field in steps of three sizes: in and around a mask, beyond, and where the first would fold it."""
    near = _grown(inside, MARGIN)
    steps = np.where(near, np.float32(1 / STEP), np.float32(1 / COARSE_STEP))
    rounded = _in_steps(field.field, steps)
    folded = near & (least_jacobian_determinant(Displacement(rounded, field.grid), backend) <= 0)
    if not folded.any():
        return rounded
    steps[_grown(folded, NEAR_FOLDS)] = 1 / FINE_STEP
    return _in_steps(field.field, steps)


def _grown(mask: NDArray[np.bool_], by: int) -> NDArray[np.bool_]:
    grown: NDArray[np.bool_] = maximum_filter(mask.view(np.uint8), size=2 * by + 1) != 0
    return grown


def _in_steps(field: NDArray[np.float32], steps: NDArray[np.float32]) -> NDArray[np.float32]:
    """A field (3, I, J, K) in multiples of ``1 / steps`` (I, J, K)."""
    rounded: NDArray[np.float32] = field * steps
    np.rint(rounded, out=rounded)
    rounded /= steps
    rounded += 0.0  # no negative zeros: they compress worse
    return rounded


def _measure_again(
    registration: Registration, field: Displacement, inside: NDArray[np.bool_], backend: Backend
) -> Quality:
    """Folds and inverse errors of a field and its inverse inside a mask."""
    both = [backend.upload(fields.to_voxels(one.field, field.grid)) for one in (field, field.inverse())]
    before, mask = registration.alignment.quality, backend.upload(inside.astype(np.uint8))
    rounds, units = (0, VOXELS) if before is None else (before.rounds, before.units)
    return quality_of(both[0], both[1], mask, backend, rounds=rounds, units=units)


# -- sidecars ---------------------------------------------------------------------------------------------------------

_STRIPPED = re.compile(r"desc-brain_|[_-](brain|bet|stripped|ss)[_.-]", re.IGNORECASE)
"""Names that people give images without a skull."""


def _relative_inputs(report: Mapping[str, Any], root: Path) -> dict[str, dict[str, Any]]:
    """The inputs of a registration, with paths relative to the output folder."""
    return {name: {**about, "path": os.path.relpath(about["path"], root)} for name, about in report["inputs"].items()}


def _encode_sidecar(
    task: Task,
    result: PairResult,
    report: Mapping[str, Any],
    *,
    inputs: Mapping[str, Any],
    sha256: Mapping[str, str],
    root: Path,
) -> bytes:
    """The sidecar of a pair: the report of its registration and its result; paths are relative to the output folder."""
    initial = report["initial"]
    written = {name: report[name] for name in ("outputs", "files")}
    return encode(
        {
            "Description": f"Registration of {task.outputs.source} to {task.outputs.space}",
            "Sources": [about["path"] for about in inputs.values()],
            "SpatialReference": inputs["fixed"]["path"],
            **{name: getattr(result, name) for name in ("id", "status", "key")},
            "numerics": NUMERICS,
            "finished": result.finished,
            "host": result.as_record()["host"],
            **{name: value for name, value in report.items() if name not in written},
            "inputs": inputs,
            "initial": os.path.relpath(initial, root) if isinstance(initial, str) else initial,
            "sha256": sha256,
            "metrics": dict(result.metrics),
            "columns": result.columns,
            **written,
        }
    )


def image_sidecars(task: Task, inputs: Mapping[str, Any]) -> dict[str, Callable[[], bytes]]:
    """Functions that encode the sidecars of the images of a pair, as BIDS-Derivatives asks for them, by kind.

    Parameters
    ----------
    task : Task
        The pair.
    inputs : dict
        The inputs of its registration, with paths relative to the output folder.
    """
    common = {"SpatialReference": inputs["fixed"]["path"]}
    stripped, why = skull_stripped(task.pair.moving)
    image = {
        "Description": f"{task.outputs.source} image in the space of {task.outputs.space}",
        "Sources": [inputs["moving"]["path"]],
        **common,
        "SkullStripped": stripped,
        "SkullStrippedBecause": why,
    }
    found: dict[str, Callable[[], bytes]] = {"warped_sidecar": partial(encode, image)}
    if "moving_labels" in inputs:
        sources = [inputs["moving_labels"]["path"]]
        segmentation = {"Description": f"labels in the space of {task.outputs.space}", "Sources": sources, **common}
        found["warped_labels_sidecar"] = partial(encode, segmentation)
    return found


def skull_stripped(path: str) -> tuple[bool, str]:
    """Whether an image shows a brain without its skull, and why that is thought: its sidecar, its name, or neither."""
    stem = without_ending(path)
    stated = read_object(Path(f"{stem}.json")).get("SkullStripped")
    if isinstance(stated, bool):
        return stated, "the sidecar of the image says so"
    if _STRIPPED.search(f"{os.path.basename(stem)}."):
        return True, "the name of the image says so"
    return False, "assumed: neither a sidecar of the image nor its name says otherwise"
