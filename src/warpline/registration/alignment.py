"""One registration, from two images to the transform between them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Array, Backend
from warpline.images.image import Image
from warpline.images.intensity import Normalised, normalise
from warpline.recipe import Recipe, Syn
from warpline.registration.axis_order import Layout
from warpline.registration.cropping import prepare
from warpline.registration.initialisation import initial_affine
from warpline.registration.inverse_consistency import InvertibleMap, Quality, Units, make_invertible
from warpline.registration.judgement import (
    Attempt,
    Interior,
    Judgement,
    examined,
    judge,
    of_quality,
    of_warp,
    search_again,
)
from warpline.registration.linear import LinearResult, register_linear
from warpline.registration.progress import LevelRecord, Listener, Progress
from warpline.registration.syn import HalfMaps, register_syn
from warpline.space import Affine, Chain, Displacement, fields
from warpline.space.grid import Grid

__all__ = ["Alignment", "LevelRecord", "Listener", "Progress", "Quality", "align", "align_by_halves"]

REACH = 20
"""Voxels over which the warp fades to zero beyond the box it was computed in."""


RISE = 0.02
"""A level that went back is a warning where it had lost more than this share of its best energy: less is noise."""


@dataclass(frozen=True, eq=False)
class Alignment:
    """What `align` found.

    Parameters
    ----------
    fixed, moving : Image
        The images as given.
    affine : Affine
        Fixed world to moving world, the linear part.
    warp : Displacement or None
        On the fixed grid, with its inverse; None for linear recipes.
    levels : tuple of LevelRecord
        Every level of every stage, in order.
    seconds : dict
        Wall-clock time of each part.
    quality : Quality or None
        Folds and inverse error of the warp.
    warnings : tuple of str
        A sentence for everything that did not go as asked, and for every reason to doubt the result.
    judgement : Judgement
        Whether the result can be trusted.
    """

    fixed: Image
    moving: Image
    affine: Affine
    warp: Displacement | None = None
    levels: tuple[LevelRecord, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)
    quality: Quality | None = None
    warnings: tuple[str, ...] = ()
    judgement: Judgement = field(default_factory=Judgement)

    @property
    def transform(self) -> Chain:
        """Fixed world points to moving world points: ``y = A(x + u(x))``."""
        return Chain((self.affine,) if self.warp is None else (self.warp, self.affine))

    @property
    def inverse(self) -> Chain:
        """Moving world points to fixed world points."""
        return self.transform.inverse()


def align(
    fixed: Image,
    moving: Image,
    recipe: Recipe,
    *,
    backend: Backend,
    fixed_mask: Image | None = None,
    moving_mask: Image | None = None,
    initial: Affine | None = None,
    progress: Listener | None = None,
) -> Alignment:
    """Find the map that carries `moving` onto `fixed`.

    Parameters
    ----------
    fixed, moving : Image
        3-D (or one slice), finite, not constant.
    recipe : Recipe
        What to run.
    backend : Backend
        Where to run it.
    fixed_mask, moving_mask : Image, optional
        Nonzero where an image counts, on any grid.
    initial : Affine, optional
        Fixed world to moving world; replaces the recipe's initialiser.
    progress : callable, optional
        Called with a `Progress` as the work goes on.
    """
    masks = {"fixed_mask": fixed_mask, "moving_mask": moving_mask}
    parts = ["linear"] if recipe.linear is not None else []
    backend.prepare(parts if recipe.syn is None else [*parts, recipe.syn.metric])
    with backend.session():
        return _align(fixed, moving, recipe, initial, backend=backend, progress=progress, take=None, **masks)


def align_by_halves(
    fixed: Image,
    moving: Image,
    recipe: Recipe,
    *,
    backend: Backend,
    initial: Affine | None = None,
    progress: Listener | None = None,
) -> tuple[Alignment, tuple[Displacement, Displacement]]:
    """As `align` with a deformable recipe, and the maps from the middle that the result was made of.

    Returns
    -------
    Alignment, pair of Displacement
        The latter from the middle to the fixed image and to the moving one, that one before the affine; both on the
        fixed grid with their inverses, as they came from the solver, before folds and inverse errors were mended.
    """
    layout, on_host = Layout.of(fixed.grid.shape), list[Displacement]()
    grid = layout.grid(fixed.grid)
    masks: dict[str, Image | None] = {"fixed_mask": None, "moving_mask": None}

    def take(halves: HalfMaps) -> None:
        on_host.extend(layout.displacement(half, fixed.grid) for half in _halves_on_host(halves, grid, backend))

    with backend.session():
        found = _align(fixed, moving, recipe, initial, backend=backend, progress=progress, take=take, **masks)
    first, second = on_host
    return found, (first, second)


def _align(
    fixed: Image,
    moving: Image,
    recipe: Recipe,
    initial: Affine | None,
    *,
    backend: Backend,
    progress: Listener | None,
    take: Callable[[HalfMaps], None] | None,
    **masks: Image | None,
) -> Alignment:
    """As `align`; `take` is given the half-maps, which are on the grid of the fixed image as solvers see it."""
    layout, moved = Layout.of(fixed.grid.shape), Layout.of(moving.grid.shape)
    masks["fixed_mask"] = layout.mask(masks["fixed_mask"], fixed, backend)
    masks["moving_mask"] = moved.mask(masks["moving_mask"], moving, backend)
    still, other, heard = layout.image(fixed, backend), moved.image(moving, backend), layout.listener(progress)
    found = _aligned(still, other, recipe, initial, backend=backend, progress=heard, take=take, **masks)
    warp = None if found.warp is None else layout.displacement(found.warp, fixed.grid)
    quality, levels = layout.quality(found.quality), layout.records(found.levels)
    return replace(found, fixed=fixed, moving=moving, warp=warp, quality=quality, levels=levels)


def _aligned(
    fixed: Image,
    moving: Image,
    recipe: Recipe,
    initial: Affine | None,
    *,
    backend: Backend,
    progress: Listener | None,
    take: Callable[[HalfMaps], None] | None,
    **masks: Image | None,
) -> Alignment:
    seconds: dict[str, float] = {}
    with _timed(seconds, "preparation"):
        still, moved = normalise(fixed, backend, masks["fixed_mask"]), normalise(moving, backend, masks["moving_mask"])
    images = still, moved
    with _timed(seconds, "linear"):
        linear = _linear(images, recipe, initial, backend=backend, progress=progress)
    with _timed(seconds, "judgement"):
        interior = Interior(still, moved, backend)
        found = _examined(images, linear, recipe, initial, interior=interior, backend=backend)
    affine, levels = found.result.affine, found.result.levels
    told = found.result.warnings + found.notes
    if recipe.syn is None:
        told += found.judgement.reasons
        return Alignment(fixed, moving, affine, None, levels, seconds, None, told, found.judgement)
    with _timed(seconds, "deformable"):
        bent = _deformed(images, affine, recipe.syn, backend=backend, progress=progress, take=take)
    with _timed(seconds, "inversion"):
        whole = make_invertible(bent.to_fixed, bent.to_moving, bent.content, backend, bent.units)
        spans, bent_levels = bent.spans, bent.levels
        del bent  # its memory is for what follows
    with _timed(seconds, "judgement"):
        box = fixed.grid.cropped(tuple(s.start for s in spans), tuple(s.stop for s in spans))
        signs = of_warp(interior, affine, found.agreement, whole.forward, grid=box, backend=backend)
        judgement = judge({**found.signs, **signs, **of_quality(whole.quality)})
    with _timed(seconds, "download"):
        warp = _on_host(whole, fixed.grid, spans, backend)
    told, levels = told + _taken_back(bent_levels) + judgement.reasons, levels + bent_levels
    return Alignment(fixed, moving, affine, warp, levels, seconds, whole.quality, told, judgement)


def _taken_back(levels: tuple[LevelRecord, ...]) -> tuple[str, ...]:
    """A sentence for every deformable level that went back to an earlier state after a clear loss."""
    return tuple(
        f"level {level.level + 1} of {len(levels)} of the deformable stage got worse and was taken back to its best "
        f"state, iteration {level.kept} of {level.iterations}: one image may show what the other has not"
        for level in levels
        if level.kept is not None and level.kept < level.iterations and _rise(level) > RISE
    )


def _rise(level: LevelRecord) -> float:
    """How far above its lowest energy a level ended, as a share of that."""
    lowest = min(level.energies)
    return (level.energies[-1] - lowest) / max(abs(lowest), 1e-12)


def _linear(
    images: tuple[Normalised, Normalised],
    recipe: Recipe,
    initial: Affine | None,
    *,
    backend: Backend,
    progress: Listener | None,
) -> LinearResult:
    start = initial or initial_affine(*images, recipe.initialise, backend=backend)
    if recipe.linear is None:
        return LinearResult(start, ())
    return register_linear(*images, start, recipe.linear, backend=backend, progress=progress)


def _examined(
    images: tuple[Normalised, Normalised],
    linear: LinearResult,
    recipe: Recipe,
    initial: Affine | None,
    *,
    interior: Interior,
    backend: Backend,
) -> Attempt:
    """The linear result and its signs; of a better one, where it was not clear and the start was ours."""
    headers = initial or Affine.identity()
    found = examined(images, linear, recipe.linear, interior, headers=headers, backend=backend)
    if recipe.linear is None or not recipe.initialise.rotations or initial is not None or found.is_clear:
        return found
    return search_again(images, found, recipe.linear, interior, backend)


@dataclass(frozen=True, eq=False)
class _Bent:
    """What the deformable solver leaves: all else that it needed is gone from the device before maps are inverted.

    Half-maps (3, I, J, K) and the content (I, J, K) lie on the box `spans` of the fixed grid.
    """

    to_fixed: Array
    to_moving: Array
    content: Array
    spans: tuple[slice, ...]
    units: Units
    levels: tuple[LevelRecord, ...]


def _deformed(
    images: tuple[Normalised, Normalised],
    affine: Affine,
    options: Syn,
    *,
    backend: Backend,
    progress: Listener | None,
    take: Callable[[HalfMaps], None] | None,
) -> _Bent:
    """Half-maps on their box of the fixed grid and some way around it."""
    scene = prepare(*images, affine, backend=backend, beyond=options.beyond)
    halves = register_syn(scene, options, backend=backend, listener=progress)
    if take is not None:
        take(halves)
    to_fixed, to_moving, spans = _extended(halves, images[0].grid, backend)
    return _Bent(to_fixed, to_moving, scene.content[spans].copy(), spans, halves.units, halves.levels)


def _extended(halves: HalfMaps, grid: Grid, backend: Backend) -> tuple[Array, Array, tuple[slice, ...]]:
    """Both half-maps on their box of the fixed grid and some way around it, and where that lies."""
    inner = np.rint(halves.grid.voxel_map_to(grid)[:3, 3]).astype(int)
    start = np.maximum(inner - REACH, 0)
    stop = np.minimum(inner + halves.grid.shape + REACH, grid.shape)
    box = grid.cropped(tuple(start), tuple(stop))
    spans = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    both = [fields.extend(half, halves.grid, box, REACH, backend) for half in (halves.to_fixed, halves.to_moving)]
    return both[0], both[1], spans


def _on_host(found: InvertibleMap, grid: Grid, spans: tuple[slice, ...], backend: Backend) -> Displacement:
    """The map on the whole fixed grid, in mm; beyond the box it was computed in, nothing moves."""
    forward, inverse = (_whole(one, grid, spans, backend) for one in (found.forward, found.inverse))
    return Displacement(forward, grid, inverse)


def _halves_on_host(halves: HalfMaps, grid: Grid, backend: Backend) -> tuple[Displacement, Displacement]:
    """The half-maps and their inverses on the whole fixed grid, in mm."""
    *both, spans = _extended(halves, grid, backend)
    found = [
        Displacement(
            _whole(half, grid, spans, backend),
            grid,
            _whole(fields.invert(half, backend)[0], grid, spans, backend),
        )
        for half in both
    ]
    return found[0], found[1]


def _whole(field_found: Array, grid: Grid, spans: tuple[slice, ...], backend: Backend) -> NDArray[np.float32]:
    whole = np.zeros((3, *grid.shape), np.float32)
    backend.download(fields.to_world(field_found, grid), out=whole[(slice(None), *spans)])
    return whole


@contextmanager
def _timed(seconds: dict[str, float], part: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[part] = seconds.get(part, 0.0) + time.perf_counter() - start
