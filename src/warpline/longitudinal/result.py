"""What is found of time points: the maps between them, and the change that these are."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Backend
from warpline.errors import UsageError
from warpline.images import Image
from warpline.io.atomic import Transaction
from warpline.io.compression import compress
from warpline.io.images import Source
from warpline.longitudinal.label_table import growth_table
from warpline.longitudinal.middle_space import on_middle
from warpline.longitudinal.output_files import (
    Encoders,
    Outputs,
    check_outputs,
    encode_compressed,
    encode_transform,
    write_files,
)
from warpline.longitudinal.points import labels_on
from warpline.operations import read
from warpline.report.longitudinal_page import draw_changes, draw_point, longitudinal_page
from warpline.report.pictures import write_overlay
from warpline.resampling import warp
from warpline.space import Affine, Chain, Displacement
from warpline.space.jacobian import jacobian_determinant


@dataclass(frozen=True, eq=False)
class TimePoint:
    """A time point, and where it is in the middle.

    Parameters
    ----------
    image : Image
        As given; its name is what its files begin with.
    rigid : Affine
        World of the middle to world of the time point, RAS+ mm, rigid.
    warp : Displacement
        Before that: on the grid of the middle in mm, with its inverse.
    velocity : Displacement
        The field that `warp` is the `warpline.space.exponential` of, mm.
    aligned : Image
        The image on the grid of the middle, through both, in one interpolation.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Affine, Displacement, Image
    >>> from warpline.longitudinal import TimePoint
    >>> image = Image.from_array(np.eye(4, dtype=np.float32))
    >>> still = np.zeros((3, 4, 4, 1), np.float32)
    >>> warp = Displacement(still, image.grid, still)
    >>> TimePoint(image, Affine(np.eye(4), flat=True), warp, warp, image).transform.map_points([[1.0, 2.0, 0.0]])
    array([[1., 2., 0.]])
    """

    image: Image
    rigid: Affine
    warp: Displacement
    velocity: Displacement
    aligned: Image

    @property
    def transform(self) -> Chain:
        """Points of the middle to points of this image, RAS+ mm: what carries the image to the middle."""
        return Chain((self.warp, self.rigid))


@dataclass(frozen=True, eq=False)
class LongitudinalRegistration:
    """Time points of one subject in their middle.

    Parameters
    ----------
    points : tuple of TimePoint
        In the order in which they were given.
    middle : Image
        The median of all of them in the middle.
    report : dict
        Versions, backend, inputs, options, memory, points with the quality of their maps, pairs, changes, growth of
        labels, seconds, warnings.
        From `save`, and in ``report.json``, also `outputs` and `files`. Plain JSON values.
    backend : Backend
        What computes.
    years : tuple of float, optional
        Of the time points, since the first one.

    Examples
    --------
    >>> import numpy as np
    >>> import warpline
    >>> x, y = np.indices((48, 48)) - 23.5
    >>> head = (np.hypot(x, y) < 17) * (2 + np.sin(x) * np.cos(y))
    >>> first, second = (head * (np.hypot(x, y) > radius) for radius in (5.0, 5.5))
    >>> found = warpline.register_longitudinal([first, second], backend="numba")
    >>> found.log_jacobian(0, 1).data.shape == found.middle.data.shape
    True
    """

    points: tuple[TimePoint, ...]
    middle: Image
    report: dict[str, Any]
    backend: Backend
    years: tuple[float, ...] | None = None

    @property
    def names(self) -> list[str]:
        """What the files of the time points begin with."""
        return [point.image.name for point in self.points]

    def transform(self, first: int, second: int) -> Chain:
        """Points of one time point to points of another one, through the middle; numbers count from 0.

        Swapped numbers, or swapped images, give its inverse to the last bit; by way of a third time point it is the
        same map, but for the interpolation of the fields.

        Raises
        ------
        UsageError
            When there is no such time point.
        """
        start, end = self._point(first), self._point(second)
        return Chain.of(start.transform.inverse(), end.transform)

    def log_jacobian(self, first: int, second: int, *, per_year: bool = False) -> Image:
        """Logarithm of how much tissue grew from one time point to another one, on the grid of the middle.

        Above 0 where it grew, below where it shrank: 0.01 is a hundredth more volume. NaN where a map folds.

        Parameters
        ----------
        first, second : int
            From which time point to which, from 0.
        per_year : bool
            Divide by the years between them.

        Raises
        ------
        UsageError
            When there is no such time point, or years are not known.
        """
        start, end = (np.log(self._determinant(number)) for number in (first, second))
        change = end - start
        if per_year:
            if self.years is None:
                raise UsageError("a change per year needs years or dates of the time points: years= or dates=")
            change /= np.float32(self.years[second] - self.years[first])
        return Image(np.asarray(change, np.float32), self.middle.grid, "log Jacobian")

    def label_growth(self, labels: Source, first: int, second: int) -> dict[int, float]:
        """By how many per cent the volume of every label grew from one time point to another one.

        The determinants of the map are summed over its voxels, which is finer than counting voxels carried over.

        Parameters
        ----------
        labels : path, nibabel image, Image, array or (array, affine)
            Whole numbers, in the world of the first of the two, on any grid; 0 is no label.
        first, second : int
            From which time point to which, from 0.

        Returns
        -------
        dict
            Label to per cent; NaN where a map folds within it, or where it reaches beyond the middle.

        Raises
        ------
        UsageError
            When there is no such time point.
        InputError
            When the labels cannot be read, hold fractions, or are 2-D beside volumes.
        """
        return {
            label: 100 * (volumes[second] / volumes[first] - 1)
            for label, volumes in self.label_volumes(labels, first, to=(first, second)).items()
        }

    def label_volumes(
        self, labels: Source, of: int = 0, *, to: Sequence[int] | None = None
    ) -> dict[int, dict[int, float]]:
        """Volume of every label of one time point at all of them, from the determinants of the maps.

        Parameters
        ----------
        labels : path, nibabel image, Image, array or (array, affine)
            Whole numbers, in the world of a time point, on any grid; 0 is no label.
        of : int
            Of which time point they are, from 0.
        to : sequence of int, optional
            At which time points; at all when None.

        Returns
        -------
        dict
            Label to number of a time point to mm³, of 2-D images mm²; NaN where a map folds within a label, or where
            it reaches beyond the middle.

        Raises
        ------
        UsageError
            When there is no such time point.
        InputError
            When the labels cannot be read, hold fractions, or are 2-D beside volumes.
        """
        image = labels_on(read(labels, "labels"), self._point(of).image)
        to_middle, size = self._point(of).transform.inverse(), image.grid.voxel_volume
        present, places = np.unique(image.data, return_inverse=True)
        found: dict[int, dict[int, float]] = {int(label): {} for label in present if label != 0}
        for number in range(len(self.points)) if to is None else dict.fromkeys(to):
            change = self.log_jacobian(of, number)
            seen = warp(change, to_middle, image.grid, outside=math.nan, backend=self.backend).data
            sums = np.bincount(places.ravel(), np.exp(np.asarray(seen, np.float64)).ravel())
            for label, total in zip(present, sums, strict=True):
                if label != 0:
                    found[int(label)][number] = size * float(total)
        return found

    def _determinant(self, number: int) -> NDArray[np.float32]:
        """Volume at a time point as a multiple of that in the middle (I, J, K); NaN where the map folds."""
        found = jacobian_determinant(self._point(number).warp, self.backend)
        return np.where(found > 0, found, np.float32(np.nan))

    def _point(self, number: int) -> TimePoint:
        if not 0 <= number < len(self.points):
            raise UsageError(f"time point {number} is asked for; numbers from 0 to {len(self.points) - 1} are allowed")
        return self.points[number]

    def save(self, folder: str | Path) -> dict[str, Path]:
        """Write the middle, all maps, log Jacobians, a picture and the report; all files or none.

        Parameters
        ----------
        folder : path
            Made where it is missing.

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
        is_labelled = self.report["labels"] is not None
        outputs = Outputs.of(Path(folder), self.names, dated=self.years is not None, labelled=is_labelled)
        check_outputs(outputs, _paths_in(self.report))
        with outputs.claimed() as files:
            store(self, files, outputs)
        return outputs.paths


def store(found: LongitudinalRegistration, files: Transaction, outputs: Outputs) -> LongitudinalRegistration:
    """Stage every file, the report last; returns what was found with the finished report.

    Parameters
    ----------
    found : LongitudinalRegistration
        To write.
    files : Transaction
        Writes all of them or none.
    outputs : Outputs
        Their names.
    """
    encoders: dict[str, Callable[[], bytes]] = {"middle": partial(encode_compressed, found.middle)}
    for point in found.points:
        encoders |= _of_point(point)
    for second, name in enumerate(found.names[1:], 1):
        encoders |= _of_change(found, second - 1, f"{found.names[second - 1]}_to_{name}")
        encoders[f"{name}_to_{found.names[second - 1]}"] = partial(_composite, found, second, second - 1)
    labels = found.report["labels"]
    if labels is not None:
        encoders["label_growth"] = lambda: growth_table(labels).encode()
    encoders |= {"overlay": partial(_overlay, found), "page": partial(_page, found)}
    return replace(found, report=write_files(files, outputs, encoders, found.report))


def _of_point(point: TimePoint) -> Encoders:
    """The files of a time point."""
    name = point.image.name
    return {
        f"{name}_affine": partial(encode_transform, "itk-affine", point.rigid),
        f"{name}_warp": lambda: compress(encode_transform("itk-warp", point.warp)),
        f"{name}_inverse_warp": lambda: compress(encode_transform("itk-warp", point.warp.inverse())),
        f"{name}_velocity": lambda: compress(encode_transform("itk-warp", point.velocity)),
        f"{name}_warped": partial(encode_compressed, point.aligned),
    }


def _of_change(found: LongitudinalRegistration, first: int, name: str) -> Encoders:
    """The files of the change from a time point to the next one."""
    second = first + 1
    encoders: dict[str, Callable[[], bytes]] = {
        name: partial(_composite, found, first, second),
        f"{name}_log_jacobian": lambda: encode_compressed(found.log_jacobian(first, second)),
    }
    if found.years is not None:
        encoders[f"{name}_per_year"] = lambda: encode_compressed(found.log_jacobian(first, second, per_year=True))
    return encoders


def _composite(found: LongitudinalRegistration, first: int, second: int) -> bytes:
    return encode_transform("itk-composite", found.transform(first, second))


def _overlay(found: LongitudinalRegistration) -> bytes:
    """The last time point over the first one, before and after."""
    first, last = found.points[0], found.points[-1]
    picture = io.BytesIO()
    write_overlay(first.aligned, last.image, last.aligned, picture)
    return picture.getvalue()


def _page(found: LongitudinalRegistration) -> bytes:
    last = len(found.points) - 1
    spans = [*((n, n + 1) for n in range(last)), *([(0, last)] if last > 1 else [])]
    changes = {f"{found.names[a]} to {found.names[b]}": found.log_jacobian(a, b) for a, b in spans}
    drawn = [_drawn(found, number) for number in range(len(found.points))]
    return longitudinal_page(found.report, draw_changes(found.middle, changes), drawn).encode()


def _drawn(found: LongitudinalRegistration, number: int) -> bytes:
    """A picture of a time point in the middle, and of what it differs by from that."""
    point, row = found.points[number], found.report["points"][number]
    before = on_middle(point.image, point.rigid, found.middle.grid, found.backend)
    return draw_point(found.middle, before, point.aligned, row["brightness_factor"])


def _paths_in(report: Mapping[str, Any]) -> list[str | None]:
    """The files that a run has read."""
    masks = (entry["mask"]["path"] for entry in report["inputs"] if "mask" in entry)
    labels = report["labels"] or {}
    return [*(entry["path"] for entry in report["inputs"]), *masks, labels.get("path")]
