"""One registration, from two images to the transform between them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from warpline import fields
from warpline.backends import Backend
from warpline.geometry import Grid
from warpline.image import Image
from warpline.recipe import Recipe
from warpline.solvers.initialise import initial_affine
from warpline.solvers.invertibility import Quality, make_invertible
from warpline.solvers.linear import register_linear
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
    """

    fixed: Image
    moving: Image
    affine: Affine
    warp: Displacement | None = None
    levels: tuple[LevelRecord, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)
    quality: Quality | None = None

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
        Nonzero where an image counts, each on the grid of its image.
    initial : Affine, optional
        Fixed world to moving world; replaces the recipe's initialiser.
    progress : callable, optional
        Called with a `Progress` as the work goes on.
    """
    masks = {"fixed_mask": fixed_mask, "moving_mask": moving_mask}
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
    with _timed(seconds, "linear"):
        affine, levels = _linear(fixed, moving, recipe, initial, backend=backend, progress=progress, **masks)
    if recipe.syn is None:
        return Alignment(fixed, moving, affine, levels=levels, seconds=seconds)
    with _timed(seconds, "deformable"):
        scene = prepare(fixed, moving, affine, backend=backend, **masks)
        halves = register_syn(scene, recipe.syn, backend=backend, listener=progress)
    with _timed(seconds, "inversion"):
        warp, quality = _whole_map(halves, fixed.grid, scene.content, backend)
    return Alignment(fixed, moving, affine, warp, levels + halves.levels, seconds, quality)


def _linear(
    fixed: Image,
    moving: Image,
    recipe: Recipe,
    initial: Affine | None,
    *,
    backend: Backend,
    progress: Listener | None,
    **masks: Image | None,
) -> tuple[Affine, tuple[LevelRecord, ...]]:
    start = initial or initial_affine(fixed, moving, recipe.initialise, backend=backend, **masks)
    if recipe.linear is None:
        return start, ()
    found = register_linear(fixed, moving, start, recipe.linear, backend=backend, progress=progress, **masks)
    return found.affine, found.levels


def _whole_map(
    halves: HalfMaps, grid: Grid, content: NDArray[np.bool_], backend: Backend
) -> tuple[Displacement, Quality]:
    """The map and its inverse on the whole fixed grid, in mm, from half-maps on a box of it."""
    inner = np.rint(halves.grid.voxel_map_to(grid)[:3, 3]).astype(int)
    start = np.maximum(inner - REACH, 0)
    stop = np.minimum(inner + halves.grid.shape + REACH, grid.shape)
    box = grid.cropped(tuple(start), tuple(stop))
    spans = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    both = [fields.extend(half, halves.grid, box, REACH, backend) for half in (halves.to_fixed, halves.to_moving)]
    found = make_invertible(both[0], both[1], content[spans], backend)
    whole = [np.zeros((3, *grid.shape), np.float32) for _ in range(2)]
    for found_field, target in zip((found.forward, found.inverse), whole, strict=True):
        target[(slice(None), *spans)] = backend.download(fields.to_world(found_field, grid))
    return Displacement(whole[0], grid, whole[1]), found.quality


@contextmanager
def _timed(seconds: dict[str, float], part: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[part] = time.perf_counter() - start
