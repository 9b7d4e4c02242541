"""Slope and intercept of a header applied to the stored values, without merging labels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.errors import InputError

_WHOLE = ("int32", "int64", "uint64")
"""Types of whole numbers that are tried after the stored one, narrowest first."""

_SLOPE_ERROR = 2.0**-24
"""Relative error of a slope in a NIfTI-1 header: 0.1 is stored as 0.1 (1 + 1.5e-8)."""

_CLEAR = 0.01
"""Distance from a whole number below which rounding of the slope explains it beyond doubt."""


Scale = tuple[float | None, float | None]
"""Slope and intercept of a header, None where it has none."""


def apply_scaling(stored: NDArray[Any], scale: Scale, name: str) -> NDArray[np.generic]:
    """Values ``slope * stored + inter`` in native byte order and C order, equal only where the stored ones are.

    Parameters
    ----------
    stored : array
        As stored in the file.
    scale : (slope, inter)
        Of the header; None, or 1 and 0, leave the values and their type as they are.
    name : str
        Of the file.

    Returns
    -------
    array
        Whole numbers, such as labels, in a type of whole numbers and exact; others computed in double precision and
        rounded once to float32, or float64 where float32 would merge different values.

    Raises
    ------
    InputError
        When float64 would merge different values too.
    """
    slope, inter = scale[0], float(scale[1] or 0)
    if slope is None or (slope, inter) == (1, 0) or stored.dtype.kind not in "biuf":
        return stored.astype(stored.dtype.newbyteorder("="), order="C")
    slope = float(slope)
    whole = _whole_type(stored, slope, inter)
    if whole is not None and stored.dtype.kind in "biu" and slope.is_integer() and inter.is_integer():
        return _multiply_exactly(stored, int(slope), int(inter), whole)
    made = np.empty(stored.shape, _fraction_type(stored, slope, inter, name) if whole is None else whole)
    for k, values in enumerate(_volumes(stored, slope, inter)):
        made[..., k] = values if whole is None else np.rint(values)
    return made


def restore_integers(values: NDArray[Any]) -> NDArray[np.generic]:
    """Values that a library has scaled already: integers where all values are whole, else float32."""
    whole = _whole_type(values, 1.0, 0.0) if values.dtype.kind == "f" else None
    return values.astype(np.float32) if whole is None else np.rint(values).astype(whole)


def _volumes(stored: NDArray[Any], slope: float, inter: float) -> Iterator[NDArray[np.float64]]:
    """Scaled values along the last axis, one piece at a time, since large files would not fit in memory."""
    for k in range(stored.shape[-1]):
        yield stored[..., k] * np.float64(slope) + np.float64(inter)


def _whole_type(stored: NDArray[Any], slope: float, inter: float) -> np.dtype[Any] | None:
    """The narrowest type that holds all scaled values when they are whole numbers, else None."""
    if stored.dtype.kind in "biu" and slope.is_integer() and inter.is_integer():
        ends = [int(slope) * int(end) + int(inter) for end in (stored.min(), stored.max())]
    else:
        found = _whole_ends(stored, slope, inter)
        if found is None:
            return None
        ends = found
    own = [stored.dtype.newbyteorder("=")] if stored.dtype.kind in "iu" else []
    for kind in (*own, *map(np.dtype, _WHOLE)):
        limits = np.iinfo(kind)
        if limits.min <= min(ends) and max(ends) <= limits.max:
            return np.dtype(kind)
    return None


def _whole_ends(stored: NDArray[Any], slope: float, inter: float) -> list[int] | None:
    """The least and the greatest value when all are whole numbers, but for the rounding of the slope."""
    ends: list[int] = []
    rest = 0.0 if inter.is_integer() else abs(inter) * _SLOPE_ERROR
    for values in _volumes(stored, slope, inter):
        near = np.rint(values)
        allowed = np.minimum(np.abs(values - inter) * _SLOPE_ERROR + rest, _CLEAR)
        if not np.all(np.abs(values - near) <= allowed) or np.abs(near).max() > 2.0**53:  # NaN is not whole either
            return None
        ends += [int(near.min()), int(near.max())]
    return ends


def _multiply_exactly(stored: NDArray[Any], slope: int, inter: int, whole: np.dtype[Any]) -> NDArray[np.generic]:
    """Whole numbers without rounding: modulo 2^64, which is exact since the results fit `whole`."""
    made = np.empty(stored.shape, whole)
    factor, start = np.uint64(slope % 2**64), np.uint64(inter % 2**64)
    wide = np.int64 if stored.dtype.kind == "i" else np.uint64
    for k in range(stored.shape[-1]):
        piece = np.s_[..., k : k + 1]
        made[piece] = (stored[piece].astype(wide).astype(np.uint64) * factor + start).astype(whole)
    return made


def _fraction_type(stored: NDArray[Any], slope: float, inter: float, name: str) -> type[Any]:
    """The narrowest floating-point type in which different stored values stay different."""
    if stored.dtype.kind == "f":
        return np.float64 if stored.dtype.itemsize > 4 or inter else np.float32
    ends = [slope * float(end) + inter for end in (stored.min(), stored.max())]
    largest = max(map(abs, ends))
    for kind in (np.float32, np.float64):
        if np.isfinite(kind(largest)) and np.spacing(kind(largest)) <= abs(slope):
            return kind
    raise InputError(
        f"{name} is scaled by its header (scl_slope {slope:g}, scl_inter {inter:g}) to values of up to {largest:g}, "
        "which 64 bits cannot hold apart; store it without scaling"
    )
