"""The GPU backend's interpolation by the rules of `scipy.ndimage`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.backends.arrays import Array
from warpline.backends.cuda_launch import MOST_BLOCKS, Size
from warpline.backends.cuda_workspace import BLOCK, VOXELS, Workspace, block_count
from warpline.backends.scipy_splines import saturated
from warpline.backends.splines import AffineCoordinates, Coordinates, SplineOptions
from warpline.errors import DeviceError

VALUES = {
    "bool": "unsigned char", "int8": "signed char", "uint8": "unsigned char", "int16": "short",
    "uint16": "unsigned short", "int32": "int", "uint32": "unsigned int", "int64": "long long",
    "uint64": "unsigned long long", "float32": "float", "float64": "double",
}  # fmt: skip
"""Dtype to its type in kernels, in the order of `Type` in kernels/convert.cuh."""
SAME_TYPE = len(VALUES)
MODES = {
    "constant": 0, "grid-constant": 1, "nearest": 2, "reflect": 3, "grid-mirror": 3, "mirror": 4, "wrap": 5,
    "grid-wrap": 6,
}  # fmt: skip
"""SciPy's modes as kernels/borders.cuh numbers them."""
MOST_AXES = 8
LONGEST = 10**9
"""Elements along an axis that kernels can index."""
LINES, SPAN = 16, 255
WARMUPS = {2: 24, 3: 32, 4: 52, 5: 64}
"""Lines and elements of a block of kernels/spline_prefilter.cu, and the halo in which the filter warms up."""


def spline_coefficients(work: Workspace, array: Array, spline: SplineOptions, *, first_axis: int = 0) -> Array:
    """See `Backend.spline_coefficients`; axes before the first one count arrays that are not padded."""
    array = work.contiguous(array)
    _check(array)
    if spline.pad:
        array = _padded(work, array, spline)
    if array.size == 0 or max(array.shape[first_axis:], default=1) == 1:
        return array.astype(np.float64)
    run_at_most, mode = SPAN - 2 * WARMUPS[spline.order], _continued(spline.mode)
    for axis, n in enumerate(array.shape):
        if n == 1 or axis < first_axis:
            continue
        pieces = block_count(n, run_at_most)
        na, nb = math.prod(array.shape[:axis]), math.prod(array.shape[axis + 1 :])
        out = work.empty(array.shape, np.float64)
        work.launch(
            "spline_prefilter", (pieces * block_count(na * nb, LINES), 1, 1),
            (("ORDER", spline.order), ("VALUE", _value(array))), array=_values(array).reshape(na, n, nb),
            out=out.reshape(na, n, nb), pieces=pieces, run=block_count(n, pieces), mode=mode,
        )  # fmt: skip
        array = out
    return array


def interpolate(work: Workspace, array: Array, coordinates: Coordinates, spline: SplineOptions, out: Array) -> Array:
    """See `Backend.interpolate`."""
    array = work.contiguous(array)
    _check(array)
    if out.size == 0:
        return out
    if array.size == 0:
        raise DeviceError(f"an array of shape {array.shape} has nothing to interpolate")
    kind = out.dtype.name
    same = spline.order == 0 and kind == array.dtype.name
    given, axes = _coordinates(work, coordinates, array.ndim, out)
    grid, block = _grid(out.shape, isinstance(coordinates, AffineCoordinates))
    work.launch(
        "interpolate", grid, (("NDIM", array.ndim), *axes, ("ORDER", spline.order), ("VALUE", _value(array))), block,
        array=_values(array).ravel(), shape=_shape(array.shape), **given, out=out.reshape(-1).view(np.uint8),
        fill=_bits(spline.cval, out.dtype), cval=spline.cval, pad=spline.pad, n=out.size, mode=MODES[spline.mode],
        type=SAME_TYPE if same else list(VALUES).index(kind), width=out.dtype.itemsize,
    )  # fmt: skip
    return out


def _grid(shape: tuple[int, ...], is_affine: bool) -> tuple[Size, Size]:
    """Blocks and threads: rows of the last two axes of affine coordinates, else elements one after the other."""
    flat = block_count(math.prod(shape), BLOCK), 1, 1
    if not is_affine or len(shape) < 2:
        return flat, (BLOCK, 1, 1)
    rows = block_count(shape[-1], VOXELS[0]), block_count(shape[-2], VOXELS[1]), math.prod(shape[:-2])
    fits = all(n <= most for n, most in zip(rows, MOST_BLOCKS, strict=True))
    return (rows, VOXELS) if fits else (flat, (BLOCK, 1, 1))


def _coordinates(
    work: Workspace, coordinates: Coordinates, ndim: int, out: Array
) -> tuple[dict[str, Any], tuple[Any, ...]]:
    """Coordinates as arguments of the kernel, and the defines that depend on them."""
    if isinstance(coordinates, AffineCoordinates):
        if out.size >= 2**32:
            raise DeviceError(f"{out.size} elements are too many for one launch on a GPU; ask for slabs of the output")
        axes = len(coordinates.shape)
        other = () if axes == ndim else (("ODIM", axes),)
        return {"at": None, "at32": None, "affine": _affine(coordinates)}, other
    single = coordinates.dtype == np.float32
    flat = work.contiguous(coordinates, np.float32 if single else np.float64).reshape(ndim, -1)
    nowhere = AffineCoordinates(np.zeros((ndim, ndim)), np.zeros(ndim), np.zeros(ndim), (1,) * ndim)
    return {"at": None if single else flat, "at32": flat if single else None, "affine": _affine(nowhere)}, ()


def _affine(given: AffineCoordinates) -> NDArray[Any]:
    """As the struct that interpolate.cu takes by value."""
    d, axes = given.matrix.shape
    kind = np.dtype(
        [
            *(("matrix", np.float64, (d * axes,)), ("before", np.float64, (axes,)), ("after", np.float64, (d,))),
            *(("n", np.uint32, (axes,)), ("first", np.int32)),
        ],
        align=True,
    )
    return np.array([(given.matrix.ravel(), given.before, given.after, given.shape, given.first)], kind)


def _shape(shape: tuple[int, ...]) -> NDArray[Any]:
    return np.array([(shape,)], np.dtype([("n", np.int32, (len(shape),))]))


def _padded(work: Workspace, array: Array, spline: SplineOptions) -> Array:
    out = work.empty(tuple(n + 2 * spline.pad for n in array.shape), array.dtype)
    value = np.pad(np.zeros(1, array.dtype), 1, constant_values=spline.cval)[0]
    work.launch(
        "pad", (block_count(out.size, BLOCK), 1, 1), (("NDIM", array.ndim), ("VALUE", _value(array))),
        array=_values(array).ravel(), shape=_shape(array.shape), out=_values(out).ravel(), value=value.item(),
        width=spline.pad, mode=MODES[spline.mode],
    )  # fmt: skip
    return out


def _continued(mode: str) -> int:
    """The boundary mode of the prefilter."""
    return MODES[{"nearest": "reflect", "grid-mirror": "reflect", "reflect": "reflect", "grid-wrap": "grid-wrap"}.get(
        mode, "mirror"
    )]  # fmt: skip


def _bits(value: float, dtype: np.dtype[Any]) -> int:
    """The bit pattern of a number, as an integer of the same width."""
    return int(saturated(value, dtype).view(f"u{dtype.itemsize}")[0])


def _value(array: Array) -> str:
    return VALUES[array.dtype.name]


def _values(array: Array) -> Array:
    return array.view(np.uint8) if array.dtype == np.bool_ else array


def _check(array: Array) -> None:
    """Refuse arrays that the kernels cannot index.

    Raises
    ------
    DeviceError
        Naming the shape.
    """
    if array.ndim > MOST_AXES or max(array.shape, default=0) > LONGEST:
        raise DeviceError(
            f"an array of shape {array.shape} cannot be interpolated on a GPU: at most {MOST_AXES} axes of {LONGEST} "
            "elements are possible; use backend='numba'"
        )
