"""Steps on single values of every backend: grey values through a curve, weighted sums."""

from __future__ import annotations

import numpy as np
import pytest

from backends.rounding import assert_rounded
from synthetic import smooth_volume

SPAN = (0.1, 0.8)
"""Narrower than the range of the images, so that values lie beyond either end."""


def mapped(backend, volume, curve, span=SPAN):
    out = backend.upload(np.full(volume.shape, np.nan, np.float32))
    assert backend.map_values(backend.upload(volume), backend.upload(curve), span, out=out) is out
    return backend.download(out)


def drawn_curve(points, seed=0):
    return np.random.default_rng(seed).normal(size=points).astype(np.float32)


def assert_mapped(found, volume, curve, span=SPAN):
    """A place on the curve is rounded, which counts as often as the curve is steep."""
    expected = np.interp(np.float64(volume), np.linspace(*span, len(curve)), curve)
    steepest = np.abs(np.diff(curve)).max() * (len(curve) - 1)
    assert found.dtype == np.float32
    assert_rounded(found, expected, scale=np.abs(curve).max() + steepest)


@pytest.mark.parametrize("points", [2, 3, 128])
@pytest.mark.parametrize("shape", [(6, 7, 5), (3, 5, 17), (9, 7, 1), (1, 8, 7), (5, 1, 1)])
def test_grey_values_through_a_curve(backend, shape, points):
    volume, curve = smooth_volume(shape, 1), drawn_curve(points)
    assert volume.min() < SPAN[0] and volume.max() > SPAN[1]
    assert_mapped(mapped(backend, volume, curve), volume, curve)


def test_values_beyond_the_span_become_those_at_its_ends(backend):
    volume = np.array([-1e30, -5.0, SPAN[0], SPAN[1], 5.0, 1e30], np.float32).reshape(1, 2, 3)
    curve = drawn_curve(9, 1)
    found = mapped(backend, volume, curve).ravel()
    assert_rounded(found, np.repeat(curve[[0, -1]], 3), scale=np.abs(curve).max())


def test_a_straight_curve_changes_nothing(backend):
    volume, span = 100 * smooth_volume((4, 5, 6), 2) - 30, (-30.0, 70.0)
    curve = np.linspace(*span, 11, dtype=np.float32)
    assert_rounded(mapped(backend, volume, curve, span), volume, scale=100)


def test_memory_for_values_is_made_where_none_is_given(backend):
    volume, curve = smooth_volume((4, 5, 6), 3), drawn_curve(7, 2)
    found = backend.download(backend.map_values(backend.upload(volume), backend.upload(curve), SPAN))
    np.testing.assert_array_equal(found, mapped(backend, volume, curve))


# -- weighted sums ----------------------------------------------------------------------------------------------------

SHAPES = [(3, 5, 17), (2, 3, 7, 5, 3), (4, 6, 32), (2, 300), (7,), (1,)]


def arrays(shape):
    return np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)


def added(backend, array, weight, out, **options):
    there, weight = backend.upload(out.copy()), backend.upload(np.array([weight], np.float32))
    assert backend.add_weighted(backend.upload(array), weight, out=there, **options) is there
    return backend.download(there)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_number_is_added_once(backend, shape):
    array, before = arrays(shape)
    found = added(backend, array, -1.75, before)
    assert found.dtype == np.float32
    assert_rounded(found, before - 1.75 * array.astype(np.float64))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_start_does_not_ask_what_was_there(backend, shape):
    array, rubbish = arrays(shape)[0], np.full(shape, np.nan, np.float32)
    np.testing.assert_array_equal(added(backend, array, 0.25, rubbish, start=True), np.float32(0.25) * array)


def test_a_weight_of_zero_adds_nothing(backend):
    array, before = arrays((3, 5, 17))
    np.testing.assert_array_equal(added(backend, array, 0.0, before), before)
    assert not added(backend, array, 0.0, before, start=True).any()
