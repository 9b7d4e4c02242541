"""The three steps of one pair of a cohort: read, compute, write. Numbers are made by `warpline.jobs`."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any

from warpline import jobs
from warpline.backends import Backend, select
from warpline.cohort import quality
from warpline.cohort.outputs import sizes_in
from warpline.cohort.rounding import kept
from warpline.cohort.settings import Settings, host, now
from warpline.cohort.sidecars import image_sidecars
from warpline.cohort.tasks import Task, checksum, fingerprint
from warpline.errors import InputError
from warpline.image import Image
from warpline.io.atomic import Transaction
from warpline.io.checks import check_one_volume
from warpline.io.compression import compress
from warpline.io.drafts import writing
from warpline.io.header_notes import once
from warpline.io.images import encode_image
from warpline.recipe import NUMERICS
from warpline.registration import Listener
from warpline.report.pair_thumbnail import thumbnail
from warpline.resampling import warp

LABELS = ("moving_labels", "fixed_labels")

Loaded = tuple[Image, dict[str, Any]]


@dataclass(frozen=True, eq=False)
class Ready:
    """What `read` leaves for `compute`."""

    inputs: jobs.Inputs
    labels: dict[str, Image]
    sha256: dict[str, str]


@dataclass(frozen=True, eq=False)
class Computed:
    """What `compute` leaves for `write`."""

    registration: jobs.Registration
    warped_labels: Image | None
    sha256: dict[str, str]
    metrics: dict[str, float | None]
    notes: tuple[str, ...] = ()


def read(task: Task, geometry: str | None = None) -> Ready:
    """Read and check all inputs of a pair; fixed images are kept for the pairs that follow.

    `geometry` says which matrix of NIfTI headers to take, as for `warpline.register`.

    Raises
    ------
    InputError
        When one cannot be used.
    """
    sources = task.sources()
    labels = {name: sources.pop(name) for name in LABELS if name in sources}
    inputs = jobs.read(**sources, recipe=task.recipe, geometry=geometry, load=_load)
    loaded = {name: _load(path, name, geometry) for name, path in labels.items()}
    labelled = jobs.in_one_plane({**inputs.images, **{name: image for name, (image, _) in loaded.items()}})
    for name in loaded:
        _check_labels(labelled[name], name, inputs.images)
    described = {**inputs.described, **{name: about for name, (_, about) in loaded.items()}}
    sha256 = {name: about["sha256"] for name, about in described.items()}
    if "initial" in sources:
        sha256["initial"] = checksum(sources["initial"])
    images = {name: labelled[name] for name in loaded}
    notes = tuple(once(*(image.grid for image in (*inputs.images.values(), *images.values()))))
    return Ready(replace(inputs, described=described, notes=notes), images, sha256)


def compute(ready: Ready, settings: Settings, progress: Listener) -> Computed:
    """Register a pair, carry its labels over, measure the result; what the fixed image gives stays on the device."""
    backend = _backend(settings.backend, settings.threads)
    backend.cache.share(ready.inputs.images["fixed"])
    register = settings.compute or jobs.compute
    registration: jobs.Registration = register(ready.inputs, backend, threads=settings.threads, progress=progress)
    registration = kept(registration, settings.warps, backend)
    images = {**ready.inputs.images, **ready.labels}
    warped_labels = None
    if "moving_labels" in images:
        grid = registration.alignment.fixed.grid
        warped_labels = warp(images["moving_labels"], registration.transform, grid, order=0, backend=backend)
        images["warped_labels"] = warped_labels
    metrics = quality.measure(registration, images, backend=backend)
    return Computed(registration, warped_labels, ready.sha256, metrics, ready.inputs.notes)


def write(task: Task, computed: Computed, settings: Settings, seconds: Mapping[str, float]) -> dict[str, Any]:
    """Write every file of a pair, its sidecar last.

    Returns
    -------
    dict
        The metrics, the notes on headers, and what `os.stat` says of the sidecar.

    Raises
    ------
    OutputError
        When a file cannot be written; what an earlier run wrote stays then.
    """
    root, names = Path(settings.root), task.place.names()
    metrics = {**computed.metrics, "seconds": sum(seconds.values()), "memory_mb": peak_memory()}
    report = _sidecar(task, computed, root, metrics)
    registration = replace(computed.registration, report=report)
    if settings.warps == "none":
        registration = replace(registration, alignment=replace(registration.alignment, warp=None))
    extra = {**_extra(computed), **image_sidecars(task, report, labels=computed.warped_labels is not None)}
    jobs.check_names({kind: root / name for kind, name in names.items()}, task.sources().values())
    with Transaction() as files:
        for folder in {root / path.parent for path in names.values()}:
            _make_folder(folder)
        files.reserve([root / path for path in names.values()])
        jobs.store(registration, files, names, root=root, extra=extra)
    size, time = fingerprint(str(root / task.place.sidecar))
    stat = [size, time]
    return {"metrics": metrics, "notes": list(computed.notes), "stat": stat, "sizes": sizes_in(registration.report)}


def peak_memory() -> float:
    """The most memory this process has had, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def _load(path: str, name: str, geometry: str | None = None) -> Loaded:
    """`jobs.load`; what many pairs share is read once, as long as its file stays the same."""
    if name.startswith("fixed"):
        return _kept_image(path, name, geometry, stat=fingerprint(path))
    return jobs.load(path, name, geometry)


@lru_cache(maxsize=6)
def _kept_image(path: str, name: str, geometry: str | None, *, stat: tuple[int, int]) -> Loaded:
    image, about = jobs.load(path, name, geometry)
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


def _extra(computed: Computed) -> dict[str, Callable[[], bytes]]:
    registration, labels = computed.registration, computed.warped_labels
    extra: dict[str, Callable[[], bytes]] = {
        "thumbnail": partial(thumbnail, registration.alignment.fixed, registration.warped)
    }
    if labels is not None:
        extra["warped_labels"] = lambda: compress(encode_image(labels))
    return extra


def _sidecar(task: Task, computed: Computed, root: Path, metrics: Mapping[str, float | None]) -> dict[str, Any]:
    """The report of the registration, with what a cohort adds; paths are relative to the output folder."""
    report = computed.registration.report
    inputs = {name: {**about, "path": os.path.relpath(about["path"], root)} for name, about in report["inputs"].items()}
    initial = report["initial"]
    return {
        "Description": f"Registration of {task.place.source} to {task.place.space}",
        "Sources": [about["path"] for about in inputs.values()],
        "SpatialReference": inputs["fixed"]["path"],
        "id": task.id,
        "status": "ok",
        "key": task.key,
        "numerics": NUMERICS,
        "finished": now(),
        "host": host(),
        **report,
        "inputs": inputs,
        "initial": os.path.relpath(initial, root) if isinstance(initial, str) else initial,
        "sha256": computed.sha256,
        "metrics": dict(metrics),
        "columns": task.pair.columns,
    }


def _make_folder(folder: Path) -> None:
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
