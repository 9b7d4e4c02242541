"""A start with a warp: the moving image as seen through it, and the whole map, joined from it and what is found then.

Points of the fixed image go through what is found first, ``R``, then through the start, ``T``: the whole map is
``T(R(x))``. The stages compare the fixed image with ``moving(T(.))``, resampled once on a grid as fine as either image,
which only they see: the result is interpolated from the moving image itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Array, Backend
from warpline.errors import InputError
from warpline.images import Image
from warpline.images.foreground import background_value
from warpline.images.intensity import normalise, value_beyond
from warpline.registration.inverse_consistency import settle
from warpline.registration.landmarks import Landmarks
from warpline.registration.quality import Quality, Units
from warpline.registration.surfaces import LoadedSurfaces
from warpline.resampling import warp
from warpline.space import Affine, Chain, Displacement, Transform
from warpline.space.dense import Pullback, pull_back
from warpline.space.fields import to_world
from warpline.space.grid import Grid, Shape, apply_affine
from warpline.space.inversion import inversion
from warpline.space.preimages import check_finite_field

WIDER = 0.1
"""Share of its extent by which the fixed grid is widened on either side: what is found after the start looks there."""

STRIDE = 4
"""Voxels between the places where it is looked for what the moving image shows; where they miss it, every one."""

PROBES = 12
"""Places along each axis where it is measured how fine the start lays the voxels of the moving image."""

USUAL = 90
"""Percentile of these that the grid suits; a few places, or the edge of a field, do not make it finer."""

FINER = 1.25
"""Voxels of the moving image in a step from which on the grid is finer than the fixed one; as fine, none is needed."""

MOST_VOXELS = 2.0
"""Most voxels of the grid on which the moving image is seen, in those of the larger image."""


@dataclass(frozen=True, eq=False)
class TotalMap:
    """The whole map of a registration that started from a warp.

    Parameters
    ----------
    affine : Affine
        Product of all affine parts, fixed world to moving world.
    warp : Displacement
        On the fixed grid, before the affine, with its inverse.
    quality : Quality
        Of the warp and its inverse.
    """

    affine: Affine
    warp: Displacement
    quality: Quality


@dataclass(frozen=True, eq=False)
class InitialWarp:
    """A start that is more than an affine.

    Parameters
    ----------
    transform : Chain
        Fixed world to moving world.
    grid : Grid
        Of the fixed image.
    backend : Backend
        What computes.
    """

    transform: Chain
    grid: Grid
    backend: Backend

    def __post_init__(self) -> None:
        for field in self._fields():
            check_finite_field(field)

    def see(
        self, moving: Image, mask: Image | None, *, labels: bool = False, beyond: str = "unknown"
    ) -> tuple[Image, Image | None]:
        """A moving image and its mask, resampled through the start over the fixed world.

        Parameters
        ----------
        moving : Image
            Of grey values, or of `labels`.
        mask : Image, optional
            Not 0 where it counts.
        labels : bool
            Whether values are kept, by the nearest voxel.
        beyond : str
            As for `crop_pair`: where it is "unknown", places that the image or a field of the start does not reach are
            masked out, unless background surrounds the object.

        Raises
        ------
        InputError
            When the start leads no voxel into the image.
        """
        place = self._place(moving)
        background = background_value(moving.data)
        outside = 0.0 if labels else float(value_beyond(moving) if background is None else background)
        seen = self._through(moving, place, order=0 if labels else 1, outside=outside)
        is_cut = not labels and beyond == "unknown" and not normalise(moving, self.backend, mask).is_surrounded()
        counts = self._reached(place)
        if is_cut:
            counts &= self._through(_inner(moving), place).data != 0
        if mask is not None:
            counts &= self._through(replace(mask, data=_ones(mask.data != 0)), place).data != 0
        if mask is None and counts.all():
            return seen, None
        name = f"{moving.name} where it is seen" if mask is None else mask.name
        return seen, Image(_ones(counts), place, name)

    def see_weights(self, weights: Image) -> Image:
        """Weights of the moving image, resampled likewise; none where the start leads beyond their grid."""
        return self._through(weights, self._place(weights), order=1)

    def see_landmarks(self, landmarks: Landmarks) -> Landmarks:
        """Landmarks with those of the moving image where they are seen, in the fixed world."""
        back = inversion(self.transform, backend=self.backend).transform
        return replace(landmarks, moving=back.map_points(landmarks.moving))

    def see_surfaces(self, surfaces: LoadedSurfaces) -> LoadedSurfaces:
        """Surfaces with the moving one where it is seen, in the fixed world."""
        back = inversion(self.transform, backend=self.backend).transform
        return replace(surfaces, moving=surfaces.moving.through(back))

    def total(self, found: Chain, mask: Array, units: Units) -> TotalMap:
        """The map through `found`, fixed world to fixed world, and then the start, with its inverse and quality.

        Folds and inverse errors inside the mask (I, J, K) are settled as those of any map, see `settle`: where that
        has to change it, the map is no longer the exact composition.
        """
        grid, backend = self.grid, self.backend
        forward = pull_back(Chain.of(found, self.transform), grid, backend)
        affine = Affine(forward.matrix)
        back = inversion(self.transform, backend=backend).transform
        inverse = pull_back(Chain.of(affine, back, found.inverse()), grid, backend)
        there = backend.upload(_in_voxels(replace(forward, matrix=np.eye(4))))
        maps = settle(there, backend.upload(_in_voxels(inverse)), mask, backend, units)
        displacements = (to_world(backend.download(field), grid) for field in (maps.forward, maps.inverse))
        return TotalMap(affine, Displacement(next(displacements), grid, next(displacements)), maps.quality)

    def forward(self, found: Chain) -> tuple[Affine, Displacement]:
        """The map through `found` and then the start: its affine, and the displacement before it, as joined."""
        forward = pull_back(Chain.of(found, self.transform), self.grid, self.backend)
        joined = _in_voxels(replace(forward, matrix=np.eye(4)))
        return Affine(forward.matrix), Displacement(to_world(joined, self.grid), self.grid)

    def notes(self, mask: Array) -> tuple[str, ...]:
        """A sentence where, inside a mask (I, J, K), the start folds itself, or a field of it ends."""
        folded = self._folded_voxels(mask)
        inside = self.backend.download(mask) != 0
        missed = float((inside & ~self._reached(self.grid)).sum()) / max(int(inside.sum()), 1)
        folds = f"the initial transforms fold at {folded} voxels of the fixed image, before anything is found"
        ends = (
            f"the fields of the initial transforms do not reach {missed:.2%} of the fixed image, and move nothing there"
        )
        return (*((folds,) if folded else ()), *((ends,) if missed else ()))

    def _folded_voxels(self, mask: Array) -> int:
        field = pull_back(self.transform, self.grid, self.backend).field
        if field is None:
            return 0
        folds = (self.backend.least_jacobian(self.backend.upload(field)) <= 0) & (mask != 0)
        return int(self.backend.download(folds.sum(dtype=np.float64).reshape(1))[0])

    def _fields(self) -> list[Displacement]:
        return [part for part in self.transform.parts if isinstance(part, Displacement)]

    def _through(self, image: Image, place: Grid, *, order: int = 0, outside: float = 0.0) -> Image:
        return warp(image, self.transform, place, order=order, outside=outside, backend=self.backend)

    def _reached(self, place: Grid) -> NDArray[np.bool_]:
        """Voxels (I, J, K) of a grid whose points meet every field of the start on its grid."""
        reached = np.ones(place.shape, bool)
        for number, part in enumerate(self.transform.parts):
            if isinstance(part, Displacement):
                before = Chain(self.transform.parts[:number])
                whole = Image(np.ones(part.grid.shape, np.uint8), part.grid)
                reached &= warp(whole, before, place, order=0, backend=self.backend).data != 0
        return reached

    def _place(self, moving: Image) -> Grid:
        """The grid on which a moving image is seen: what the start reaches of the fixed world and a little beyond."""
        margin = [int(np.ceil(WIDER * n)) if n > 1 else 0 for n in self.grid.shape]
        wide = self.grid.cropped(_shape(np.negative(margin)), _shape(np.add(self.grid.shape, margin)))
        reached = _box_of(self._reached(wide), wide)
        box = reached and self._shown(moving, reached)
        if box is None:
            raise InputError(
                f"{moving.name}: the initial transforms lead no voxel of the fixed image into it; are they in order, "
                "fixed to moving, and is the right one inverted?"
            )
        finer = _fineness(self.transform, box, moving.grid)
        most = MOST_VOXELS * max(np.prod(self.grid.shape), np.prod(moving.grid.shape))
        excess = float(np.prod(np.maximum(np.array(box.shape) * finer, 1)) / most)
        if excess > 1:
            finer = np.where(finer > 1, np.maximum(finer / excess ** (1 / np.count_nonzero(finer > 1)), 1), finer)
        return box.resized(_shape(np.ceil(np.array(box.shape) * finer - 1e-6)))

    def _shown(self, moving: Image, box: Grid) -> Grid | None:
        """The part of a box that the start leads into a moving image, or a little more; None where it leads nowhere."""
        everywhere = Image(np.ones(moving.grid.shape, np.uint8), moving.grid)
        coarse = box.resized(_shape(np.ceil(np.array(box.shape) / STRIDE)))
        for place in (coarse, box):
            shown = _box_of(self._through(everywhere, place).data != 0, place, rim=1)
            if shown is not None:
                start = shown.voxel_map_to(box) @ [-0.5, -0.5, -0.5, 1]
                stop = shown.voxel_map_to(box) @ [*np.subtract(shown.shape, 0.5), 1]
                first, last = np.floor(start[:3] + 0.5 + 1e-6), np.ceil(stop[:3] + 0.5 - 1e-6)
                return box.cropped(_shape(np.maximum(first, 0)), _shape(np.minimum(last, box.shape)))
        return None


def _box_of(where: NDArray[np.bool_], grid: Grid, rim: int = 0) -> Grid | None:
    """The part of a grid around the voxels (I, J, K) that are true, and a rim within it; None where none is."""
    axes = [np.flatnonzero(where.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    if not len(axes[0]):
        return None
    start = np.maximum([along[0] - rim for along in axes], 0)
    return grid.cropped(_shape(start), _shape(np.minimum([along[-1] + 1 + rim for along in axes], grid.shape)))


def _fineness(transform: Transform, place: Grid, moving: Grid) -> NDArray[np.float64]:
    """How much finer than a grid the moving one is along each of its axes, usually; 1 where it hardly is."""
    axes = (np.linspace(0, n - 1, min(n, PROBES)) for n in place.shape)
    where = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    thick = np.array(moving.shape) > 1

    def moved(voxels: NDArray[np.float64]) -> NDArray[np.float64]:
        return apply_affine(moving.inverse_affine, transform.map_points(apply_affine(place.affine, voxels)))

    here = moved(where)
    steps = [np.abs(moved(where + step) - here)[:, thick].max(axis=1, initial=1) for step in np.eye(3)]
    crossed = np.percentile(steps, USUAL, axis=1)
    return np.where((np.array(place.shape) > 1) & (crossed > FINER), crossed, 1.0)


def _inner(image: Image) -> Image:
    """1 within an image but on its outermost voxels, whose neighbours are partly missing, where it is 0."""
    inside = np.zeros(image.grid.shape, np.uint8)
    inside[tuple(slice(1, -1) if n > 2 else slice(None) for n in inside.shape)] = 1
    return Image(inside, image.grid)


def _ones(where: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return where.astype(np.uint8)


def _shape(numbers: NDArray[np.generic]) -> Shape:
    i, j, k = (int(n) for n in numbers)
    return i, j, k


def _in_voxels(mapping: Pullback) -> NDArray[np.float32]:
    """The whole mapping, matrix and all, as one displacement (3, I, J, K) in voxels of its grid."""
    field = np.zeros((3, *mapping.grid.shape), np.float32) if mapping.field is None else mapping.field
    if np.allclose(mapping.matrix_to(mapping.grid), np.eye(4), rtol=0, atol=1e-9):
        return field
    whole = np.empty_like(field)
    for i in range(field.shape[1]):
        slab = slice(i, i + 1)
        start = np.stack(np.meshgrid([i], *map(np.arange, field.shape[2:]), indexing="ij"))
        whole[:, slab] = mapping.voxels(mapping.grid, slab) - start
    return whole
