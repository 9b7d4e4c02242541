"""Element-wise steps of a registration, which CuPy compiles for each combination of function, types and layout.

They are the arithmetic that `warpline.images`, `warpline.metrics` and `warpline.registration` do with arrays of the
backend. Each is called on a few voxels before a registration starts, see `warpline.backends.cuda_compile`; one that is
missing here is compiled where it is first called.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import setitem
from typing import NamedTuple

import numpy as np

from warpline.backends.arrays import Array


class Samples(NamedTuple):
    """Small arrays of the kinds that the steps meet.

    Attributes
    ----------
    volume, mask, labels, shorts : (2, 3, 4) float32, bool, uint8, int16
        As images and what is where in them.
    volumes, masks : (2, 2, 3, 4) float32, bool
        As fields, and several images.
    number, double, flag : 0-d float32, float64, bool
        Results that stay on the device.
    values, doubles, integers : (5,) float32, float64, int64
        One number per sample point.
    points, table : (5, 3) float32, float64
        Sample points, and rows of results.
    """

    volume: Array
    mask: Array
    labels: Array
    shorts: Array
    volumes: Array
    masks: Array
    number: Array
    double: Array
    flag: Array
    values: Array
    doubles: Array
    integers: Array
    points: Array
    table: Array


SHAPES: dict[str, tuple[tuple[int, ...], type[np.generic]]] = {
    "volume": ((2, 3, 4), np.float32),
    "mask": ((2, 3, 4), np.bool_),
    "labels": ((2, 3, 4), np.uint8),
    "shorts": ((2, 3, 4), np.int16),
    "volumes": ((2, 2, 3, 4), np.float32),
    "masks": ((2, 2, 3, 4), np.bool_),
    "number": ((), np.float32),
    "double": ((), np.float64),
    "flag": ((), np.bool_),
    "values": ((5,), np.float32),
    "doubles": ((5,), np.float64),
    "integers": ((5,), np.int64),
    "points": ((5, 3), np.float32),
    "table": ((5, 3), np.float64),
}
"""Shape and type of each of `Samples`."""

Step = Callable[[Samples], object]

_INTENSITIES: tuple[Step, ...] = (
    lambda s: s.shorts.astype(np.float32),
    lambda s: s.labels.astype(np.float32),
    lambda s: s.volume - np.float32(1),
    lambda s: s.volume / np.float32(1),
    lambda s: s.volume.clip(-1, 1),
    lambda s: s.volume != 0,
    lambda s: s.mask.astype(np.uint8),
    lambda s: s.mask.astype(np.float32),
    lambda s: s.labels == 0,
    lambda s: s.labels != 0,
    lambda s: s.labels > 0,
    lambda s: s.volume[1:, 1:, 1:].copy(),
)
_RANGES: tuple[Step, ...] = (
    lambda s: s.volume.min(),
    lambda s: s.volume.max(),
    lambda s: s.values.min(),
    lambda s: s.values.max(),
    lambda s: s.number.astype(np.float64),
    lambda s: s.double.astype(np.float32),
    lambda s: s.double + 0.5 * (s.double - s.double),
    lambda s: s.double / s.double,
    lambda s: 1 / np.maximum(s.double, 0.5),
    lambda s: np.minimum(0.5 * s.double, 0.5),
    lambda s: (s.double > 0) & (s.double <= s.double),
    lambda s: np.where(s.flag, s.mask, s.mask),
    lambda s: np.where(s.mask, s.volume, np.inf),
    lambda s: (s.volume > s.number) & s.mask,
    lambda s: s.mask.sum(dtype=np.float64),
)
_POINTS: tuple[Step, ...] = (
    lambda s: np.logical_or(s.mask[1:], s.mask[:-1], out=s.mask[1:]),
    lambda s: np.logical_or(s.mask[:, 1:], s.mask[:, :-1], out=s.mask[:, 1:]),
    lambda s: np.flatnonzero(s.mask),
    lambda s: np.arange(5, dtype=np.float64, like=s.doubles),
    lambda s: s.integers[(s.doubles * 0.5).astype(np.int64)],
    lambda s: setitem(s.integers, slice(-1, None), 1),
    lambda s: s.doubles + 0.5,
    lambda s: s.doubles - np.floor(s.doubles),
    lambda s: s.doubles - 0.5,
    lambda s: s.doubles + s.integers // 2 % 2,
    lambda s: s.doubles.clip(0, 1),
    lambda s: setitem(s.points, (slice(None), 1), s.doubles),
    lambda s: (s.volume - s.number) * s.number + 2,
)
_SIMILARITY: tuple[Step, ...] = (
    lambda s: s.volume * s.volume,
    lambda s: s.volume / s.volume,
    lambda s: s.volume - s.volume,
    lambda s: s.volume * s.mask,
    lambda s: s.mask * s.volume,
    lambda s: s.volume * np.float32(1),
    lambda s: s.volume + s.number,
    lambda s: np.maximum(s.volume, 0),
    lambda s: np.maximum(s.volume, s.number),
    lambda s: np.sqrt(s.volume),
    lambda s: np.absolute(s.volume),
    lambda s: s.volume > 0.5,
    lambda s: s.masks & s.mask,
    lambda s: s.volume * s.volumes,
    lambda s: s.volume.sum(dtype=np.float64),
    lambda s: np.stack([s.double, s.double]),
)

ALWAYS: tuple[Step, ...] = (*_INTENSITIES, *_RANGES, *_POINTS, *_SIMILARITY)
"""Steps of every registration."""

DEFORMABLE: tuple[Step, ...] = (
    lambda s: -s.volumes,
    lambda s: setitem(s.volumes, ..., 0),
    lambda s: s.volumes * s.volume,
    lambda s: s.volumes * s.volumes[:1, :, :1, :1],
    lambda s: s.volumes * s.volumes[:1, :1, :, :1],
    lambda s: s.volumes * s.volumes[:1, :1, :1, :],
    lambda s: np.minimum(s.volume, s.volume),
    lambda s: s.volume <= 0,
    lambda s: s.mask & s.mask,
    lambda s: s.mask.any(),
    lambda s: s.labels[1:, 1:, 1:].copy(),
    lambda s: setitem(s.table, 1, s.number),
)
"""Steps of the deformable stage, and of what follows it."""
