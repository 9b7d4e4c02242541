"""Motion in numbers: parameters, framewise displacement and DVARS, by the names that fMRIPrep's tables have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from warpline.io.series_files import Floats
from warpline.space.grid import Matrix

Course = NDArray[np.float64]

HEAD_RADIUS = 50.0
"""Radius in mm of the sphere on which rotations count in framewise displacement (Power et al. 2012,
doi:10.1016/j.neuroimage.2011.10.018)."""

RMSD_RADIUS = 80.0
"""The same of the root mean square deviation (Jenkinson 1999, FMRIB technical report TR99MJ1)."""

MOST_VOXELS = 20000
"""Voxels from which DVARS is computed, spread evenly over the foreground: a mean over more has the same digits."""

LEVEL = 1000.0
"""Median of the foreground over all volumes in DVARS, as in fMRIPrep, so that series can be compared."""

QUARTILES = 1.349
"""Distance between the quartiles of a normal distribution, in standard deviations."""

PARAMETERS = ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")
COLUMNS = (*PARAMETERS, "framewise_displacement", "rmsd", "dvars", "std_dvars")


@dataclass(frozen=True, eq=False)
class Motion:
    """How the object of every volume lies to that of the reference.

    Parameters
    ----------
    parameters : (T, 6)
        Shift of the centre of the reference along world R, A, S in mm; angles in radians of ``Rx Ry Rz``. Both are
        signed as the head moves, reference to volume; other programs differ, see ``docs/series.md``.
    framewise_displacement : (T,)
        ``sum |difference of shifts| + 50 mm sum |difference of angles|`` to the volume before; NaN of the first.
    rmsd : (T,)
        Root mean square deviation to the volume before, in a sphere of 80 mm about the centre, mm; NaN of the first.
    dvars, std_dvars : (T,), optional
        Root mean square difference of the moved volume to the one before over the foreground, in thousandths of its
        median, and the same divided by what noise alone would give (Nichols 2013, arXiv:1704.01469); NaN of the first.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline.series import Motion
    >>> moved = np.eye(4)
    >>> moved[:3, 3] = 0.3, -0.4, 0
    >>> Motion.of(np.stack([np.eye(4), moved]), np.zeros(3)).framewise_displacement.round(3)
    array([nan, 0.7])
    """

    parameters: Course
    framewise_displacement: Course
    rmsd: Course
    dvars: Course | None = None
    std_dvars: Course | None = None

    @classmethod
    def of(cls, matrices: Matrix, centre: Course) -> Motion:
        """Of maps (T, 4, 4) from reference world to volume world; `centre` (3,) in reference world."""
        from scipy.spatial.transform import Rotation

        left, _, right = np.linalg.svd(matrices[:, :3, :3])
        angles = Rotation.from_matrix(left @ right).as_euler("XYZ")
        shifts = matrices[:, :3, :3] @ centre + matrices[:, :3, 3] - centre
        parameters = np.hstack([shifts, angles])
        steps = np.abs(np.diff(parameters, axis=0))
        moved = steps[:, :3].sum(axis=1) + HEAD_RADIUS * steps[:, 3:].sum(axis=1)
        return cls(parameters, _from_second(moved), _from_second(_deviations(matrices, centre)))

    def table(self) -> str:
        """The text of a table with `COLUMNS`, separated by tabs, a row a volume; ``n/a`` where there is no value."""
        given = (*self.parameters.T, self.framewise_displacement, self.rmsd, self.dvars, self.std_dvars)
        columns = {name: course for name, course in zip(COLUMNS, given, strict=True) if course is not None}
        rows = ["\t".join(columns), *("\t".join(map(_number, row)) for row in zip(*columns.values(), strict=True))]
        return "".join(f"{row}\n" for row in rows)

    def beyond(self, threshold: float) -> list[int]:
        """Numbers of the volumes whose framewise displacement is above a threshold in mm."""
        return [int(number) for number in np.flatnonzero(self.framewise_displacement > threshold)]


def _deviations(matrices: Matrix, centre: Course) -> Course:
    between = matrices[1:] @ np.linalg.inv(matrices[:-1]) - np.eye(4)
    linear, shift = between[:, :3, :3], between[:, :3, :3] @ centre + between[:, :3, 3]
    squares = RMSD_RADIUS**2 / 5 * np.square(linear).sum(axis=(1, 2)) + np.square(shift).sum(axis=1)
    return np.asarray(np.sqrt(squares))


def _from_second(values: Course) -> Course:
    return np.concatenate([[np.nan], values])


def _number(value: float) -> str:
    return f"{value + 0.0:.6g}" if np.isfinite(value) else "n/a"


class TimeCourses:
    """Values of some voxels of the foreground in every volume that passes, and DVARS of them.

    Parameters
    ----------
    foreground : (I, J, K) bool
        Voxels that count.
    count : int
        Number of volumes.
    """

    def __init__(self, foreground: NDArray[np.bool_], count: int) -> None:
        voxels = np.flatnonzero(foreground)
        self._voxels = voxels[:: max(1, len(voxels) // MOST_VOXELS)]
        self._values = np.zeros((count, len(self._voxels)), np.float32)

    def passing(self, volumes: Iterable[Floats]) -> Iterator[Floats]:
        """The same volumes; their values are kept on the way."""
        for number, volume in enumerate(volumes):
            self._values[number] = volume.ravel()[self._voxels]
            yield volume

    def dvars(self) -> tuple[Course, Course]:
        """DVARS, and DVARS relative to what noise of the spread and autocorrelation of each voxel would give.

        As fMRIPrep computes them: values are scaled to a median of `LEVEL` first (where the median is above 0; others
        have no level), and voxels that hardly ever change do not count where others do.
        """
        values = self._values.astype(np.float64)
        level = float(np.median(values)) if values.size else 0.0
        values *= LEVEL / level if level > 0 else 1.0
        low, high = np.percentile(values, (25, 75), axis=0, method="lower")
        spread = (high - low) / QUARTILES
        counted = spread > 0 if spread.any() else spread == 0
        values, spread = values[:, counted], spread[counted]
        found = np.sqrt(np.square(np.diff(values, axis=0)).sum(axis=1) / max(len(spread), 1))
        apart = values - values.mean(axis=0)
        power = np.square(apart).sum(axis=0)
        follows = (apart[1:] * apart[:-1]).sum(axis=0) / np.where(power > 0, power, 1)
        expected = float((np.sqrt(2 * (1 - follows)) * spread).sum() / max(len(spread), 1))
        return _from_second(found), _from_second(found / expected if expected > 0 else np.full_like(found, np.nan))


def numbered(volumes: Sequence[int]) -> str:
    """Numbers of volumes in words, the first of many."""
    shown = ", ".join(map(str, volumes[:12]))
    return shown if len(volumes) <= 12 else f"{shown} and {len(volumes) - 12} more"
