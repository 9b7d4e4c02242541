"""What is found of a series, and its files: all of them or none."""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from warpline.images import Image
from warpline.images.foreground import foreground_mask
from warpline.io.atomic import Transaction, claimed
from warpline.io.compression import compress
from warpline.io.gradients import encode_bvecs
from warpline.io.images import encode_image
from warpline.io.json_values import plain
from warpline.io.series_files import Floats, Series, image_of, moved_header, write_series
from warpline.io.transform_files import itk_affine, itk_text
from warpline.registration import check_names
from warpline.registration.clock import Clock
from warpline.report.motion_plot import draw_motion
from warpline.report.series_page import draw_rows, series_page
from warpline.series.concurrency import Workers
from warpline.series.gradients import Gradients
from warpline.series.least_squares import Fit
from warpline.series.moments import Moments
from warpline.series.motion import Motion, TimeCourses
from warpline.series.onward import Onward, move_volumes
from warpline.space import Affine
from warpline.space.grid import Grid, Matrix

ENDINGS = {
    "moved": "Moved.nii.gz",
    "mean": "Mean.nii.gz",
    "reference": "Reference.nii.gz",
    "transforms": "Motion.txt",
    "motion": "motion.tsv",
    "plot": "motion.svg",
    "coregistration": "0GenericAffine.mat",
    "bvec": "rotated.bvec",
    "page": "report.html",
    "report": "report.json",
}
"""What each file is, to how its name ends."""


def names_after(prefix: str | Path) -> dict[str, Path]:
    """The path of every file of a series.

    Parameters
    ----------
    prefix : str or path
        Start of their names, folder included.
    """
    return {kind: Path(f"{prefix}{ending}") for kind, ending in ENDINGS.items()}


def files_in(inputs: Mapping[str, str | list[str]]) -> list[str]:
    """The paths of the inputs of a report, of which one may have several."""
    return [one for entry in inputs.values() for one in ([entry] if isinstance(entry, str) else entry)]


@dataclass(frozen=True, eq=False)
class SeriesRegistration:
    """Where every volume of a series is, and the series moved back.

    Parameters
    ----------
    series : Series
        The volumes as given.
    reference : Image
        What they were fitted to.
    fits : tuple of Fit
        One a volume, reference world to volume world.
    motion : Motion
        The same as parameters.
    onward : Onward
        From the grid of the result to the reference.
    report : dict
        Versions, backend, input, options, motion in numbers, volumes that are not aligned or moved much, seconds,
        warnings. From `save`, and in ``report.json``, also `outputs` and `files`. Plain JSON values.
    workers : Workers
        Who moves the volumes.
    interpolation : str
        In `warpline.resampling.SPLINES`.
    kind : str
        Type of the values of the file, in `warpline.io.series_files.TYPES`.
    gradients : Gradients, optional
        Of a diffusion series, turned with the volumes.

    Examples
    --------
    >>> import numpy as np
    >>> import warpline
    >>> x, y, z = np.indices((16, 16, 16)) - 7.5
    >>> still = np.exp(-(x**2 + 2 * y**2 + 4 * z**2) / 40).astype(np.float32)
    >>> series = np.stack([still, np.roll(still, 1, axis=1)], axis=-1)
    >>> found = warpline.register_series((series, np.eye(4)), reference="first")
    >>> found.motion.parameters[1, :3].round() + 0.0
    array([0., 1., 0.])
    >>> found.save("out/bold_")["motion"].name
    'bold_motion.tsv'
    """

    series: Series
    reference: Image
    fits: tuple[Fit, ...]
    motion: Motion
    onward: Onward
    report: dict[str, Any]
    workers: Workers
    interpolation: str = "cubic"
    kind: str = "float32"
    gradients: Gradients | None = None

    @cached_property
    def matrices(self) -> Matrix:
        """Reference world to the world of every volume, (T, 4, 4), RAS+ mm."""
        return np.stack([found.matrix for found in self.fits])

    @property
    def transforms(self) -> tuple[Affine, ...]:
        """The same as transforms."""
        return tuple(map(Affine, self.matrices))

    @property
    def grid(self) -> Grid:
        """Of the moved series."""
        return self.onward.grid

    @property
    def has_dvars(self) -> bool:
        """Whether DVARS says something: of a series of one contrast, on the grid of its reference."""
        return self.gradients is None and self.series.count > 1 and self.grid == self.reference.grid

    def plot(self) -> str:
        """A picture of the motion, SVG."""
        outliers = self.report["outliers"]
        return draw_motion(
            self.motion.parameters,
            self.motion.framewise_displacement,
            self.report["options"]["fd_threshold"],
            sorted({*outliers["not_aligned"], *outliers["poor_match"]}),
            f"motion of {self.series.name}",
        )

    def volumes(self) -> Iterator[Floats]:
        """The moved volumes (I, J, K) float32, one after the other, each interpolated once."""
        return move_volumes(
            self.series, self.matrices, self.onward.pullback, self.workers, interpolation=self.interpolation
        )

    def moved(self) -> Image:
        """The moved series (I, J, K, T) float32."""
        return image_of(self.volumes(), self.grid, self.series.count, self.series.name)

    def save(self, prefix: str | Path) -> dict[str, Path]:
        """Write the moved series, its motion and the report; all files or none.

        Parameters
        ----------
        prefix : str
            Start of every name, folder included; missing folders are made.

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
        check_names(names, files_in(self.report["inputs"]))
        with claimed(list(names.values())) as files:
            store(self, files, names)
        return {kind: path for kind, path in names.items() if path.exists()}


def store(found: SeriesRegistration, files: Transaction, names: Mapping[str, Path]) -> SeriesRegistration:
    """Stage every file of a series, its report last; returns what was found with the finished report.

    Parameters
    ----------
    found : SeriesRegistration
        To write; its volumes are moved here.
    files : Transaction
        Writes all of them or none.
    names : dict
        See `names_after`.
    """
    clock = Clock(dict(found.report["seconds"]))
    with clock.step("move and write"):
        motion, moments, stamp = _store_moved(found, files, names["moved"])
    stamps = {"moved": stamp}
    for kind, encode in _encoders(replace(found, motion=motion), moments).items():
        content = encode()
        files.write(names[kind], content)
        stamps[kind] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    for kind in names.keys() - stamps.keys() - {"report"}:
        files.discard(names[kind])
    report = {
        **found.report,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": clock.seconds,
        "outputs": {kind: str(names[kind]) for kind in names if kind in stamps},
        "files": stamps,
    }
    files.write(names["report"], json.dumps(plain(report), indent=2, allow_nan=False).encode() + b"\n")
    return replace(found, motion=motion, report=plain(report))


def _store_moved(found: SeriesRegistration, files: Transaction, path: Path) -> tuple[Motion, Moments, dict[str, Any]]:
    """Stage the moved series as it comes; its motion with DVARS, its mean, and size and checksum of the file."""
    moments = Moments(found.grid)
    courses = TimeCourses(foreground_mask(found.reference), found.series.count) if found.has_dvars else None
    volumes = moments.passing(found.volumes())
    with files.staged(path) as temporary:
        header = moved_header(found.series, found.grid, found.kind)
        write_series(volumes if courses is None else courses.passing(volumes), header, temporary, compressed=True)
        with temporary.open("rb") as file:
            stamp = {"bytes": temporary.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
    if courses is None:
        return found.motion, moments, stamp
    dvars, std_dvars = courses.dvars()
    return replace(found.motion, dvars=dvars, std_dvars=std_dvars), moments, stamp


def _encoders(found: SeriesRegistration, moments: Moments) -> dict[str, Callable[[], bytes]]:
    """What each further file is, to the function that makes its bytes."""
    encoders: dict[str, Callable[[], bytes]] = {
        "mean": lambda: compress(encode_image(moments.mean)),
        "reference": lambda: compress(encode_image(found.reference)),
        "transforms": partial(itk_text.encode_affines, found.transforms),
        "motion": lambda: found.motion.table().encode(),
        "plot": lambda: found.plot().encode(),
        "page": lambda: series_page(found.report, _picture(found, moments), found.plot()).encode(),
    }
    if found.onward.coregistration is not None:
        encoders["coregistration"] = partial(itk_affine.encode, found.onward.coregistration)
    if found.gradients is not None and found.gradients.bvecs is not None:
        encoders["bvec"] = partial(encode_bvecs, found.gradients.bvecs)
    return encoders


def _picture(found: SeriesRegistration, after: Moments) -> bytes:
    """Means before and after, and where volumes of one contrast lie on their own grid, standard deviations too."""
    if found.grid != found.series.grid:
        return draw_rows(after.mean, [({"mean of the moved series": after.mean}, after.mean)])
    before = Moments(found.series.grid)
    deque(before.passing(map(found.series.volume, range(found.series.count))), maxlen=0)
    pairs = [({"mean as measured": before.mean, "mean of the moved series": after.mean}, after.mean)]
    if found.has_dvars:
        spread = {
            "standard deviation as measured": before.deviation,
            "standard deviation of the moved series": after.deviation,
        }
        pairs.append((spread, before.deviation))
    return draw_rows(found.reference, pairs)
