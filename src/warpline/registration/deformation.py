"""The deformable stage: from two images under an affine to one map and its inverse, on a box of the fixed grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Array, Backend
from warpline.images.intensity import Normalised
from warpline.recipe import Recipe, Syn
from warpline.registration.budget import Keeper, Spending, Surroundings, with_more_smoothing
from warpline.registration.clock import Clock
from warpline.registration.comparisons import ComparedImages, comparison_warnings
from warpline.registration.cropping import Channel, Weights, crop_pair
from warpline.registration.directions import Projection
from warpline.registration.inverse_consistency import InversePair, enforce_inverse_consistency
from warpline.registration.landmarks import Landmarks
from warpline.registration.progress import LevelRecord, ProgressCallback
from warpline.registration.pulls import outside_notes
from warpline.registration.quality import Units
from warpline.registration.surfaces import LoadedSurfaces
from warpline.registration.syn import HalfMaps, register_syn, restoration_warnings, smoothing_warnings
from warpline.space import Affine, Displacement, fields
from warpline.space.grid import Grid, Matrix
from warpline.space.inversion import invert_field
from warpline.space.velocity import half_maps_of

TAPER = 20
"""Voxels over which the warp fades to zero beyond the box it was computed in; over fewer, large displacements fold."""

LARGEST_MISS = 0.15
"""Distance in voxels between a map and the exponential of its velocity, at the 99th percentile, up to which the field
is kept."""

AGAIN = "syn with more smoothing"
"""What progress calls the levels of a second run, for a budget."""

HalfMapsCallback = Callable[[HalfMaps], None]
"""Receives the half-maps of SyN while they are on the backend."""


@dataclass(frozen=True, eq=False)
class Box:
    """A box of voxels `spans` of the grid `whole`, and the grid of that box."""

    whole: Grid
    spans: tuple[slice, ...]
    grid: Grid

    @classmethod
    def around(cls, inner: Grid, whole: Grid) -> Box:
        """The box of `whole` around a box of it, wider by the taper on each side."""
        first = np.rint(inner.voxel_map_to(whole)[:3, 3]).astype(int)
        start = np.maximum(first - TAPER, 0)
        stop = np.minimum(first + inner.shape + TAPER, whole.shape)
        spans = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
        return cls(whole, spans, whole.cropped(tuple(start), tuple(stop)))

    def extend(self, field: Array, inner: Grid, backend: Backend) -> Array:
        """A field (3, I, J, K) on the inner box, faded to zero beyond it."""
        return fields.extend(field, inner, self.grid, TAPER, backend)

    def fade(self, inner: Grid, backend: Backend) -> Array:
        """1 on the inner box (I, J, K), falling to 0 as extended fields do."""
        ones = backend.zeros((3, *inner.shape))
        ones += np.float32(1)
        faded: Array = self.extend(ones, inner, backend)[0]
        return faded

    def in_mm(self, field: Array, backend: Backend) -> NDArray[np.float32]:
        """A field in voxels of the box as a displacement in mm on the whole grid, on the host; zero beyond the box."""
        whole = np.zeros((3, *self.whole.shape), np.float32)
        backend.download(fields.to_world(field, self.whole), out=whole[(slice(None), *self.spans)])
        return whole


@dataclass(frozen=True, eq=False)
class Velocity:
    """A stationary velocity field (3, I, J, K) in voxels of a box, and the foreground (I, J, K) uint8 there."""

    field: Array
    foreground: Array

    def maps(self, backend: Backend) -> tuple[Array, Array]:
        """``exp(v)`` and ``exp(-v)``: either half-map composed with itself."""
        back, there = half_maps_of(self.field, backend)
        return tuple(backend.compose(half, half, out=backend.empty(half.shape)) for half in (there, back))

    def missed(self, forward: Array, backend: Backend) -> float:
        """99th percentile in the foreground of the distance between a map and ``exp(v)``, in voxels."""
        difference = self.maps(backend)[0]
        difference -= forward
        return float(backend.statistics(difference, 0.99, mask=self.foreground)[2])


@dataclass(frozen=True, eq=False)
class Deformation:
    """What the deformable stage made.

    Parameters
    ----------
    maps : InversePair
        Displacements in voxels of the box.
    box : Box
        Where they are; beyond it they are zero.
    levels : tuple of LevelRecord
        Of the run that made them.
    spending : Spending or None
        What they use of the budget, where the recipe sets one.
    compared : tuple of ComparedImages
        What was compared.
    velocity : Velocity or None
        The stationary velocity field behind the map, of a model that has one.
    notes : tuple of str
        Sentences for points that could not pull.
    """

    maps: InversePair
    box: Box
    levels: tuple[LevelRecord, ...]
    spending: Spending | None = None
    compared: tuple[ComparedImages, ...] = ()
    velocity: Velocity | None = None
    notes: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the levels, their half-maps and what they compared are to be doubted for."""
        of_maps = smoothing_warnings(self.maps.smoothed)
        return restoration_warnings(self.levels) + of_maps + comparison_warnings(self.compared) + self.notes

    def velocity_and_notes(self, backend: Backend) -> tuple[NDArray[np.float32] | None, tuple[str, ...]]:
        """The velocity in mm on the whole grid; None with a sentence where the map is no longer its exponential."""
        if self.velocity is None:
            return None, ()
        missed = self.velocity.missed(self.maps.forward, backend)
        if missed > LARGEST_MISS:
            return None, (
                "no velocity field is written: the map was smoothed until it kept its limits, and differs from the "
                f"exponential of the field by {missed:.2g} voxels at the 99th percentile",
            )
        return self.box.in_mm(self.velocity.field, backend), ()


@dataclass(frozen=True, eq=False)
class DeformableStage:
    """Runs SyN on a pair of images, joins its half-maps, and keeps the budget.

    Parameters
    ----------
    images : (Normalised, Normalised)
        Fixed and moving.
    affine : Affine
        Fixed world to moving world.
    backend : Backend
        Where it runs.
    progress : callable, optional
        Called with a `Progress` as the work goes on.
    on_half_maps : callable, optional
        Called with the half-maps of every run; the result is made of the last ones.
    clock : Clock
        Of the whole registration.
    channels : tuple of Channel
        Further images that are compared.
    allowed : (3, 3), optional
        Projection of world vectors onto the directions along which points may move; all when None.
    weights : (Weights or None, Weights or None)
        How much places of either image count.
    landmarks : Landmarks, optional
        That pull; see `Syn.landmark_weight`.
    surfaces : tuple of LoadedSurfaces
        That pull; see `Syn.surface_weight`.
    """

    images: tuple[Normalised, Normalised]
    affine: Affine
    backend: Backend
    progress: ProgressCallback | None = None
    on_half_maps: HalfMapsCallback | None = None
    clock: Clock = field(default_factory=Clock)
    channels: tuple[Channel, ...] = ()
    allowed: Matrix | None = None
    weights: tuple[Weights | None, Weights | None] = (None, None)
    landmarks: Landmarks | None = None
    surfaces: tuple[LoadedSurfaces, ...] = ()

    def run(self, recipe: Recipe) -> Deformation:
        """The maps by the options of a recipe with a deformable stage."""
        assert recipe.syn is not None, "the recipe has a deformable stage"
        half_maps = self._half_maps(recipe.syn)
        if recipe.budget.is_empty:
            return self._join(half_maps)
        place = Surroundings(half_maps.box.grid, half_maps.foreground, half_maps.fade(self.backend), half_maps.units)
        keeper = Keeper(recipe.budget, place, self.backend)
        found = self._join(half_maps)
        del half_maps
        with self.clock.step("budget"):
            before = keeper.usages(found.maps)
            smoother = with_more_smoothing(recipe.syn, keeper.bending_to_leave(found.maps, before))
        if smoother is not None:
            del found  # its memory is for the next one
            found = self._join(replace(self, progress=_again(self.progress))._half_maps(smoother))
        with self.clock.step("budget"):
            usages = before if smoother is None else keeper.usages(found.maps)
            maps, spending = keeper.keep(found.maps, usages)
        maps = replace(maps, smoothed=found.maps.smoothed)
        return replace(found, maps=maps, spending=replace(spending, before=before, rerun=smoother))

    def _half_maps(self, options: Syn) -> _ExtendedHalfMaps:
        with self.clock.step("deformable"):
            pair = crop_pair(*self.images, self.affine, backend=self.backend, beyond=options.beyond)
            of_fixed, of_moving = self.weights
            first = replace(pair.channels[0], fixed_weights=of_fixed, moving_weights=of_moving)
            places = None if self.landmarks is None else self.landmarks.in_fixed_world(self.affine)
            surfaces = tuple(both.in_fixed_world(self.affine) for both in self.surfaces)
            pair = replace(
                pair, channels=(first, *self.channels), allowed=self.allowed, landmarks=places, surfaces=surfaces
            )
            half_maps = register_syn(pair, options, backend=self.backend, progress=self.progress)
            if self.on_half_maps is not None:
                self.on_half_maps(half_maps)
            extended = _ExtendedHalfMaps.of(half_maps, pair.foreground, self.images[0].grid, self.backend)
            return replace(extended, notes=outside_notes(pair, options))

    def _join(self, half_maps: _ExtendedHalfMaps) -> Deformation:
        with self.clock.step("inversion"):
            velocity = None if half_maps.velocity is None else Velocity(half_maps.velocity, half_maps.foreground)
            maps = enforce_inverse_consistency(
                half_maps.to_fixed,
                half_maps.to_moving,
                half_maps.foreground,
                self.backend,
                half_maps.units,
                projection=None if self.allowed is None else Projection(self.allowed, half_maps.box.grid, self.backend),
                maps=None if velocity is None else velocity.maps(self.backend),
            )
            return Deformation(
                maps,
                half_maps.box,
                half_maps.levels,
                compared=half_maps.compared,
                velocity=velocity,
                notes=half_maps.notes,
            )


def _again(progress: ProgressCallback | None) -> ProgressCallback | None:
    """A callback for the progress of a second run."""
    return None if progress is None else lambda step: progress(replace(step, stage=AGAIN))


@dataclass(frozen=True, eq=False)
class _ExtendedHalfMaps:
    """Half-maps (3, I, J, K) and the foreground (I, J, K) on a box of the fixed grid.

    They are copies, so that all other memory of SyN is free before the half-maps are inverted. `inner` is the box that
    SyN ran on.
    """

    to_fixed: Array
    to_moving: Array
    foreground: Array
    box: Box
    inner: Grid
    units: Units
    levels: tuple[LevelRecord, ...]
    compared: tuple[ComparedImages, ...]
    velocity: Array | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, half_maps: HalfMaps, foreground: Array, whole: Grid, backend: Backend) -> _ExtendedHalfMaps:
        """Half-maps carried on to a box of the whole grid; the foreground is on that."""
        box = Box.around(half_maps.grid, whole)
        given = (half_maps.to_fixed, half_maps.to_moving) if half_maps.velocity is None else (half_maps.velocity,)
        extended = [box.extend(field, half_maps.grid, backend) for field in given]
        velocity = None if half_maps.velocity is None else extended[0]
        to_fixed, to_moving = extended if velocity is None else half_maps_of(velocity, backend)
        return cls(
            to_fixed,
            to_moving,
            foreground[box.spans].copy(),
            box,
            half_maps.grid,
            half_maps.units,
            half_maps.levels,
            half_maps.compared,
            velocity,
        )

    def fade(self, backend: Backend) -> Array:
        """1 where SyN ran (I, J, K), falling to 0 beyond."""
        return self.box.fade(self.inner, backend)


def half_maps_in_mm(half_maps: HalfMaps, grid: Grid, backend: Backend) -> tuple[Displacement, Displacement]:
    """The half-maps and their inverses on the whole fixed grid, in mm."""
    box = Box.around(half_maps.grid, grid)
    displacements = []
    for half in (half_maps.to_fixed, half_maps.to_moving):
        extended = box.extend(half, half_maps.grid, backend)
        inverse, _ = invert_field(extended, backend)
        displacements.append(Displacement(box.in_mm(extended, backend), grid, box.in_mm(inverse, backend)))
    return displacements[0], displacements[1]
