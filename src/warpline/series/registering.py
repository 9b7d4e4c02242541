"""`register_series`: a series in, its motion and the moved series out; `run_series` writes the files too."""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Backend, select
from warpline.errors import InputError, UsageError
from warpline.images import Image
from warpline.io.atomic import claimed
from warpline.io.images import Source
from warpline.io.json_values import plain
from warpline.io.series_files import TYPES, Series, open_series
from warpline.io.transform_lists import as_entries, paths_in
from warpline.operations import read
from warpline.registration import check_names
from warpline.registration.clock import Clock
from warpline.registration.provenance import environment
from warpline.resampling import SPLINES, resample
from warpline.series.concurrency import Workers
from warpline.series.estimation import REFERENCES, Progress
from warpline.series.freedoms import FREEDOMS
from warpline.series.gradients import Gradients
from warpline.series.least_squares import Fit
from warpline.series.motion import Motion, numbered
from warpline.series.onward import Destination, Onward, find_way, read_route
from warpline.series.result import SeriesRegistration, files_in, names_after, store
from warpline.series.shells import Found, find_motion, find_motion_by_shell
from warpline.space.grid import Grid

FD_THRESHOLD = 0.5
"""Framewise displacement in mm above which a volume is named as one that moved (Power et al. 2012)."""

FEW_SLICES = 3
"""Slices up to which motion across them is uncertain."""


def register_series(
    series: Source,
    reference: str | int | Source = "robust",
    *,
    model: str = "rigid",
    mask: Source | None = None,
    destination: Destination | None = None,
    interpolation: str = "cubic",
    values: str = "float32",
    bvals: Any = None,
    bvecs: Any = None,
    fd_threshold: float = FD_THRESHOLD,
    geometry: str | None = None,
    backend: str | Backend | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> SeriesRegistration:
    """Find where every volume of a series is, by least squares, and how to move it back.

    Parameters
    ----------
    series : path, nibabel image, Image, array or (array, affine)
        Four axes, the last of time; each volume is taken as a moment.
    reference : {"robust", "first", "middle", "mean"}, int or image
        What volumes are fitted to: the trimmed mean of up to 16 volumes, moved onto the most typical of them; one
        volume, from 0; the mean of all as they are; or an image of the same contrast, whose grid the result gets.
    model : {"rigid", "affine"}
        How a volume may differ from the reference.
    mask : like `series`, optional
        Where the reference counts (voxels other than 0), on any grid; where it shows its object when None.
    destination : Destination, optional
        Anatomy, further transforms and grid of the result; everything is joined to one interpolation.
    interpolation : {"cubic", "linear", "nearest"}
        Of the moved series.
    values : {"float32", "stored"}
        Type of the saved series: single precision, or that of the file with its scaling, rounded and clamped.
    bvals, bvecs : path or array, optional
        B-values (T,) and directions (3, T) of a diffusion series by FSL's convention: each shell is fitted to its own
        reference, those to the unweighted one by mutual information, and directions are turned with the volumes.
    fd_threshold : float
        Framewise displacement in mm above which a volume is named.
    geometry : {"sform", "qform"}, optional
        Which matrix of NIfTI headers to take where both are set; the sform when None.
    backend, threads
        Where it is computed, as in `warpline.backends.select`. On a CPU each thread fits a volume.
    progress : callable, optional
        Receives a step, and how many volumes of how many are done.

    Returns
    -------
    SeriesRegistration
        `.matrices`, `.motion`, `.moved()`, `.report` and `.save(prefix)`; volumes are moved when they are asked for.

    Raises
    ------
    UsageError
        When an option is not allowed.
    InputError
        When the series cannot be read, holds NaN, or shows nothing; or when tables of gradients do not fit it.

    Examples
    --------
    >>> import numpy as np
    >>> import warpline
    >>> x, y, z = np.indices((16, 16, 16)) - 7.5
    >>> still = np.exp(-(x**2 + 2 * y**2 + 4 * z**2) / 40).astype(np.float32)
    >>> series = np.stack([still, np.roll(still, 1, axis=1)], axis=-1)
    >>> found = warpline.register_series((series, np.eye(4)), reference="first")
    >>> found.matrices[1, :3, 3].round() + 0.0
    array([0., 1., 0.])
    """
    _check(model, interpolation, values, fd_threshold)
    if bvals is None and bvecs is not None:
        raise UsageError("bvec (bvecs=) needs b-values too: --bval FILE (bvals=)")
    clock = Clock()
    chosen = select(backend, threads)
    workers = Workers.of(chosen, threads)
    with clock.step("read"):
        given = open_series(series, geometry=geometry)
        if not given.count:
            raise InputError(f"{given.name} holds no volume; give a series of at least one")
        wanted = _reference(reference, geometry)
        place = wanted.grid if isinstance(wanted, Image) else given.grid
        counts = None if mask is None else _mask(mask, place, geometry, chosen)
        gradients = None if bvals is None else Gradients.read(bvals, bvecs, given.count)
        route = read_route(destination or Destination(), place, backend=chosen, geometry=geometry)
    how: dict[str, Any] = {"freedom": model, "mask": counts, "workers": workers, "progress": progress}
    with clock.step("motion"):
        if gradients is None:
            found = find_motion(given, wanted, **how)
        else:
            found = find_motion_by_shell(given, gradients, wanted, backend=chosen, threads=threads, **how)
    with clock.step("way to the destination"):
        way = find_way(route, found.reference, backend=chosen, threads=threads)
    options = {
        "reference": reference if isinstance(reference, (str, int, np.integer)) else "image",
        "model": model, "interpolation": interpolation, "values": values, "fd_threshold": fd_threshold,
    }  # fmt: skip
    sources = _files_of(series, mask=mask, bvals=bvals, bvecs=bvecs, reference=reference, destination=destination)
    report = {**environment(chosen, threads), "inputs": sources, "options": options, "seconds": clock.seconds}
    return _joined(found, way, report, series=given, gradients=gradients, workers=workers)


def run_series(series: Source, prefix: str | Path, **options: Any) -> SeriesRegistration:
    """Register a series and write every output; the report, written last, marks it as done.

    The output folder is tried before anything is computed. When it fails, nothing that it made stays.

    Parameters
    ----------
    series : path
        The series.
    prefix : str
        Start of the names of all outputs, folder included.
    **options
        As for `register_series`.

    Returns
    -------
    SeriesRegistration
        With the report as written.

    Raises
    ------
    UsageError, InputError, OutputError
        As `register_series` and `SeriesRegistration.save`.

    Examples
    --------
    >>> import numpy as np
    >>> import warpline
    >>> x, y, z = np.indices((16, 16, 16)) - 7.5
    >>> still = np.exp(-(x**2 + 2 * y**2 + 4 * z**2) / 40).astype(np.float32)
    >>> series = np.stack([still, np.roll(still, 1, axis=1)], axis=-1)
    >>> warpline.write_image(warpline.Image.from_array(series), "bold.nii.gz")
    >>> warpline.run_series("bold.nii.gz", "out/bold_", reference="first").report["outliers"]["moved"]
    [1]
    """
    names = names_after(prefix)
    check_names(names, files_in(_files_of(series, **options)))
    with claimed(list(names.values())) as files:
        return store(register_series(series, **options), files, names)


def _check(model: str, interpolation: str, values: str, fd_threshold: float) -> None:
    choices = (("model", model, FREEDOMS), ("interpolation", interpolation, SPLINES), ("values", values, TYPES))
    for name, chosen, allowed in choices:
        if chosen not in allowed:
            raise UsageError(f"{name} is {chosen!r}; choose from {', '.join(allowed)}")
    if not fd_threshold > 0:
        raise UsageError(f"fd_threshold is {fd_threshold!r}; a length in mm above 0 is needed")


def _mask(mask: Source, grid: Grid, geometry: str | None, backend: Backend) -> NDArray[np.bool_]:
    """Where the reference counts, on its grid."""
    given = read(mask, "mask", geometry)
    found: NDArray[np.bool_] = np.not_equal(resample(given, like=grid, order=0, backend=backend).data, 0)
    if found.ndim != 3 or not found.any():
        raise InputError(f"{given.name} counts no voxel of the reference; give a mask of one volume that overlaps it")
    return found


def _reference(reference: Any, geometry: str | None) -> str | int | Image:
    """A name, the number of a volume, or an image."""
    if isinstance(reference, (int, np.integer)):
        return int(reference)
    if not _is_image(reference):
        return int(reference) if reference.lstrip("-").isdecimal() else str(reference)
    image = read(reference, "reference", geometry)
    if image.data.ndim != 3:
        raise InputError(f"{image.name} has {image.data.ndim} axes; the reference is one volume")
    return image


def _is_image(reference: Any) -> bool:
    """Whether a reference is neither a name nor a number; a text is one where its file is there."""
    if not isinstance(reference, str):
        return True
    return not (reference in REFERENCES or reference.lstrip("-").isdecimal()) and os.path.exists(reference)


def _joined(
    found: Found,
    way: Onward,
    report: dict[str, Any],
    *,
    series: Series,
    gradients: Gradients | None,
    workers: Workers,
) -> SeriesRegistration:
    """The result, with what the report says of it."""
    matrices = np.stack([one.matrix for one in found.fits])
    motion = Motion.of(matrices, found.centre)
    threshold, warnings = report["options"]["fd_threshold"], list(way.warnings)
    outliers = {"not_aligned": found.not_aligned, "poor_match": found.poor, "moved": motion.beyond(threshold)}
    texts = {
        "not_aligned": "cannot be aligned, and are moved as their neighbours",
        "poor_match": "match the reference worse than the others",
        "moved": f"moved by more than {threshold:g} mm since the one before",
    }
    warnings += [f"volumes that {texts[kind]}: {numbered(them)}" for kind, them in outliers.items() if them]
    if gradients is not None:
        gradients = gradients.turned(matrices @ way.pullback.matrix, series.grid, way.grid)
        if way.pullback.field is not None and gradients.bvecs is not None:
            warnings.append("directions of gradients are turned by the affine part of the transforms only")
    report = {
        **report,
        "series": {"shape": [*series.grid.shape, series.count], "voxel_size": series.grid.voxel_size.tolist(),
                   "repetition_time": series.repetition_time},
        "result": {"shape": [*way.grid.shape, series.count], "voxel_size": way.grid.voxel_size.tolist()},
        "reference": found.made_from, "shells": found.shells, "destination": way.report,
        "motion": _summary(motion), "fits": _columns(found.fits), "outliers": outliers,
        "warnings": [*series.grid.notes, *_of_thin(series.grid), *found.warnings, *warnings],
    }  # fmt: skip
    settings = report["options"]
    return SeriesRegistration(
        series, found.reference, tuple(found.fits), motion, way, plain(report), workers,
        settings["interpolation"], settings["values"], gradients,
    )  # fmt: skip


def _of_thin(grid: Grid) -> list[str]:
    """What cannot be seen of motion in volumes of few slices."""
    fewest = min(grid.shape)
    if fewest > FEW_SLICES:
        return []
    seen = "motion out of its plane is not seen" if fewest == 1 else "motion across them is uncertain"
    return [f"volumes of {fewest} {'slice' if fewest == 1 else 'slices'}: {seen}"]


def _summary(motion: Motion) -> dict[str, float]:
    moved = motion.framewise_displacement[1:]
    largest = np.abs(motion.parameters).max(axis=0)
    return {
        "mean_framewise_displacement": float(moved.mean()) if len(moved) else 0.0,
        "largest_framewise_displacement": float(moved.max()) if len(moved) else 0.0,
        "largest_shift": float(largest[:3].max()),
        "largest_angle": float(np.degrees(largest[3:].max())),
    }


def _columns(fits: list[Fit]) -> dict[str, list[float]]:
    rows = [asdict(replace(one, matrix=np.eye(4))) for one in fits]
    return {name: [round(float(row[name]), 6) for row in rows] for name in ("gain", "correlation", "steps")}


def _files_of(series: Source, **options: Any) -> dict[str, Any]:
    """Paths of those of the inputs that are files, by what they are; of transforms a list."""
    destination = options.get("destination") or Destination()
    reference = options.get("reference")
    listed = [os.fspath(one) for one in as_entries(destination.transforms) if isinstance(one, (str, os.PathLike))]
    sources = {
        "series": series,
        "reference": reference if isinstance(reference, (str, os.PathLike)) and _is_image(reference) else None,
        **{name: options.get(name) for name in ("mask", "bvals", "bvecs")},
        "anatomy": destination.anatomy,
        "grid": destination.grid,
    }
    files = {name: os.fspath(one) for name, one in sources.items() if isinstance(one, (str, os.PathLike))}
    return {**files, "transforms": paths_in(listed)} if listed else files
