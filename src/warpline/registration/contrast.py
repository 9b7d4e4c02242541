"""Contrasts made alike: one image as its grey values predict the other one.

Local correlation takes any linear relation between the grey values of two images, and no other: inside a window with
three tissues, T1 and T2 agree on none. Where a curve from the grey values of one image to those of the other explains
them better, the metric is given the image through that curve (Guimond et al. 2001, doi:10.1109/42.906425, who alternate
as we do between the levels: curves of better aligned images are better). The curve is the mean of one image at every
grey value of the other, at nearest voxels, which no interpolation has mixed, and is applied to the image as given,
before it is resampled: the edge of an object on a black background has no grey values between.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from warpline.backends import Array, Backend
from warpline.registration.cropping import Channel
from warpline.registration.pyramid import PyramidLevel, SharedLevel
from warpline.space import Affine
from warpline.space.grid import Matrix

Shown = Literal["as given", "moving like fixed", "fixed like moving"]
"""Which image of a channel goes through a curve."""

CURVES: tuple[Shown, ...] = ("moving like fixed", "fixed like moving")

POINTS = 128
"""Of a curve, spread evenly over the grey values."""
SAMPLES = 2**18
"""Most voxels that a curve is made of, about."""
BRIGHT = 99.9
"""Percentile of the samples that the last point of a curve lies at; values beyond become as bright."""
MOST_GAIN = 20.0
"""Most by which a curve is steepened: the mean over images that are not aligned yet is flatter than the curve."""
DARK, MOST_SHARED = 0.05, 0.2
"""Share of the largest grey value up to which one is that of the background, and share of either object that may have
such values in the other image: brains after an affine have 0.12, objects whose grey values are those of the background
0.29, and a curve that does not know one from the other."""
LEAST_SAMPLES = 64
"""Fewer voxels in common make no curve."""

Span = tuple[float, float]


def grey_values(
    channel: Channel, level: SharedLevel, affine: Matrix, half_maps: Array, backend: Backend
) -> NDArray[np.float32]:
    """Grey values (2, n) of the images at the same places, nearest voxels, on the host.

    Parameters
    ----------
    channel : Channel
        With volumes of grey values; only voxels inside both masks count.
    level : SharedLevel
        Its voxels are the places, or every second, third and so on along each axis.
    affine : (4, 4)
        Fixed world to moving world.
    half_maps : (2, 3, I, J, K)
        From the level to both images, in its voxels.
    """
    every = (slice(None, None, max(1, round(np.cbrt(np.prod(level.grid.shape) / SAMPLES)))),) * 3
    values, masks = [], []
    for (volume, grid, world, mask), half in zip(channel.sides(affine), half_maps, strict=True):
        how = {"matrix": level.grid.voxel_map_to(grid, world), "field": half, "shape": level.grid.shape, "order": 0}
        values.append(backend.sample(volume, **how)[every])
        if mask is not None:
            masks.append(backend.sample(mask, **how)[every])
    sampled = backend.empty((len(values) + len(masks), *values[0].shape))
    for row, one in zip(sampled, (*values, *masks), strict=True):
        row[...] = one
    found: NDArray[np.float32] = backend.download(sampled).reshape(len(sampled), -1)
    return found[:2, (found[2:] > 0).all(axis=0)]


def mean_curve(source: NDArray[np.float32], target: NDArray[np.float32]) -> tuple[NDArray[np.float32], Span]:
    """The mean of `target` at every grey value of `source`, less that at 0, and the grey values at both ends.

    Points share the values between them linearly, and are smoothed over one of their distances.

    Examples
    --------
    >>> import numpy as np
    >>> grey = np.linspace(0, 1, 10_001, dtype=np.float32)
    >>> curve, span = mean_curve(grey, 1 - grey**2)
    >>> np.interp([0.0, 0.5], np.linspace(*span, len(curve)), curve).round(2) + 0.0
    array([ 0.  , -0.25])
    """
    low, high = float(source.min()), float(np.percentile(source, BRIGHT))
    span = (low, max(high, low + 1e-6))
    places = np.linspace(*span, POINTS)
    at = np.clip((source - low) * ((POINTS - 1) / (span[1] - low)), 0, POINTS - 1)
    below = np.minimum(at.astype(np.intp), POINTS - 2)
    share = at - below
    counts, sums = (
        gaussian_filter1d(
            np.bincount(below, (1 - share) * weight, POINTS) + np.bincount(below + 1, share * weight, POINTS),
            1.0,
            mode="constant",
        )
        for weight in (np.ones(len(source)), np.asarray(target, np.float64))
    )
    seen = counts > 1e-6 * len(source)
    curve = np.interp(places, places[seen], sums[seen] / counts[seen])
    return (curve - np.interp(0.0, places, curve)).astype(np.float32), span


def spread_curve(source: NDArray[np.float32], target: NDArray[np.float32]) -> tuple[NDArray[np.float32], Span]:
    """The mean curve, steepened until what it makes of `source` is spread as widely as `target`.

    Examples
    --------
    >>> import numpy as np
    >>> grey = np.linspace(0, 1, 10_001, dtype=np.float32)
    >>> curve, _ = spread_curve(grey, 2 * grey[::-1] + np.where(np.arange(10_001) % 2, 1, -1))
    >>> float(curve[-1].round(1))
    -4.0
    """
    curve, span = mean_curve(source, target)
    spread = float(np.interp(source, np.linspace(*span, POINTS), curve).std())
    return curve * np.float32(np.clip(float(target.std()) / max(spread, 1e-12), 1.0, MOST_GAIN)), span


def predicted(channel: Channel, how: Shown, samples: NDArray[np.float32], backend: Backend) -> Channel:
    """The channel with one image through the curve that its `samples`, see `grey_values`, say; unchanged without any.

    Parameters
    ----------
    samples : (2, n)
        Grey values of fixed and moving at the same places.
    """
    if how == "as given" or samples.shape[1] < LEAST_SAMPLES:
        return channel
    name, (target, source) = ("moving", samples) if how == "moving like fixed" else ("fixed", samples[::-1])
    return replace(channel, **{name: through_curve(getattr(channel, name), spread_curve(source, target), backend)})


def explained(samples: NDArray[np.float32]) -> float:
    """How well grey values of fixed and moving at the same places (2, n) predict each other, where both show an object.

    The larger correlation of an image with the mean curve of the other; 1 where too little is shown to say.

    Examples
    --------
    >>> import numpy as np
    >>> grey = np.linspace(0, 1, 10_001, dtype=np.float32)
    >>> round(explained(np.stack([grey, (grey - 0.5) ** 2])), 2)
    1.0
    """
    shown = samples[:, (samples > DARK * np.abs(samples).max(axis=1, initial=0.0, keepdims=True)).all(axis=0)]
    if shown.shape[1] < LEAST_SAMPLES or not shown.std(axis=1).all():
        return 1.0
    return max(_correlation(*shown), _correlation(*shown[::-1]))


def _correlation(source: NDArray[np.float32], target: NDArray[np.float32]) -> float:
    """That of the target with its mean curve over the source; 0 where that is flat."""
    curve, span = mean_curve(source, target)
    made = np.interp(source, np.linspace(*span, POINTS), curve)
    return float(np.corrcoef(made, target)[0, 1]) if made.std() else 0.0


def through_curve(volume: Array, curve: tuple[NDArray[np.float32], Span], backend: Backend) -> Array:
    """A volume with its values through a curve."""
    values, span = curve
    mapped: Array = backend.map_values(volume, backend.upload(values), span)
    return mapped


def levels_alike(
    fixed: PyramidLevel, moving: PyramidLevel, affine: Affine, how: Shown
) -> tuple[PyramidLevel, PyramidLevel]:
    """Two levels under an affine, one of them through the curve that their nearest voxels say.

    Unchanged where there are too few, or where objects have the grey values of the background.
    """
    backend, every = fixed.backend, max(1, round(np.cbrt(fixed.array.size / SAMPLES)))
    to_moving, shape = fixed.grid.voxel_map_to(moving.grid, affine.matrix), fixed.grid.shape
    warped, inside = (
        backend.sample(volume, to_moving, shape=shape, order=0)
        for volume in (moving.array, moving.inside.astype(np.float32))
    )
    inside *= fixed.inside
    values = backend.empty((3, *shape))
    for row, one in zip(values, (fixed.array, warped, inside), strict=True):
        row[...] = one
    found = backend.download(values[(slice(None), *(slice(None, None, every),) * 3)].copy()).reshape(3, -1)
    of_fixed, of_moving = found[:2, found[2] > 0]
    if len(of_fixed) < LEAST_SAMPLES or _shared_with_background(of_fixed, of_moving) > MOST_SHARED:
        return fixed, moving
    if how == "moving like fixed":
        return fixed, replace(moving, array=through_curve(moving.array, spread_curve(of_moving, of_fixed), backend))
    return replace(fixed, array=through_curve(fixed.array, spread_curve(of_fixed, of_moving), backend)), moving


def _shared_with_background(fixed: NDArray[np.float32], moving: NDArray[np.float32]) -> float:
    """The larger share of either object at places where the other image shows what its background does."""
    dark = [np.abs(values) <= DARK * np.abs(values).max() for values in (fixed, moving)]
    return max(float(other[~own].mean()) if not own.all() else 0.0 for own, other in (dark, dark[::-1]))
