"""Parts of a grid that are carried over one after the other, so small that they and what they read fit into memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Backend, thread_count
from warpline.images import Image
from warpline.resampling import INTERPOLATIONS, Interpolation
from warpline.space import Transform
from warpline.space.dense import Pullback, pull_back
from warpline.space.grid import Grid, Matrix, Shape, apply_affine

PART = 2**23
"""As many voxels of the output at most are made at once: more are no faster."""

MAP, PLANE, KEPT = 40, 64, 12
"""Bytes for each voxel of the output, of the map and what it is made of; of a plane of it, of a map that is made plane
by plane in double precision; of the map of a part, which is kept meanwhile."""

SMALLEST, SMALLEST_BOX = (32, 32, 32), 64**3
"""Voxels of a part, and of what it reads, for which there must be room: smaller ones read almost the same again."""


Place = tuple[slice, slice, slice]
"""A box of voxels."""


@dataclass(frozen=True)
class Work:
    """Bytes that an interpolation takes beside the map, what it reads and what it gives; measured on the CPU backend.

    Parameters
    ----------
    source : int
        For each voxel that it reads.
    point : int
        For each voxel of the output that a thread works on.
    slab : int
        Voxels of the output that a thread works on at once, at least a plane.
    all_volumes : bool
        Whether `source` is taken for all volumes of a 4-D image at once.
    """

    source: int
    point: int = 0
    slab: int = 0
    all_volumes: bool = False


WORK = {
    "linear": Work(4),
    "nearest": Work(8),
    "cubic": Work(20),
    "sinc": Work(4, point=700, slab=2**16, all_volumes=True),
    "label": Work(8, point=800, slab=2**18, all_volumes=True),
}
"""Of `warpline.resampling.INTERPOLATIONS`, by name."""

UNKNOWN = Work(20, point=800, slab=2**18, all_volumes=True)
"""Of any other: the most that one of these takes."""


@dataclass(frozen=True, eq=False)
class Need:
    """What carrying over an image takes of memory beside the image, its result and the transform.

    Parameters
    ----------
    work : Work
        Of the interpolation.
    image : Image
        What is carried over.
    threads : int
        CPU threads.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Image
    >>> from warpline.resampling import INTERPOLATIONS
    >>> image = Image.from_array(np.zeros((100, 100, 100), np.uint8))
    >>> need = [Need.of(INTERPOLATIONS[name], image, threads=1) for name in ("linear", "cubic")]
    >>> [one.whole((50, 50, 50)) / 1e6 for one in need]
    [9.16, 25.16]
    """

    work: Work
    image: Image
    threads: int

    @classmethod
    def of(cls, interpolate: Interpolation, image: Image, threads: int | None) -> Need:
        """Of an interpolation, also of one that `WORK` does not know."""
        names = (name for name, one in INTERPOLATIONS.items() if one is interpolate)
        return cls(WORK.get(next(names, ""), UNKNOWN), image, thread_count(threads))

    @property
    def least(self) -> int:
        """Bytes without which parts are too small to be worth it."""
        return self.part(SMALLEST, SMALLEST_BOX)

    def whole(self, shape: Shape) -> int:
        """Bytes where the output, of a shape, is made at once."""
        return self._bytes(shape, math.prod(self.image.grid.shape))

    def part(self, shape: Shape, read: int) -> int:
        """Bytes of a part of a shape that reads as many voxels of the image: these are copied, and so are results."""
        itemsize, volumes = self.image.data.dtype.itemsize, self._volumes
        given = KEPT + 3 * max(itemsize, np.dtype(np.float32).itemsize) * volumes
        return self._bytes(shape, read) + given * math.prod(shape) + itemsize * volumes * read

    @property
    def _volumes(self) -> int:
        return math.prod(self.image.data.shape[3:])

    def _bytes(self, shape: Shape, read: int) -> int:
        voxels, plane = math.prod(shape), math.prod(shape[1:])
        at_once = min(voxels, self.threads * max(plane, self.work.slab))
        source = self.work.source * (self._volumes if self.work.all_volumes else 1)
        return MAP * voxels + PLANE * plane + self.work.point * at_once + source * read


@dataclass(frozen=True, eq=False)
class Part:
    """A part of a grid, and what it reads of an image.

    Parameters
    ----------
    place : three slices
        Where it lies in the grid.
    mapping : Pullback
        The transform on the part.
    start, stop : three int
        First and one-past-last voxel of the image that it may read.
    """

    place: Place
    mapping: Pullback
    start: Shape
    stop: Shape

    @property
    def box(self) -> Place:
        """The same as slices."""
        return _slices(self.start, self.stop)


def parts(transform: Transform, grid: Grid, need: Need, *, room: float, reach: int, backend: Backend) -> Iterator[Part]:
    """Parts that cover a grid once; each is halved along its longest axis until it fits, down to one voxel.

    Parameters
    ----------
    transform : Affine, Displacement or Chain
        World points (RAS+ mm) of `grid` to world points of the image.
    grid : Grid
        Of the output.
    need : Need
        Of the image.
    room : float
        Bytes that a part may take.
    reach : int
        Voxels around what is read that are read as well.
    backend : Backend
        What composes transforms.
    """
    waiting: list[tuple[Shape, Shape]] = [((0, 0, 0), grid.shape)]
    while waiting:
        start, stop = waiting.pop()
        shape = _shape(start, stop)
        if math.prod(shape) > 1 and (math.prod(shape) > PART or need.part(shape, 0) > room):
            waiting += _halves(start, stop)
            continue
        mapping = pull_back(transform, grid.cropped(start, stop), backend)
        part = Part(_slices(start, stop), mapping, *_box(need.image.grid, mapping, reach))
        if math.prod(shape) > 1 and need.part(shape, math.prod(_shape(part.start, part.stop))) > room:
            waiting += _halves(start, stop)
        else:
            yield part
        del mapping, part  # before the next ones are made


def _halves(start: Shape, stop: Shape) -> list[tuple[Shape, Shape]]:
    """The two halves of a part along its longest axis, the first one last."""
    shape = _shape(start, stop)
    axis = shape.index(max(shape))
    middle = start[axis] + shape[axis] // 2
    below, above = list(stop), list(start)
    below[axis] = above[axis] = middle
    return [((above[0], above[1], above[2]), stop), (start, (below[0], below[1], below[2]))]


def _shape(start: Shape, stop: Shape) -> Shape:
    return stop[0] - start[0], stop[1] - start[1], stop[2] - start[2]


def _slices(start: Shape, stop: Shape) -> Place:
    return slice(start[0], stop[0]), slice(start[1], stop[1]), slice(start[2], stop[2])


def _box(grid: Grid, mapping: Pullback, reach: int) -> tuple[Shape, Shape]:
    """First and one-past-last voxel of an image that a part may read; one voxel at its face where it reads none."""
    low, high = _bounds(np.array(mapping.matrix_to(grid)), mapping)
    size = np.array(grid.shape)
    start = np.clip(np.floor(low) - reach, 0, size - 1).astype(int)
    stop = np.clip(np.ceil(high) + reach + 1, start + 1, size).astype(int)
    return (int(start[0]), int(start[1]), int(start[2])), (int(stop[0]), int(stop[1]), int(stop[2]))


def _bounds(matrix: Matrix, mapping: Pullback) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Least and largest voxel coordinates (3,) of an image that a part may read; NaN, which reads none, is left out."""
    corners = np.array(np.meshgrid(*((0, n - 1) for n in mapping.grid.shape), indexing="ij")).reshape(3, -1).T
    places = apply_affine(matrix, corners)
    low, high = places.min(axis=0), places.max(axis=0)
    if mapping.field is not None:
        ends = np.array([[np.fmin.reduce(one, axis=None), np.fmax.reduce(one, axis=None)] for one in mapping.field])
        moved = matrix[:3, :3, None] * np.nan_to_num(ends.astype(float))
        low, high = low + moved.min(axis=2).sum(axis=1), high + moved.max(axis=2).sum(axis=1)
    return low, high
