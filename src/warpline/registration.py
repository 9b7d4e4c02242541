"""One registration, from two images to the transform between them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from warpline import fields
from warpline.backends import Array, Backend
from warpline.geometry import Grid
from warpline.image import Image
from warpline.intensity import Normalised, normalise
from warpline.recipe import Recipe
from warpline.solvers.initialise import initial_affine
from warpline.solvers.invertibility import InvertibleMap, Quality, make_invertible
from warpline.solvers.linear import LinearResult, register_linear
from warpline.solvers.progress import LevelRecord, Listener, Progress
from warpline.solvers.scene import prepare
from warpline.solvers.syn import HalfMaps, register_syn
from warpline.transforms import Affine, Chain, Displacement

__all__ = ["Alignment", "LevelRecord", "Listener", "Progress", "Quality", "align"]

REACH = 20
"""Voxels over which the warp fades to zero beyond the box it was computed in."""


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
        A sentence for everything that did not go as asked.
    """

    fixed: Image
    moving: Image
    affine: Affine
    warp: Displacement | None = None
    levels: tuple[LevelRecord, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)
    quality: Quality | None = None
    warnings: tuple[str, ...] = ()

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
        return _align(fixed, moving, recipe, initial, backend=backend, progress=progress, **masks)


def _align(
    fixed: Image,
    moving: Image,
    recipe: Recipe,
    initial: Affine | None,
    *,
    backend: Backend,
    progress: Listener | None,
    **masks: Image | None,
) -> Alignment:
    seconds: dict[str, float] = {}
    with _timed(seconds, "preparation"):
        still, moved = normalise(fixed, backend, masks["fixed_mask"]), normalise(moving, backend, masks["moving_mask"])
    with _timed(seconds, "linear"):
        linear = _linear(still, moved, recipe, initial, backend=backend, progress=progress)
    if recipe.syn is None:
        return Alignment(fixed, moving, linear.affine, levels=linear.levels, seconds=seconds, warnings=linear.warnings)
    with _timed(seconds, "deformable"):
        scene = prepare(still, moved, linear.affine, backend=backend)
        halves = register_syn(scene, recipe.syn, backend=backend, listener=progress)
    with _timed(seconds, "inversion"):
        found, spans = _whole_map(halves, fixed.grid, scene.content, backend)
    with _timed(seconds, "download"):
        warp = _on_host(found, fixed.grid, spans, backend)
    levels = linear.levels + halves.levels
    return Alignment(fixed, moving, linear.affine, warp, levels, seconds, found.quality, linear.warnings)


def _linear(
    fixed: Normalised,
    moving: Normalised,
    recipe: Recipe,
    initial: Affine | None,
    *,
    backend: Backend,
    progress: Listener | None,
) -> LinearResult:
    start = initial or initial_affine(fixed, moving, recipe.initialise, backend=backend)
    if recipe.linear is None:
        return LinearResult(start, ())
    return register_linear(fixed, moving, start, recipe.linear, backend=backend, progress=progress)


def _whole_map(
    halves: HalfMaps, grid: Grid, content: Array, backend: Backend
) -> tuple[InvertibleMap, tuple[slice, ...]]:
    """The map and its inverse from half-maps on a box of the fixed grid, on that box and some way around it."""
    inner = np.rint(halves.grid.voxel_map_to(grid)[:3, 3]).astype(int)
    start = np.maximum(inner - REACH, 0)
    stop = np.minimum(inner + halves.grid.shape + REACH, grid.shape)
    box = grid.cropped(tuple(start), tuple(stop))
    spans = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    both = [fields.extend(half, halves.grid, box, REACH, backend) for half in (halves.to_fixed, halves.to_moving)]
    return make_invertible(both[0], both[1], content[spans].copy(), backend), spans


def _on_host(found: InvertibleMap, grid: Grid, spans: tuple[slice, ...], backend: Backend) -> Displacement:
    """The map on the whole fixed grid, in mm; beyond the box it was computed in, nothing moves."""
    whole = [np.zeros((3, *grid.shape), np.float32) for _ in range(2)]
    for field_found, target in zip((found.forward, found.inverse), whole, strict=True):
        backend.download(fields.to_world(field_found, grid), out=target[(slice(None), *spans)])
    return Displacement(whole[0], grid, whole[1])


@contextmanager
def _timed(seconds: dict[str, float], part: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[part] = time.perf_counter() - start
