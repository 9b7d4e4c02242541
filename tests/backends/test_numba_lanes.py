"""Vectors as values of compiled code, against NumPy; and kernels made of them, for rows and threads of any number."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from synthetic import smooth_field, smooth_volume
from warpline.backends import numba_lanes, select
from warpline.backends.numba_lanes import LANES, VECTOR, along_row, load, pointer, store
from warpline.backends.numba_settings import EXACT, KERNEL_EXACT

f32 = np.float32
GUARD = f32(-77)
LENGTHS = (1, 2, VECTOR - 1, VECTOR, VECTOR + 1, 3 * VECTOR - 1, 3 * VECTOR)


@njit(**EXACT)
def _calculate(k, count, given):
    a, b, out, n = given
    x, y = load(a, k, count), load(b, k, count)
    store(out, k, numba_lanes.fma(x, y, -x) / y, count)
    store(out, n + k, numba_lanes.where((x > y) & (y >= x - x), x + y, x - y), count)
    store(out, 2 * n + k, numba_lanes.floor(x) * numba_lanes.splat(f32(2)), count)
    store(out, 3 * n + k, numba_lanes.where(x == y, x, numba_lanes.ramp()), count)


@njit(**KERNEL_EXACT)
def calculate(a, b, n, out):
    along_row(_calculate, n, (pointer(a), pointer(b), pointer(out), n))


@njit(**KERNEL_EXACT)
def describe(a, out):
    x, zero = load(pointer(a), 0, LANES), numba_lanes.splat(f32(0))
    out[0], out[1] = numba_lanes.least(x), numba_lanes.greatest(x)
    out[2], out[3] = numba_lanes.every(x > zero), numba_lanes.every(x >= zero)
    out[4] = numba_lanes.largest_lane(pointer(a))


@pytest.mark.parametrize("n", LENGTHS)
def test_rows_of_any_length(n):
    draw = np.random.default_rng(n)
    a, b = draw.normal(0, 3, n).astype(f32), draw.uniform(0.5, 2, n).astype(f32)
    b[::3] = a[::3] = np.abs(a[::3]) + 1
    out = np.full((5, n), GUARD)
    calculate(a, b, n, out)
    once = (a.astype(np.float64) * b - a).astype(f32)  # exact in double precision, and rounded once
    np.testing.assert_array_equal(out[0], once / b)
    np.testing.assert_array_equal(out[1], np.where((a > b) & (b >= 0), a + b, a - b))
    np.testing.assert_array_equal(out[2], 2 * np.floor(a))
    lanes = np.arange(n) if n < VECTOR else np.where(np.arange(n) < n - VECTOR, np.arange(n) % VECTOR, 0)
    last = slice(max(n - VECTOR, 0), n)
    lanes[last] = np.arange(n)[: last.stop - last.start]
    np.testing.assert_array_equal(out[3], np.where(a == b, a, lanes))
    assert (out[4] == GUARD).all()


def test_what_holds_for_all_lanes():
    numbers, out = np.arange(VECTOR, dtype=f32)[::-1].copy(), np.zeros(5)
    describe(numbers, out)
    np.testing.assert_array_equal(out, [0, VECTOR - 1, 0, 1, VECTOR - 1])
    describe(numbers - 3, out)
    np.testing.assert_array_equal(out, [-3, VECTOR - 4, 0, 0, VECTOR - 4])


@pytest.mark.parametrize(("n", "whole"), [(0, 0), (1, VECTOR), (VECTOR, VECTOR), (VECTOR + 1, 2 * VECTOR)])
def test_whole_vectors(n, whole):
    assert numba_lanes.whole_vectors(n) == whole


def results(backend, shape):
    fixed, moving, field = smooth_volume(shape, 1), smooth_volume(shape, 2), smooth_field(shape, 3, largest=2)
    update, norm, value = smooth_field(shape, 4, largest=0.5), np.zeros(1, f32), np.zeros(1)
    forces = np.empty_like(field), np.empty_like(field)
    outs = {"out_fixed": forces[0], "out_moving": forces[1], "value": value}
    backend.local_cc(fixed, moving, 2, contrast_floor=1e-5, mask=None, **outs)
    smoothed = backend.smooth(field, (1.5, 1.5, 1.5), out_norm=norm)
    composed = backend.compose(field, update, out=np.empty_like(field))
    return [*forces, value, smoothed, norm, composed, backend.sample(moving, field=field)]


@pytest.mark.parametrize("shape", [(19, 17, 30), (40, 9, 16), (11, 30, 47)])
def test_the_same_bits_on_any_number_of_threads(shape):
    one, *others = (results(select("numba", threads), shape) for threads in (1, 2, 5))
    for other in others:
        for expected, found in zip(one, other, strict=True):
            np.testing.assert_array_equal(found, expected)


def test_a_field_that_is_not_finite_shows_the_outside():
    volume, field = smooth_volume((5, 6, 40), 1), np.zeros((3, 5, 6, 40), f32)
    field[0, 2, 3, 7], field[1, 2, 3, 20], field[2, 1, 1, 33] = np.nan, np.inf, -np.inf
    found = select("numba", 1).sample(volume, field=field, outside=-5.0)
    lost = ~np.isfinite(field).all(axis=0)
    np.testing.assert_array_equal(found, np.where(lost, f32(-5), volume))
