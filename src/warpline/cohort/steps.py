"""The three steps of one pair of a cohort: read, compute, write. `warpline.registration` does the first two."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any

from warpline.backends import Backend, requested_name, select, thread_count
from warpline.cohort import quality
from warpline.cohort.json_files import encode, read_object
from warpline.cohort.layout import checksum, fingerprint, sizes_in, without_ending
from warpline.cohort.plan import Task
from warpline.cohort.results import PairResult
from warpline.cohort.rounding import round_fields, round_forward
from warpline.cohort.worker_settings import WorkerSettings
from warpline.errors import InputError
from warpline.images import Image
from warpline.images.checks import check_one_volume
from warpline.io.atomic import Transaction
from warpline.io.compression import compress
from warpline.io.drafts import writing
from warpline.io.header_notes import once
from warpline.io.images import encode_image
from warpline.io.relative_paths import relative_path
from warpline.recipe import NUMERICS
from warpline.registration import Inputs, ProgressCallback, Registration, check_names, in_one_plane, load, store
from warpline.registration import compute as register_images
from warpline.registration import read as read_images
from warpline.registration.provenance import peak_memory
from warpline.report.pair_thumbnail import thumbnail
from warpline.resampling import warp

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
    sources: dict[str, Any] = dict(task.sources())
    labels = {name: sources.pop(name) for name in LABELS if name in sources}
    inputs = read_images(**sources, recipe=task.recipe, geometry=geometry, pairs=(), load=_load)
    loaded = {name: _load(path, name, geometry) for name, path in labels.items()}
    labelled = in_one_plane({**inputs.images, **{name: image for name, (image, _) in loaded.items()}})
    for name in loaded:
        _check_labels(labelled[name], name, inputs.images)
    described = {**inputs.described, **{name: about for name, (_, about) in loaded.items()}}
    sha256 = {name: about["sha256"] for name, about in described.items()}
    if "initial" in sources:
        sha256["initial"] = checksum(sources["initial"])
    images = {name: labelled[name] for name in loaded}
    of_headers = once(*(image.grid for image in (*inputs.images.values(), *images.values())))
    notes = tuple(dict.fromkeys((*of_headers, *inputs.notes)))
    return LoadedPair(replace(inputs, described=described, notes=notes), images, sha256)


def compute(pair: LoadedPair, settings: WorkerSettings, progress: ProgressCallback) -> RegisteredPair:
    """Register a pair, resample its labels, measure the result; data of the fixed image stay on the device."""
    name = requested_name(None if settings.backend == "auto" else settings.backend)
    backend = _backend(name, thread_count(settings.threads))
    backend.cache.share(pair.inputs.images["fixed"])
    register = settings.compute or partial(register_images, judged=settings.measures)
    registration: Registration = register(pair.inputs, backend, threads=settings.threads, progress=progress)
    if settings.measures:
        registration = round_fields(registration, settings.warps, pair.inputs.images, backend)
    else:
        registration = round_forward(registration, settings.warps, backend)
    images = {**pair.inputs.images, **pair.labels}
    warped_labels = None
    if "moving_labels" in images:
        grid = registration.alignment.fixed.grid
        warped_labels = warp(images["moving_labels"], registration.transform, grid, order=0, backend=backend)
        images["warped_labels"] = warped_labels
    metrics = quality.measure(registration, images, backend=backend) if settings.measures else {}
    return RegisteredPair(registration, warped_labels, pair.sha256, metrics, pair.inputs.notes)


def write(task: Task, pair: RegisteredPair, settings: WorkerSettings, seconds: Mapping[str, float]) -> PairResult:
    """Write every file of a pair, its sidecar last.

    Raises
    ------
    OutputError
        When a file cannot be written; files of an earlier run stay then.
    """
    root, names, registration = Path(settings.root), task.outputs.names(), pair.registration
    metrics = {**pair.metrics, "seconds": sum(seconds.values()), "memory_mb": peak_memory() / 1e6}
    result = replace(task.result(), metrics=metrics, notes=pair.notes, columns=task.pair.columns)
    inputs = _relative_inputs(registration.report, root)
    if settings.warps == "none":
        registration = replace(registration, alignment=replace(registration.alignment, warp=None, velocity=None))
    extra = {**(_extra(pair) if settings.measures else {}), **image_sidecars(task, inputs)}
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
def _backend(name: str, threads: int) -> Backend:
    return select(name, threads)


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


# -- sidecars ---------------------------------------------------------------------------------------------------------

_STRIPPED = re.compile(r"desc-brain_|[_-](brain|bet|stripped|ss)[_.-]", re.IGNORECASE)
"""Names that people give images without a skull."""


def _relative_inputs(report: Mapping[str, Any], root: Path) -> dict[str, dict[str, Any]]:
    """The inputs of a registration, with paths relative to the output folder."""
    return {name: {**about, "path": relative_path(about["path"], root)} for name, about in report["inputs"].items()}


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
            "initial": relative_path(initial, root) if isinstance(initial, str) else initial,
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
