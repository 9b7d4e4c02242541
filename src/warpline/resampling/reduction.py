"""Images on coarser grids, every voxel made of a block of whole voxels, slab by slab."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.images import Image
from warpline.resampling.slabs import on_threads, slabs
from warpline.space.grid import Grid, Shape

BLOCK_HELD = 2**22
"""About as many voxels of an image are worked on at once by a thread: 32 MB in double precision."""

LEAST_MARKED = 0.5
"""Share of a block that a mask must mark for the coarse voxel to count, as in a pyramid."""

Block = Callable[[NDArray[Any], Shape], NDArray[Any]]
"""Reduces a slab (I, J, K) by so many voxels along each axis; blocks at its ends may be cut off."""


def reduced_grid(grid: Grid, block: Shape) -> Grid:
    """The grid whose voxels are blocks of voxels of `grid`, the last of an axis perhaps reaching beyond it.

    Parameters
    ----------
    grid : Grid
        Of an image.
    block : three int
        Voxels of it along each axis of a coarse one.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Grid
    >>> coarse = reduced_grid(Grid((5, 4, 1), np.eye(4)), (2, 2, 1))
    >>> coarse.shape, coarse.affine[:3, 3]
    ((3, 2, 1), array([0.5, 0.5, 0. ]))
    """
    zoom = np.diag([*map(float, block), 1.0])
    zoom[:3, 3] = (np.array(block) - 1) / 2
    i, j, k = (-(-n // b) for n, b in zip(grid.shape, block, strict=True))
    return Grid((i, j, k), grid.affine @ zoom, grid.flat)


def reduce_image(image: Image, block: Shape, *, threads: int | None = None) -> Image:
    """Mean of every block, so that nothing finer aliases.

    Parameters
    ----------
    image : Image
        One volume, of any type.
    block : three int
        Voxels of a block along each axis.
    threads : int, optional
        CPU threads, as in `warpline.backends.thread_count`.

    Returns
    -------
    Image
        float32, on `reduced_grid`; the image itself where a block is one voxel.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Image
    >>> reduce_image(Image.from_array(np.arange(8, dtype=np.uint8).reshape(2, 4, 1)), (2, 2, 1)).data.ravel()
    array([2.5, 4.5], dtype=float32)
    """
    return _reduced(image, block, _mean, np.dtype(np.float32), threads)


def reduce_mask(mask: Image, block: Shape, *, threads: int | None = None) -> Image:
    """Where at least half of a block is marked; where no block is, every block with a marked voxel.

    Parameters
    ----------
    mask : Image
        Not 0 where its image counts.
    block, threads
        As for `reduce_image`.

    Returns
    -------
    Image
        uint8, 0 and 1.
    """
    if max(block) == 1:
        return mask
    reduced = _reduced(mask, block, _marked, np.dtype(np.float32), threads)
    share = np.asarray(reduced.data, np.float32)
    return replace(reduced, data=(share >= min(LEAST_MARKED, share.max())).astype(np.uint8))


def reduce_labels(labels: Image, block: Shape, *, threads: int | None = None) -> Image:
    """The middle one of the sorted labels of every block: what more than half of it has, of the type of `labels`.

    Parameters
    ----------
    labels : Image
        Of whole numbers.
    block, threads
        As for `reduce_image`.
    """
    return _reduced(labels, block, _middle, labels.data.dtype.newbyteorder("="), threads)


def _reduced(image: Image, block: Shape, reduce: Block, dtype: np.dtype[Any], threads: int | None) -> Image:
    if max(block) == 1:
        return image
    grid = reduced_grid(image.grid, block)
    coarse = np.empty(grid.shape, dtype)

    def run(slab: slice) -> None:
        coarse[slab] = reduce(image.data[slab.start * block[0] : slab.stop * block[0]], block)

    on_threads(run, slabs(grid.shape, max(1, BLOCK_HELD // int(np.prod(block)))), threads)
    return Image(coarse, grid, image.name)


def _mean(slab: NDArray[Any], block: Shape) -> NDArray[Any]:
    """Mean of the voxels of every block that there are."""
    total = slab.astype(np.float64)
    for axis, size in enumerate(block):
        if size > 1:
            starts = np.arange(0, slab.shape[axis], size)
            counts = np.diff(starts, append=slab.shape[axis]).astype(np.float64)
            shape = [1, 1, 1]
            shape[axis] = -1
            total = np.add.reduceat(total, starts, axis=axis) / counts.reshape(shape)
    return total


def _marked(slab: NDArray[Any], block: Shape) -> NDArray[Any]:
    return _mean(slab != 0, block)


def _middle(slab: NDArray[Any], block: Shape) -> NDArray[Any]:
    ends = [(0, -n % b) for n, b in zip(slab.shape, block, strict=True)]
    full = np.pad(slab, ends, mode="edge")
    i, j, k = (n // b for n, b in zip(full.shape, block, strict=True))
    blocks = full.reshape(i, block[0], j, block[1], k, block[2]).transpose(0, 2, 4, 1, 3, 5).reshape(i, j, k, -1)
    middle = blocks.shape[-1] // 2
    chosen: NDArray[Any] = np.partition(blocks, middle, axis=-1)[..., middle]
    return chosen
