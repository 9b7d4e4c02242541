"""Descriptors on the GPU; see `warpline.backends.descriptors.DescriptorOperations`."""

from __future__ import annotations

import math

import numpy as np

from warpline.backends.arrays import Array
from warpline.backends.cuda_workspace import REALS, VOXELS, Workspace, voxel_grid
from warpline.backends.descriptors import CHANNELS


class CudaDescriptors:
    """Operations of `DescriptorOperations`, documented there.

    Parameters
    ----------
    work : Workspace
        Where they run.
    """

    def __init__(self, work: Workspace) -> None:
        self._work = work

    def describe(self, volume: Array, *, floor: float, out: Array | None = None) -> Array:
        out = self._work.empty((*volume.shape, CHANNELS), np.uint8) if out is None else out
        self._work.over_voxels(
            "self_similarity", volume.shape, volume=self._work.floats(volume), floor=floor, out=_words(out)
        )
        return out

    def warp(self, descriptors: Array, field: Array, *, out: Array) -> Array:
        arrays = {"descriptors": _words(descriptors), "field": self._work.floats(field), "out": _words(out)}
        self._work.over_slabs("warp_descriptors", len(out), out.shape[1:4], 1, **arrays)
        return out

    def forces(
        self, fixed: Array, moving: Array, *, mask: Array | None, out_fixed: Array, out_moving: Array, value: Array
    ) -> None:
        grid = voxel_grid(fixed.shape[:3])
        counted = None if mask is None else self._work.floats(mask)
        self._work.launch(
            "descriptor_forces", grid, (("VALUE", REALS[value.dtype]),), VOXELS, fixed=_words(fixed),
            moving=_words(moving), mask=counted, out_fixed=out_fixed, out_moving=out_moving, value=value,
            **self._work.partial(math.prod(grid)),
        )  # fmt: skip


def _words(descriptors: Array) -> Array:
    """The same memory as words of four bytes."""
    return descriptors.view(np.uint32)
