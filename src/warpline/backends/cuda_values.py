"""Steps on single values on the GPU: grey values through a curve, weighted sums."""

from __future__ import annotations

from warpline.backends.arrays import Array
from warpline.backends.cuda_launch import Size
from warpline.backends.cuda_workspace import BLOCK, Workspace, block_count

MOST_BLOCKS = 4096
"""Most blocks of a grid-stride loop; more are not resident at once on any GPU."""


def map_values(work: Workspace, volume: Array, curve: Array, span: tuple[float, float], *, out: Array) -> None:
    """See `Backend.map_values`."""
    low, high = span
    work.launch(
        "map_values", _grid(volume), volume=work.floats(volume).ravel(), curve=work.floats(curve), out=out.ravel(),
        low=low, scale=(len(curve) - 1) / (high - low),
    )  # fmt: skip


def add_weighted(work: Workspace, array: Array, weight: Array, *, out: Array, start: bool) -> None:
    """See `Backend.add_weighted`."""
    given = {"array": work.floats(array).ravel(), "weight": work.floats(weight), "out": out.ravel()}
    work.launch("add_weighted", _grid(array), **given, start=int(start))


def _grid(array: Array) -> Size:
    return max(1, min(MOST_BLOCKS, block_count(array.size, BLOCK))), 1, 1
