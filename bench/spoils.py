"""What is done to a pair of images on purpose: other intensities, other places, other fields of view."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from warpline.images import Image
from warpline.recipe import Recipe
from warpline.space import Affine
from warpline.space.grid import Grid

X, Y, Z = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
"""Axes of the world."""

Volume = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Case:
    """Two images and the true map between them.

    Parameters
    ----------
    fixed, moving : Image
        What is registered.
    truth : (4, 4) or None
        Fixed world to moving world; None where no map can be right.
    recipe : Recipe
        How.
    initial : Affine or None
        A start that is given.
    """

    fixed: Image
    moving: Image
    truth: NDArray[np.float64] | None
    recipe: Recipe
    initial: Affine | None = None


Spoil = Callable[[Case, np.random.Generator], Case]


def values(change: Callable[[Volume, np.random.Generator], Volume], worthless: bool = False) -> Spoil:
    """Other intensities in the moving image."""

    def spoil(case: Case, rng: np.random.Generator) -> Case:
        data = np.asarray(change(case.moving.data.astype(np.float32), rng), np.float32)
        return replace(case, moving=Image(data, case.moving.grid), truth=None if worthless else case.truth)

    return spoil


def both(change: Callable[[Volume, np.random.Generator], Volume]) -> Spoil:
    """The same change to both images."""

    def spoil(case: Case, rng: np.random.Generator) -> Case:
        images = [Image(np.asarray(change(im.data, rng), np.float32), im.grid) for im in (case.fixed, case.moving)]
        return replace(case, fixed=images[0], moving=images[1])

    return spoil


def turned(axis: tuple[float, float, float], degrees: float, shift: float = 0.0) -> Spoil:
    """The head of the moving image turned and shifted in its scanner."""

    def spoil(case: Case, rng: np.random.Generator) -> Case:
        middle = case.moving.grid.centre
        moved = about(middle, axis, degrees)
        moved[:3, 3] += shift
        affine = moved @ case.moving.grid.affine
        truth = None if case.truth is None else moved @ case.truth
        return replace(case, moving=Image(case.moving.data, Grid(case.moving.grid.shape, affine)), truth=truth)

    return spoil


def cut(axis: int, first: float, last: float, which: str = "moving") -> Spoil:
    """Only a part of the field of view of an image, between shares of it along an axis; one slice at least."""

    def spoil(case: Case, rng: np.random.Generator) -> Case:
        image: Image = getattr(case, which)
        start, stop, n = [0, 0, 0], list(image.grid.shape), image.grid.shape[axis]
        start[axis], stop[axis] = int(first * n), max(int(last * n), int(first * n) + 1)
        spans = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
        part = image.grid.cropped((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))
        return replace(case, **{which: Image(np.ascontiguousarray(image.data[spans]), part)})

    return spoil


def header(change: np.ndarray) -> Spoil:
    """The header of the moving image says something else: a matrix on its world, which the truth then holds too."""

    def make(case: Case, rng: np.random.Generator) -> Case:
        grid = case.moving.grid
        moving = Image(case.moving.data, Grid(grid.shape, change @ grid.affine))
        return replace(case, moving=moving, truth=change @ case.truth)

    return make


def then(*situations: Spoil) -> Spoil:
    """One after the other."""

    def make(case: Case, rng: np.random.Generator) -> Case:
        for situation in situations:
            case = situation(case, rng)
        return case

    return make


def about(middle: NDArray[np.float64], axis: tuple[float, float, float], degrees: float) -> NDArray[np.float64]:
    """The rotation (4, 4) about an axis through a place."""
    direction = np.array(axis) / np.linalg.norm(axis)
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(np.radians(degrees) * direction).as_matrix()
    matrix[:3, 3] = middle - matrix[:3, :3] @ middle
    return matrix


def moved_by(*shift: float) -> np.ndarray:
    """A translation (4, 4) in mm."""
    matrix = np.eye(4)
    matrix[:3, 3] = shift
    return matrix


def distance_from(data: Volume, share: tuple[float, float, float]) -> Volume:
    """Distance in voxels from a place that is given in shares of the shape."""
    middle = (np.array(data.shape) * share)[:, None, None, None]
    return np.asarray(np.linalg.norm(np.indices(data.shape) - middle, axis=0))
