"""SciPy's interpolation on CPU threads: the same numbers, and exact labels of 64 bits."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as _scipy_ndimage

from warpline.backends.splines import AffineCoordinates, Coordinates, SplineOptions

ndimage: Any = _scipy_ndimage  # SciPy's stubs ask for dtypes and orders that are literals

_SLAB = 2**20
"""Most elements whose coordinates one thread holds at once."""

_REFLECTING = ("reflect", "grid-mirror", "nearest")
"""Modes whose prefilter takes the line for reflected about its ends."""

_LONG = 25
"""Elements of a line from which every version of SciPy filters it right when it is reflected: the error of those before
1.18 is the last term of a sum, whose weight ``pole^(2 n - 1)`` is below 1e-17 then. Padded lines are as long."""


def spline_coefficients(array: NDArray[Any], spline: SplineOptions, threads: int) -> NDArray[Any]:
    """See `Backend.spline_coefficients`; complex arrays too."""
    if spline.pad and spline.mode == "nearest":
        array = np.pad(array, spline.pad, mode="edge")
    elif spline.pad:
        array = np.pad(array, spline.pad, constant_values=spline.cval)
    coefficients = np.empty(array.shape, np.complex128 if np.iscomplexobj(array) else np.float64)
    for axis in range(array.ndim):
        given = array if axis == 0 else coefficients

        def run(slab: slice, axis: int = axis, given: NDArray[Any] = given) -> None:
            part = (slice(None), slab) if axis == 0 and array.ndim > 1 else (slab,)
            _filter(given[part], spline, axis, coefficients[part])

        length = array.shape[1] if axis == 0 and array.ndim > 1 else array.shape[0]
        _in_slabs(run, length, threads if array.ndim > 1 else 1)
    return coefficients


def _filter(lines: NDArray[Any], spline: SplineOptions, axis: int, out: NDArray[Any]) -> None:
    if _is_filtered_wrongly(lines.shape[axis], spline):
        out[...] = _filtered_periodically(lines, spline.order, axis)
    else:
        ndimage.spline_filter1d(lines, spline.order, axis, output=out, mode=spline.mode)


def _filtered_periodically(lines: NDArray[Any], order: int, axis: int) -> NDArray[Any]:
    """Coefficients of reflected lines as the first half of a period: each line, then the same line in reverse."""
    period = np.concatenate([lines, np.flip(lines, axis)], axis)
    output = np.complex128 if np.iscomplexobj(lines) else np.float64
    filtered: NDArray[Any] = ndimage.spline_filter1d(period, order, axis, output=output, mode="grid-wrap")
    return np.split(filtered, 2, axis)[0]


def is_filtered_wrongly(shape: tuple[int, ...], spline: SplineOptions) -> bool:
    """Whether the installed SciPy gives an array of this shape wrong coefficients, before it is padded."""
    return spline.order > 1 and any(_is_filtered_wrongly(n + 2 * spline.pad, spline) for n in shape)


def _is_filtered_wrongly(n: int, spline: SplineOptions) -> bool:
    return 1 < n < _LONG and spline.mode in _REFLECTING and not _reflects_exactly()


@cache
def _reflects_exactly() -> bool:
    """Whether the installed SciPy filters short reflected lines right, as it does from version 1.18."""
    line = np.array([1.0, 0.0])
    found = ndimage.spline_filter1d(line, 5, mode="reflect")
    return bool(np.allclose(found, _filtered_periodically(line, 5, 0), rtol=0, atol=1e-9))


def interpolate(
    array: NDArray[Any], coordinates: Coordinates, spline: SplineOptions, threads: int, out: NDArray[Any]
) -> NDArray[Any]:
    """See `Backend.interpolate`; complex arrays too, and any dtypes and strides that SciPy takes."""
    if spline.order == 0 and array.dtype.name in ("int64", "uint64") and out.dtype.name == array.dtype.name:
        return _exactly(array, coordinates, spline, threads, out)
    axis = 0 if isinstance(coordinates, AffineCoordinates) else int(np.argmax(out.shape))
    by_slab = coordinates if isinstance(coordinates, AffineCoordinates) else np.moveaxis(coordinates, axis + 1, 1)
    target = np.moveaxis(out, axis, 0)

    def run(slab: slice) -> None:
        points = by_slab.slab(slab).points() if isinstance(by_slab, AffineCoordinates) else by_slab[:, slab]
        if spline.pad:
            points = points + np.float64(spline.pad)
        ndimage.map_coordinates(array, points, target[slab], spline.order, spline.mode, spline.cval, prefilter=False)

    _in_slabs(run, len(target), threads, math.ceil(out.size / _SLAB))
    return out


def _exactly(
    array: NDArray[Any], coordinates: Coordinates, spline: SplineOptions, threads: int, out: NDArray[Any]
) -> NDArray[Any]:
    """Nearest elements of 64 bits as two halves of 32, which doubles hold."""
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    beyond = saturated(spline.cval, native.dtype)
    halves = []
    for shift in (0, 32):
        part, value = ((whole.view(np.uint64) >> np.uint64(shift)) & np.uint64(2**32 - 1) for whole in (native, beyond))
        half = np.empty(out.shape, np.uint32)
        halves.append(
            interpolate(part.astype(np.uint32), coordinates, replace(spline, cval=float(value[0])), threads, half)
        )
    out[...] = (halves[0] | halves[1].astype(np.uint64) << np.uint64(32)).view(native.dtype)
    return out


def saturated(value: float, dtype: np.dtype[Any]) -> NDArray[Any]:
    """One number as SciPy stores it in a real dtype: rounded half away from zero and clamped; (1,)."""
    stored: NDArray[Any] = ndimage.map_coordinates(np.zeros(1), [[-9.0]], dtype, order=0, mode="constant", cval=value)
    return stored


def _in_slabs(run: Callable[[slice], None], length: int, threads: int, pieces: int = 1) -> None:
    edges = np.linspace(0, length, min(length, max(pieces, threads)) + 1).astype(int).tolist()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(run, map(slice, edges[:-1], edges[1:])))
