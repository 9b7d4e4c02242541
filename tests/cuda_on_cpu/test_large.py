"""Volumes larger than any GPU holds: offsets beyond 2^31, in the last blocks of launches on sparse memory."""

from __future__ import annotations

import mmap
import sys
from math import prod

import numpy as np
import pytest

from cuda_on_cpu import emulated
from warpline.backends import cuda_filters
from warpline.backends.cuda_backend import CudaBackend
from warpline.backends.cuda_launch import as_struct
from warpline.backends.descriptors import CHANNELS

NO_RESERVE = 0x4000
"""MAP_NORESERVE of Linux: more may be asked for than there is."""
SHAPE = (1024, 1024, 1024)
"""A field has 3.2e9 elements, volumes of both sides 2.1e9: numbers of 32 bits count neither."""
CORNER = (6, 40, 64)
"""The last voxels of such a volume, more of them than the looks of a kernel span."""
SEEN = {
    **dict.fromkeys(("local_cc", "mean_squares", "forces of descriptors"), (2, 8, 32)),
    "spline along i": (1, 1, 32),
}
"""Of these, those that the last block writes; one plane of 8 x 32 where nothing else is said."""

pytestmark = [
    pytest.mark.skipif(not emulated.available(), reason=f"no C++ compiler called {emulated.COMPILER}"),
    pytest.mark.skipif(sys.platform != "linux", reason="memory that is not there until it is written to"),
]


LONG = (32000, 128, 256)
"""As many voxels, in smaller planes."""
BLOCKS = {"forces of descriptors": 1 + 16 * 8}
"""Blocks that run, where it is more than the last: those of the outer plane of LONG, without forces, and another."""


class Far(emulated.EmulatedRuntime):
    """Only the last blocks of each launch run; marches are cut short."""

    processors = 2**20

    def __init__(self, blocks):
        super().__init__(descending=True, most_blocks=blocks)


def sparse(*shape):
    """Zeros that take memory only where they are written."""
    memory = mmap.mmap(-1, 4 * prod(shape), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | NO_RESERVE)
    return np.frombuffer(memory, np.float32).reshape(shape)


def far(corner):
    """An array with volumes of SHAPE whose last voxels are those of `corner`."""
    whole = sparse(*corner.shape[:-3], *SHAPE)
    whole[(..., *(slice(-n, None) for n in corner.shape[-3:]))] = corner
    return whole


def empty(backend, *axes, shape=SHAPE):
    return sparse(*axes, *shape) if shape == SHAPE else backend.zeros((*axes, *shape))


RANDOM = np.random.default_rng(3)
PAIR = RANDOM.random((2, *CORNER), np.float32)
FIELDS = RANDOM.normal(size=(2, 3, *CORNER)).astype(np.float32).clip(-1.5, 1.5)


def warp(b, up, shape):
    return b.sample(up(PAIR), field=up(FIELDS), out=empty(b, 2, shape=shape))


def smooth(sigma):
    def call(b, up, shape):
        out = empty(b, 2, 3, shape=shape)
        b.smooth(up(FIELDS), sigma, out=out)
        return out

    return call


def smooth_by_axis(b, up, shape):
    out = empty(b, shape=shape)
    b.smooth(up(PAIR[1]), (0.0, 0.0, 2.0), out=out)
    return out


def compose(b, up, shape):
    return b.compose(up(FIELDS), up(0.5 * FIELDS), out=empty(b, 2, 3, shape=shape))


def local_cc(b, up, shape):
    pair, out, value = up(PAIR), empty(b, 2, 3, shape=shape), b.zeros((1,), np.float64)
    given = {"out_fixed": out[0], "out_moving": out[1], "value": value}
    b.local_cc(pair[0], pair[1], 2, contrast_floor=1e-6, mask=None, **given)
    return out


def mean_squares(b, up, shape):
    pair, out, value = up(PAIR), empty(b, 2, 3, shape=shape), b.zeros((1,), np.float64)
    b.squared_difference(pair[0], pair[1], mask=None, out_fixed=out[0], out_moving=out[1], value=value)
    return out


def invert(b, up, shape):
    field = up(0.1 * FIELDS[1])
    out = empty(b, 3, shape=shape)
    b.invert(field, start=field, tolerance=1e-3, iterations=9, out=out)
    return out


def jacobian(b, up, shape):
    return b.jacobian(up(FIELDS[1]), out=empty(b, shape=shape))


def spline(axis):
    """The filter along one axis, of a corner whose pieces are cut as those of the whole and whose beginning is 0."""

    def call(b, up, shape):
        corner = np.zeros((64, 64, 224), np.float32)
        corner[-6:, -40:, -64:] = PAIR[0]
        out = empty(b, shape=shape if shape == SHAPE else corner.shape)
        return cuda_filters._in_pieces(b._work, "cubic_prefilter", up(corner), axis, cuda_filters.SPLINE_RUN, out=out)

    return call


def cubic(b, up, shape):
    """Of coefficients as they are: the launch that `Backend.sample` ends with."""
    out, given = empty(b, shape=shape), {"field": None, "matrix": as_struct(None), "outside": 0.0}
    b._work.over_voxels("sample", shape, (("ORDER", 3), ("VALUE", "float")), volume=up(PAIR[1]), out=out, **given)
    return out


def nearest(b, up, shape):
    return b.sample(up(PAIR[1]), np.eye(4), shape=shape, order=0, out=empty(b, shape=shape))


def of_field(b, up, shape):
    return b.sample_field(up(FIELDS[1]), np.eye(4), shape, out=empty(b, 3, shape=shape))


WORDS = RANDOM.integers(0, 128, (2, *CORNER, CHANNELS), np.uint8)
"""Descriptors: 16 bytes a voxel, the offsets of which are four times those of a volume."""


def descriptors_on(b, shape):
    """The descriptors of both sides, at the end of volumes of a shape, and memory for others."""
    if shape == CORNER:
        return b.upload(WORDS), b.zeros(WORDS.shape, np.uint8)
    given, out = (sparse(2, *shape, CHANNELS // 4).view(np.uint8) for _ in range(2))
    given[(slice(None), *(slice(-n, None) for n in CORNER))] = WORDS
    return given, out


def describe(b, up, shape):
    _, out = descriptors_on(b, shape)
    return np.moveaxis(b.descriptors.describe(up(PAIR[1]), floor=0.01, out=out[1]), -1, 0)


def warp_descriptors(b, up, shape):
    given, out = descriptors_on(b, shape)
    return np.moveaxis(b.descriptors.warp(given, up(FIELDS), out=out), -1, 1)


def descriptor_forces(b, up, shape):
    given, _ = descriptors_on(b, LONG if shape == SHAPE else shape)
    out, value = sparse(2, 3, *given.shape[1:4]), b.zeros((1,), np.float64)
    b.descriptors.forces(given[0], given[1], mask=None, out_fixed=out[0], out_moving=out[1], value=value)
    return out


CALLS = {
    "warp": warp,
    "smooth, update": smooth((1.5, 1.5, 1.5)),
    "smooth, total": smooth((0.4, 0.4, 0.4)),
    "smooth by axis": smooth_by_axis,
    "compose": compose,
    "local_cc": local_cc,
    "mean_squares": mean_squares,
    "invert": invert,
    "jacobian": jacobian,
    "spline along i": spline(0),
    "spline along j": spline(1),
    "spline along k": spline(2),
    "cubic": cubic,
    "nearest": nearest,
    "of a field": of_field,
    "describe": describe,
    "warp of descriptors": warp_descriptors,
    "forces of descriptors": descriptor_forces,
}


@pytest.mark.parametrize("name", CALLS)
def test_last_voxels_of_a_huge_volume_are_those_of_a_small_one(name):
    near = CudaBackend(emulated.EmulatedRuntime())
    expected = CALLS[name](near, near.upload, CORNER)
    found = CALLS[name](CudaBackend(Far(BLOCKS.get(name, 1))), far, SHAPE)
    if expected.shape[0] == 2:  # both sides: a block writes one
        expected, found = expected[1], found[1]
    last = (..., *(slice(-n, None) for n in SEEN.get(name, (1, 8, 32))))
    assert np.count_nonzero(expected[last])
    np.testing.assert_array_equal(found[last], expected[last])
