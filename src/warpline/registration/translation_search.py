"""The best translation for each of many rotations, by correlating two images at every translation at once.

Centres of mass mislead where an image shows a part of the object, or something else beside it. Correlation within the
overlap of two fields of view does not need them, and Fourier transforms give it for all translations (masked
normalised cross-correlation, Padfield 2012, doi 10.1109/TIP.2011.2181402). Gradient magnitudes are compared, and the
sign of a correlation does not count, so contrasts may differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from warpline.images.intensity import Normalised
from warpline.registration.pyramid import PyramidLevel
from warpline.space.grid import Grid, Matrix, apply_affine

SEARCH_SPACING = 15.0
"""Voxel size at which images are correlated, in mm of a head, see `LengthUnit`; finer ones take longer and need more
rotations, coarser ones show little of a part."""
MOST_VOXELS = 1_000_000
"""Voxels of the grid on which all translations are correlated, of which some twenty copies are held: more take more
than a minute. Heads take 100,000; a larger field of view is compared in coarser voxels."""
ROTATIONS = 400
"""Rotations that are tried; any other lies within 30° of one of them, half of all within 16°. Fewer are too far off."""
EDGE_SIGMA = 0.6
"""Standard deviation of the Gaussian whose gradient is taken, in these voxels; less shows noise, more no structure."""
LEAST_OF_BOTH, LEAST_OF_EITHER, LEAST_OF_OTHER = 0.1, 0.02, 0.5
"""Share of the variation of both images that must lie in their overlap; less of either, where more of the other does.

Lower, corners agree by chance; higher, a part of a part is not found."""
LEAST_KNOWN = 0.5
"""Share of a value that must come from known voxels."""
FOREGROUND = 0.05
"""Share of the strongest edge from which voxels belong to the object; its box is cut out where background surrounds
it."""

_Volume = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Edges:
    """Gradient magnitude of an image on a coarse grid, on the host.

    Parameters
    ----------
    values : (I, J, K) float32
        0 where nothing is known.
    known : (I, J, K) float32
        1 where the image counts, else 0.
    grid : Grid
        Where they lie.
    spacing : float
        Edge in mm of the voxels in which the image is compared.
    """

    values: _Volume
    known: _Volume
    grid: Grid
    spacing: float

    @classmethod
    def of(cls, image: Normalised, level: PyramidLevel, spacing: float) -> Edges:
        """Of a level of an image; its voxels may be finer than `spacing` where the image shows little."""
        backend, grid = level.backend, level.grid
        volume = np.asarray(backend.download(level.array), np.float32)
        known = np.asarray(backend.download(level.inside)).astype(np.float32)
        sigma = np.where(np.array(grid.shape) > 1, EDGE_SIGMA * spacing / grid.voxel_size, 0.0)
        slopes = (_slope(volume, sigma, axis) / grid.voxel_size[axis] for axis in np.flatnonzero(sigma))
        values = np.sqrt(np.sum([slope**2 for slope in slopes], axis=0, dtype=np.float32) * known)
        whole = cls(np.asarray(values, np.float32), known, grid, spacing)
        return whole._cropped() if image.is_surrounded() else whole

    @property
    def diameter(self) -> float:
        """Length of the diagonal of the grid, in mm."""
        return float(np.linalg.norm(np.array(self.grid.shape) * self.grid.voxel_size))

    def sampled(self, frame: Matrix, shape: tuple[int, ...]) -> tuple[_Volume, _Volume]:
        """Values less their mean, and where they are known, on a grid about the middle along the columns of `frame`."""
        to_voxel = self.grid.inverse_affine
        step = to_voxel[:3, :3] @ frame * self.spacing
        first = apply_affine(to_voxel, self.grid.centre) - step @ ((np.array(shape) - 1) / 2)
        thin = np.array(self.grid.shape) == 1
        step[thin], first[thin] = 0.0, 0.0

        def on_grid(volume: _Volume) -> _Volume:
            return np.asarray(
                ndimage.affine_transform(
                    volume, step, first, output_shape=shape, order=1, mode="grid-constant", prefilter=False
                )
            )

        share = on_grid(self.known)
        known = share > LEAST_KNOWN
        values = np.where(known, on_grid(self.values) / np.maximum(share, LEAST_KNOWN), 0)
        mean = values.sum(dtype=np.float64) / max(int(known.sum()), 1)
        return ((values - mean) * known).astype(np.float32), known.astype(np.float32)

    def _cropped(self) -> Edges:
        """The box of the object, with a voxel around it; everything where nothing has an edge."""
        places = np.argwhere(self.values >= FOREGROUND * self.values.max())
        start = np.maximum(places.min(axis=0) - 1, 0)
        stop = np.minimum(places.max(axis=0) + 2, self.grid.shape)
        box = tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))
        (i, j, k), (u, v, w) = ([int(n) for n in ends] for ends in (start, stop))
        return Edges(self.values[box], self.known[box], self.grid.cropped((i, j, k), (u, v, w)), self.spacing)


def best_translations(
    fixed: Edges, moving: Edges, rotations: NDArray[np.float64], plane: Matrix | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """For each rotation, the translation under which two images agree best, and how well.

    Parameters
    ----------
    fixed, moving : Edges
        What is compared; the ratio of their spacings is the size of the moving object over that of the fixed one.
    rotations : (S, 3, 3)
        Of fixed world vectors.
    plane : (3, 3), optional
        Frame of the slices, see `shared_plane`; None for volumes.

    Returns
    -------
    maps, scores : (S, 4, 4), (S,)
        Fixed world to moving world, and the logarithm of how much more likely the images are where one predicts the
        other, up to a factor.
    """
    frame = np.eye(3) if plane is None else plane
    across, turning = _extents(fixed, moving, plane)
    still = _Transforms.of(*fixed.sampled(frame, across), search_shape(fixed, moving, plane))
    found = [still.best_shift(*moving.sampled(rotation @ frame, turning)) for rotation in rotations]
    steps = np.array([_signed(shift, across, still.shape) for shift, _ in found])
    offsets = fixed.spacing * ((np.array(across) - np.array(turning)) / 2 - steps) @ frame.T
    maps = np.tile(np.eye(4), (len(rotations), 1, 1))
    maps[:, :3, :3] = moving.spacing / fixed.spacing * rotations
    maps[:, :3, 3] = moving.grid.centre + np.einsum("sij,sj->si", maps[:, :3, :3], offsets - fixed.grid.centre)
    return maps, np.array([score for _, score in found])


def search_shape(fixed: Edges, moving: Edges, plane: Matrix | None = None) -> tuple[int, ...]:
    """Voxels along each axis of the grid of all translations, as `best_translations` takes it."""
    across, turning = _extents(fixed, moving, plane)
    return tuple(n + m - 1 for n, m in zip(across, turning, strict=True))


def _extents(fixed: Edges, moving: Edges, plane: Matrix | None) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Voxels of the fixed image along three axes, and of the moving one however it is turned."""
    frame = np.eye(3) if plane is None else plane
    across = _counts(np.abs(frame.T @ fixed.grid.affine[:3, :3]) @ fixed.grid.shape / fixed.spacing, plane)
    return across, _counts(np.full(3, moving.diameter / moving.spacing), plane)


@dataclass(frozen=True, eq=False)
class _Transforms:
    """Fourier transforms of one image, of its square and of where it is known, padded to a shape."""

    image: NDArray[np.complex64]
    square: NDArray[np.complex64]
    known: NDArray[np.complex64]
    variation: float
    shape: tuple[int, ...]

    @classmethod
    def of(cls, values: _Volume, known: _Volume, least: Sequence[int]) -> _Transforms:
        shape = tuple(fft.next_fast_len(n, real=True) for n in least)
        stacked = fft.rfftn(np.stack([values, values**2, known]), shape, axes=(1, 2, 3))
        return cls(stacked[0], stacked[1], stacked[2], float((values**2).sum(dtype=np.float64)), shape)

    def best_shift(self, values: _Volume, known: _Volume) -> tuple[tuple[int, ...], float]:
        """The shift in voxels (not negative: see `_signed`) of another image that agrees best, and how well."""
        other = _Transforms.of(values, known, self.shape)
        image, square, mask = (np.conj(one) for one in (other.image, other.square, other.known))
        products = [self.known * mask, self.image * mask, self.known * image]
        products += [self.square * mask, self.known * square, self.image * image]
        count, first, second, first_square, second_square, both = fft.irfftn(
            np.stack(products), self.shape, axes=(1, 2, 3)
        )
        count = np.maximum(count, 1.0)
        variations = first_square - first**2 / count, second_square - second**2 / count
        shares = [one / max(of, 1e-20) for one, of in zip(variations, (self.variation, other.variation), strict=True)]
        less, more = np.minimum(*shares), np.maximum(*shares)
        enough = (less > LEAST_OF_BOTH) | ((less > LEAST_OF_EITHER) & (more > LEAST_OF_OTHER))
        squared = (both - first * second / count) ** 2 / np.where(enough, variations[0] * variations[1], np.inf)
        scores = -count * np.log1p(-np.minimum(squared, 0.9999))
        best = np.unravel_index(int(np.argmax(scores)), self.shape)
        return tuple(int(n) for n in best), float(scores[best])


@cache
def even_rotations() -> NDArray[np.float64]:
    """Rotations (S, 3, 3) spread evenly over all of them, none first (Alexa 2022, super-Fibonacci spirals)."""
    from scipy.spatial.transform import Rotation

    place = (np.arange(ROTATIONS) + 0.5) / ROTATIONS
    inner, outer, turns = np.sqrt(place), np.sqrt(1 - place), 2 * np.pi * ROTATIONS * place
    first, second = turns / np.sqrt(2), turns / _SPIRAL
    quaternions = inner * np.sin(first), inner * np.cos(first), outer * np.sin(second), outer * np.cos(second)
    return np.concatenate([np.eye(3)[None], Rotation.from_quat(np.stack(quaternions, axis=1)).as_matrix()])


_SPIRAL = 1.533751168755204
"""The positive root of ``p**4 = p + 4``, which makes the spiral cover all rotations evenly."""


def _slope(volume: _Volume, sigma: NDArray[np.float64], axis: int) -> _Volume:
    """Derivative by voxels along an axis, of the smoothed volume."""
    order = [int(axis == other) for other in range(3)]
    return np.asarray(ndimage.gaussian_filter(volume, sigma, order=order, mode="nearest"))


def _counts(lengths: NDArray[np.float64], plane: Matrix | None) -> tuple[int, ...]:
    """Voxels along three axes, of which the last is the normal of a plane."""
    counts = [int(n) for n in np.maximum(np.ceil(lengths), 1)]
    return tuple(counts) if plane is None else (*counts[:2], 1)


def _signed(shift: tuple[int, ...], most: tuple[int, ...], period: tuple[int, ...]) -> NDArray[np.int64]:
    """A shift of a periodic correlation, negative from the extent of the fixed image on."""
    steps = np.array(shift)
    return np.where(steps >= most, steps - period, steps)
