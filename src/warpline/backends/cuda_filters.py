"""The GPU backend's filters along the axes of volumes and fields."""

from __future__ import annotations

import math
from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.backends.arrays import Array
from warpline.backends.cuda_workspace import BLOCK, LEAST_MARCH, VOXELS, Workspace, block_count
from warpline.backends.gaussian import downsampling_offset, gaussian

Sigma = tuple[float, float, float]
Radii = tuple[int, int, int]

WIDEST_FUSED = 5
"""Radius of a Gaussian up to which smooth.cu does all axes in one pass."""
FEW = 6_000_000
"""Elements up to which a wide Gaussian takes two launches (the L2 holds the planes between them) instead of one march,
which would be short and mostly halo. Bits do not depend on it; 0 always marches."""
SHORT = 2
"""Radius along i up to which marches of smooth.cu may be short."""
SPLINE_RUN, FILTER_RUN, SMOOTH_RUN = 20, 12, 4
"""Voxels of a piece of a line; kernels/cubic_prefilter.cu, filter_axis.cu and smooth_along_i.cu."""
DOUBLED_PLANES = 8
"""Planes along which a thread of add_doubled.cu marches; even."""


@lru_cache(64)
def smoothing_taps(sigma: Sigma) -> tuple[NDArray[Any], Radii]:
    """The weights of Gaussians along each axis, as the struct that smooth.cu takes by value, and their radii."""
    taps = [gaussian(s) for s in sigma]
    kind = np.dtype([(name, np.float32, (len(tap),)) for name, tap in zip("ijk", taps, strict=True)])
    return np.array([tuple(taps)], dtype=kind), (len(taps[0]) - 1, len(taps[1]) - 1, len(taps[2]) - 1)


def smooth(work: Workspace, array: Array, sigma: Sigma, *, out: Array, out_norm: Array | None) -> Array:
    """See `Backend.smooth`; fused kernels compute norms also where `out_norm` is None."""
    shape = array.shape[-3:]
    stack = work.floats(array).reshape(-1, 1 if array.ndim == 3 else array.shape[-4], *shape)
    si, sj, sk = (float(s) if n > 1 else 0.0 for s, n in zip(sigma, shape, strict=True))
    radii, many, target = smoothing_taps((si, sj, sk))[1], len(stack), out.reshape(stack.shape)
    if max(radii) > WIDEST_FUSED:
        for n, (one, to) in enumerate(zip(stack, target, strict=True)):
            _smooth_by_axis(work, one, sigma, radii, out=to, norm=None if out_norm is None else out_norm[n : n + 1])
        return out
    ends = {"norm": work.empty((many,)) if out_norm is None else out_norm, "arrived": work.arrived()}
    ends |= {"largest_squares": work.scratch(("largest squares", many), (many,), np.float32)}
    if radii[0] <= SHORT or stack.size > FEW:
        _march(work, stack, (si, sj, sk), out=target, **ends)
        return out
    planes = stack
    if sj or sk:
        planes = work.empty(stack.shape)
        _march(work, stack, (0.0, sj, sk), finds_norm=False, out=planes, **ends)
    _smooth_along_i(work, planes, si, out=target, **ends)
    return out


def _march(work: Workspace, stack: Array, sigma: Sigma, *, finds_norm: bool = True, **given: Array) -> None:
    """All axes of which sigma is not 0 in one pass; radii are at most `WIDEST_FUSED`."""
    taps, radii = smoothing_taps(sigma)
    many, components, *shape = stack.shape
    resident, least = (4, 1) if radii[0] == 0 else (3 if max(radii) == 1 else 2, LEAST_MARCH)
    grid, length = work.marching_grid(tuple(shape), 16, resident, many, least=least)
    defines = (("COMPONENTS", components), *zip(("RI", "RJ", "RK"), radii, strict=True), ("NORM", int(finds_norm)))
    work.launch("smooth", grid, defines, VOXELS, array=stack, taps=taps, length=length, **given)


def _smooth_along_i(work: Workspace, stack: Array, sigma: float, *, out: Array, **given: Array) -> None:
    taps, (radius, _, _) = smoothing_taps((sigma, 0.0, 0.0))
    many, components, ni, plane = flat = (*stack.shape[:3], math.prod(stack.shape[3:]))
    pieces, defines = block_count(ni, SMOOTH_RUN), (("COMPONENTS", components), ("RI", radius))
    grid = block_count(pieces * block_count(plane, VOXELS[0]), VOXELS[1]), many, 1
    work.launch(
        "smooth_along_i", grid, defines, VOXELS, array=stack.reshape(flat), taps=taps, out=out.reshape(flat),
        pieces=pieces, **given,
    )  # fmt: skip


def _smooth_by_axis(
    work: Workspace, stack: Array, sigma: Sigma, radii: Radii, *, out: Array, norm: Array | None
) -> None:
    smoothed, axes = stack, [axis for axis, radius in enumerate(radii) if radius]
    for axis in axes:
        taps = _gaussian(work, sigma[axis])
        last = out.reshape(stack.shape) if axis == axes[-1] else None
        smoothed = _in_pieces(work, "filter_axis", smoothed, axis + 1, FILTER_RUN, out=last, taps=taps)
    if norm is not None:
        flat = out.reshape(len(stack), -1)
        blocks = min(4 * work.runtime.processors, block_count(flat.shape[1], 8 * BLOCK))
        work.launch("largest_norm", (blocks, 1, 1), array=flat, norm=norm)


def _in_pieces(
    work: Workspace, name: str, array: Array, axis: int, run: int, *, out: Array | None = None, **arguments: Any
) -> Array:
    """Launch a kernel whose threads filter pieces of `run` voxels of the lines along an axis."""
    out = work.empty(array.shape) if out is None else out
    na, n, nb = math.prod(array.shape[:axis]), array.shape[axis], math.prod(array.shape[axis + 1 :])
    warps, along_k = BLOCK // 32, int(nb == 1)
    pieces = block_count(n, run * warps if along_k else run)
    blocks = pieces * block_count(na, 32) if along_k else block_count(na * pieces * block_count(nb, 32), warps)
    work.launch(
        name, (blocks, 1, 1), (("ALONG_K", along_k),), array=array.reshape(na, n, nb), out=out.reshape(na, n, nb),
        pieces=pieces, **arguments,
    )  # fmt: skip
    return out


def downsample(work: Workspace, volume: Array, factors: Sigma, *, out: Array) -> Array:
    """See `Backend.downsample`."""
    result = work.floats(volume)
    for axis, factor in enumerate(factors, volume.ndim - 3):
        taps = _gaussian(work, 0.5 * factor if factor > 1 else 0.0)
        shape = (*out.shape[: axis + 1], *volume.shape[axis + 1 :])
        na, nb, (n, m) = math.prod(shape[:axis]), math.prod(shape[axis + 1 :]), (volume.shape[axis], shape[axis])
        target, groups = out if axis == volume.ndim - 1 else work.empty(shape), block_count(m, 4)
        work.launch(
            "downsample", (block_count(na * groups * nb, BLOCK), 1, 1),
            array=result.reshape(na, n, nb), taps=taps, out=target.reshape(na, m, nb),
            factor=factor, offset=downsampling_offset(n, m, factor), groups=groups,
        )  # fmt: skip
        result = target
    return out


def halve(work: Workspace, fields: Array, *, out: Array) -> Array:
    """See `Backend.halve`."""
    volumes, coarse = (array.reshape(-1, *array.shape[-3:]) for array in (work.floats(fields), out))
    work.over_slabs("halve", len(coarse), coarse.shape[-3:], array=volumes, out=coarse)
    return out


def add_doubled(work: Workspace, coarse: Array, weight: float, *, out: Array, out_norm: Array | None) -> Array:
    """See `Backend.add_doubled`."""
    given, target = (array.reshape(-1, 3, *array.shape[-3:]) for array in (work.floats(coarse), out))
    many = len(target)
    norm = work.empty((many,)) if out_norm is None else out_norm
    largest = work.scratch(("largest squares", many), (many,), np.float32)
    work.over_slabs(
        "add_doubled", many, target.shape[-3:], thick=DOUBLED_PLANES, coarse=given, out=target, norm=norm,
        largest_squares=largest, arrived=work.arrived(), weight=weight,
    )  # fmt: skip
    return out


def spline_coefficients(work: Workspace, volume: Array) -> Array:
    """Coefficients of the interpolating cubic B-spline, mirrored at the borders."""
    for axis, n in enumerate(volume.shape):
        if n > 1:
            volume = _in_pieces(work, "cubic_prefilter", volume, axis, SPLINE_RUN)
    return volume


def _gaussian(work: Workspace, sigma: float) -> Array:
    return work.constant(("gaussian", sigma), partial(gaussian, sigma))
