"""The motion of a series: each volume fitted to a reference, and the reference made from the series."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Array
from warpline.errors import UsageError
from warpline.images import Image
from warpline.images.foreground import foreground_mask
from warpline.io.series_files import Floats, Series
from warpline.series.concurrency import Workers
from warpline.series.least_squares import Fit, fit, smoothed_coefficients
from warpline.series.targets import FitLevel, Target, prepare_target
from warpline.space.grid import Grid, Matrix

FINE_SIGMA = 1.0
"""Gaussian of the fit in voxels (geometric mean of sizes): less leaves noise, more blurs the edges it fits by."""

COARSE_SIGMA = 8.0
"""Gaussian in mm from which a volume is fitted again where the fine fit fails; it finds moves of centimetres."""

TOLERANCE, COARSE_TOLERANCE = 0.004, 0.1
"""Length of the last step in mm: an order below the errors that noise makes, and what the fine fit mends easily."""

STRIDE_LENGTH = 4.0
"""Distance of points in mm: closer ones see the same smoothed values."""

REFERENCE_VOLUMES = 16
"""Volumes, spread evenly, of which the robust reference is the mean: more blur no noise that the fit would notice."""

TRIMMED = 0.2
"""Share of the values of a voxel that its trimmed mean leaves out, half at either end."""

LEAST_CORRELATION = 0.5
"""Correlation with the reference below which a volume is not aligned."""

DEVIATIONS, LEAST_LOSS = 8.0, 0.02
"""A volume is fitted again whose correlation is so many robust standard deviations, and so much, below the median."""

FIRST, MIDDLE, MEAN, ROBUST = "first", "middle", "mean", "robust"
REFERENCES = (ROBUST, FIRST, MIDDLE, MEAN)
"""Names of references; a number takes that volume."""

Progress = Callable[[str, int, int], None]
"""Receives what is done, and how many volumes of how many are."""


@dataclass(frozen=True, eq=False)
class Reference:
    """What the volumes of a series are fitted to.

    Parameters
    ----------
    image : Image
        Of one volume, float32.
    made_from : str
        In words.
    number : int, optional
        Of the volume that it is.
    """

    image: Image
    made_from: str
    number: int | None = None

    @classmethod
    def on(cls, series: Series, values: Floats, made_from: str, number: int | None = None) -> Reference:
        """One of these values on the grid of a series."""
        return cls(Image(values, series.grid.bare, f"reference of {series.name}"), made_from, number)


@dataclass(frozen=True, eq=False)
class Targets:
    """A reference as the fine and the coarse fit see it."""

    fine: Target
    coarse: Target


def fit_levels(grid: Grid) -> tuple[FitLevel, FitLevel]:
    """The fine and the coarse level of fits to a reference on a grid."""
    sizes = [size for size, n in zip(grid.voxel_size, grid.shape, strict=True) if n > 1] or [1.0]
    voxel = float(np.exp(np.mean(np.log(sizes))))
    is_slice = len(sizes) < 3  # which has few points
    fine, coarse = (1 if is_slice else max(1, round(length / voxel)) for length in (STRIDE_LENGTH, COARSE_SIGMA))
    return FitLevel(FINE_SIGMA * voxel, fine, TOLERANCE), FitLevel(COARSE_SIGMA, coarse, COARSE_TOLERANCE)


def targets_of(reference: Image, workers: Workers, *, freedom: str, mask: NDArray[np.bool_] | None) -> Targets:
    """A reference prepared for fits; without a mask it counts where it shows its object and two voxels around it."""
    backend = workers.backend
    with backend.session():
        weights = counted(reference) if mask is None else mask
        values = np.ascontiguousarray(reference.data, np.float32)
        given = backend.upload(values), weights, reference.grid
        fine, coarse = (
            prepare_target(*given, level, freedom=kind, backend=backend)
            for level, kind in zip(fit_levels(reference.grid), (freedom, "rigid"), strict=True)
        )
        backend.download(coarse.rows.reshape(-1)[:1])  # waits: other threads use other streams
        return Targets(fine, coarse)


def counted(image: Image) -> NDArray[np.bool_]:
    """Where a volume shows its object, and two voxels around it."""
    from scipy.ndimage import binary_dilation

    found: NDArray[np.bool_] = binary_dilation(foreground_mask(image), iterations=2)
    return found


def fit_volumes(
    series: Series, numbers: Sequence[int], targets: Targets, starts: Sequence[Matrix], workers: Workers
) -> list[Fit]:
    """Where some volumes are; fitted again from a coarse level where the fine fit fails."""
    volumes = _uploaded(series, numbers, workers)
    found = _fitted(volumes, series.grid, targets.fine, list(enumerate(starts)), workers)
    failed = [n for n, one in enumerate(found) if not is_aligned(one)]
    if failed:
        places = [(row, starts[n]) for row, n in enumerate(failed)]
        for n, again in zip(failed, _from_coarse(volumes[failed], series.grid, targets, places, workers), strict=True):
            found[n] = max((found[n], again), key=_rank)
    return found


def _uploaded(series: Series, numbers: Sequence[int], workers: Workers) -> Array:
    """Volumes as one array (S, I, J, K) float32 on the backend."""
    return workers.backend.upload(np.stack([np.asarray(series.volume(n), np.float32) for n in numbers]))


def _fitted(
    volumes: Array, grid: Grid, target: Target, starts: Sequence[tuple[int, Matrix]], workers: Workers
) -> list[Fit]:
    coefficients = smoothed_coefficients(volumes, grid, target.level, workers.backend)
    return fit(coefficients, grid, target, starts, workers.backend)


def _from_coarse(
    volumes: Array, grid: Grid, targets: Targets, starts: Sequence[tuple[int, Matrix]], workers: Workers
) -> list[Fit]:
    coarse = _fitted(volumes, grid, targets.coarse, starts, workers)
    places = [(volume, one.matrix) for (volume, _), one in zip(starts, coarse, strict=True)]
    return _fitted(volumes, grid, targets.fine, places, workers)


def is_aligned(found: Fit) -> bool:
    """Whether a fit has converged and shows the same as the reference."""
    return found.converged and found.correlation >= LEAST_CORRELATION


def _rank(found: Fit) -> tuple[bool, float]:
    return found.converged, found.correlation


def fit_series(
    series: Series,
    targets: Targets,
    workers: Workers,
    *,
    starts: dict[int, Matrix] | None = None,
    progress: Progress | None = None,
) -> list[Fit]:
    """Where every volume is; those that match the reference worse than the others are fitted again.

    Parameters
    ----------
    series : Series
        The volumes.
    targets : Targets
        What they are fitted to.
    workers : Workers
        Who fits them.
    starts : dict, optional
        Known places of some volumes, where the search for those near them in time begins.
    progress : callable, optional
        Told of each volume.

    Returns
    -------
    list of Fit
        One a volume; `converged` is False where it is not aligned.
    """
    known = sorted((starts or {}).items())

    def nearest(number: int) -> Matrix:
        return min(known, key=lambda one: abs(one[0] - number))[1] if known else np.eye(4)

    def run(numbers: Sequence[int]) -> list[Fit]:
        return fit_volumes(series, numbers, targets, [nearest(number) for number in numbers], workers)

    fits: list[Fit] = []
    for found in workers.map(run, workers.batches(range(series.count), series.grid)):
        fits += found
        if progress is not None:
            progress("fit", len(fits), series.count)
    return _fitted_again(series, fits, targets, workers)


def _fitted_again(series: Series, fits: list[Fit], targets: Targets, workers: Workers) -> list[Fit]:
    """The fits, those of doubtful volumes searched from the coarse level and from their neighbours too."""
    doubtful = doubtful_volumes(fits)

    def run(numbers: Sequence[int]) -> list[Fit]:
        volumes = _uploaded(series, numbers, workers)
        near = [[n for n in (number - 1, number + 1) if 0 <= n < len(fits)] for number in numbers]
        starts = [
            (row, start) for row, others in enumerate(near) for start in (np.eye(4), *(fits[n].matrix for n in others))
        ]
        found = _from_coarse(volumes, series.grid, targets, starts, workers)
        of_row = [[one for (at, _), one in zip(starts, found, strict=True) if at == row] for row in range(len(numbers))]
        return [max((fits[number], *again), key=_rank) for number, again in zip(numbers, of_row, strict=True)]

    parts = workers.batches(doubtful, series.grid)
    for numbers, found in zip(parts, workers.map(run, parts), strict=True):
        for number, one in zip(numbers, found, strict=True):
            fits[number] = one
    return fits


def doubtful_volumes(fits: Sequence[Fit]) -> list[int]:
    """Numbers of the volumes that are not aligned, or match the reference much worse than the others."""
    correlations = np.array([found.correlation for found in fits])
    middle = np.median(correlations)
    spread = 1.4826 * np.median(np.abs(correlations - middle))
    least = middle - max(DEVIATIONS * spread, LEAST_LOSS)
    return [n for n, found in enumerate(fits) if not is_aligned(found) or found.correlation < least]


# -- references -------------------------------------------------------------------------------------------------------


def reference_of(
    series: Series, chosen: str | int, workers: Workers, *, freedom: str, mask: NDArray[np.bool_] | None = None
) -> tuple[Reference, dict[int, Matrix]]:
    """The reference of a series, and the places of volumes that were found on the way.

    Parameters
    ----------
    series : Series
        The volumes.
    chosen : str or int
        One of `REFERENCES`, or the number of a volume, from 0; negative ones count from the end.
    workers : Workers
        Who computes.
    freedom : str
        Key of `warpline.series.freedoms.FREEDOMS`.
    mask : (I, J, K) bool, optional
        Where the reference counts.

    Raises
    ------
    UsageError
        When there is no such reference.
    """
    if chosen == MEAN:
        return Reference.on(series, _mean(series, workers), f"the mean of all {series.count} volumes"), {}
    if chosen == ROBUST and series.count > 2:
        return _robust(series, workers, freedom=freedom, mask=mask)
    number = _number(chosen, series)
    return Reference.on(series, series.volume(number), f"volume {number}", number), {number: np.eye(4)}


def _number(chosen: str | int, series: Series) -> int:
    named = {FIRST: 0, MIDDLE: series.count // 2, ROBUST: 0}
    number = named.get(chosen, chosen) if isinstance(chosen, str) else int(chosen)
    if isinstance(number, str) or not -series.count <= number < series.count:
        raise UsageError(
            f"reference is {chosen!r}; choose from {', '.join(REFERENCES)}, a volume from 0 to {series.count - 1}, "
            "or an image that exists"
        )
    return number % series.count


def _mean(series: Series, workers: Workers) -> Floats:
    total = np.zeros(series.grid.shape)
    for volume in workers.map(series.volume, range(series.count)):
        total += volume
    return np.asarray(total / series.count, dtype=np.float32)


def _robust(
    series: Series, workers: Workers, *, freedom: str, mask: NDArray[np.bool_] | None
) -> tuple[Reference, dict[int, Matrix]]:
    """The trimmed mean of volumes spread over the series, each moved onto the one that is most like all of them."""
    some = np.unique(
        np.linspace(0, series.count - 1, min(series.count, REFERENCE_VOLUMES)).round().astype(int)
    ).tolist()
    best = _most_typical(series, some, workers)
    one = Reference.on(series, series.volume(best), f"volume {best}")
    first = targets_of(one.image, workers, freedom=freedom, mask=mask)
    fits = dict(zip(some, fit_series(series.taken(some), first, workers), strict=True))
    doubtful = {some[n] for n in doubtful_volumes(list(fits.values()))}
    kept = [number for number in some if number not in doubtful] or [best]

    def moved(number: int) -> Floats:
        return resampled(series, number, series.grid.voxel_map_to(series.grid, fits[number].matrix), workers)

    stack = np.stack(list(workers.map(moved, kept)))
    made = f"the trimmed mean of {len(kept)} volumes, moved onto volume {best}"
    return Reference.on(series, _trimmed_mean(stack), made), {number: fits[number].matrix for number in kept}


def resampled(series: Series, number: int, matrix: Matrix, workers: Workers) -> Floats:
    """A volume at ``matrix i``, by cubic splines, on its own grid."""
    backend = workers.backend
    moved = backend.sample(backend.upload(series.volume(number)), matrix, shape=series.grid.shape, order=3)
    return np.asarray(backend.download(moved))


def _most_typical(series: Series, numbers: Sequence[int], workers: Workers) -> int:
    """Of some volumes the one whose smoothed values are nearest to their median, but for a gain."""
    backend, (_, level) = workers.backend, fit_levels(series.grid)
    every = tuple(slice(None, None, level.stride if n > 2 * level.stride else 1) for n in series.grid.shape)
    sigma = tuple(
        level.sigma / size if n > 1 else 0.0 for size, n in zip(series.grid.voxel_size, series.grid.shape, strict=True)
    )

    def thinned(number: int) -> Floats:
        smooth = backend.download(backend.smooth(backend.upload(series.volume(number)), sigma))  # type: ignore[arg-type]
        values = smooth[every].astype(np.float64).ravel()
        return np.asarray(values / (np.abs(values).mean() or 1.0))

    seen = np.stack(list(workers.map(thinned, numbers)))
    return numbers[int(np.argmin(np.square(seen - np.median(seen, axis=0)).sum(axis=1)))]


def _trimmed_mean(stack: Floats) -> Floats:
    """Mean over the first axis without the lowest and the highest values of each voxel."""
    count = len(stack)
    cut = int(count * TRIMMED / 2)
    made = np.empty(stack.shape[1:], np.float32)
    for i in range(len(made)):
        slab = np.sort(np.moveaxis(stack[:, i], 0, -1).copy(), axis=-1)
        made[i] = slab[..., cut : count - cut].mean(axis=-1, dtype=np.float64)
    return made
