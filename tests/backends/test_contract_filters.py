"""`gradient`, `smooth`, `downsample`, `halve` and `add_doubled` of every backend against slow loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import oracles
from backends.rounding import assert_rounded
from synthetic import smooth_volume, wide_field

SHAPES = [(9, 7, 5), (4, 11, 6), (9, 7, 1), (1, 6, 5), (2, 3, 2), (3, 18, 35)]
"""The last one takes several blocks of a GPU kernel along j and k."""
SIGMAS = [(1.5, 1.5, 1.5), (0.4, 0.4, 0.4), (0.1, 0.0, 2.3), (0.0, 0.0, 3.0), (0.5, 0.0, 0.0)]
DOWNSAMPLINGS = [
    ((9, 7, 5), (2.0, 2.0, 2.0), (5, 4, 3)),
    ((8, 11, 6), (4.0, 2.0, 1.0), (2, 6, 6)),
    ((9, 7, 1), (2.0, 2.0, 1.0), (5, 4, 1)),
    ((8, 9, 7), (1.5, 1.6, 2.5), (6, 6, 3)),
    ((5, 6, 9), (2.0, 4.0, 3.0), (2, 1, 3)),
]


def smoothed(backend, array, sigma):
    """Result and norm of `Backend.smooth` on the host."""
    out, norm = backend.empty(array.shape), backend.zeros((1,), np.float32)
    assert backend.smooth(backend.upload(array), sigma, out=out, out_norm=norm) is out
    return backend.download(out), backend.download(norm).item()


@pytest.mark.parametrize("shape", SHAPES)
def test_gradient(backend, shape):
    volume = smooth_volume(shape, 1, sigma=0.5)
    result = backend.download(backend.gradient(backend.upload(volume)))
    assert result.dtype == np.float32
    assert_rounded(result, oracles.gradient(volume), scale=1)


def test_gradient_fills_out(backend):
    volume, out = backend.upload(smooth_volume((6, 5, 4), 2)), backend.empty((3, 6, 5, 4))
    assert backend.gradient(volume, out=out) is out
    np.testing.assert_array_equal(backend.download(out), backend.download(backend.gradient(volume)))


@pytest.mark.parametrize("sigma", SIGMAS)
@pytest.mark.parametrize("shape", SHAPES)
def test_smooth_a_volume(backend, shape, sigma):
    volume = smooth_volume(shape, 3, sigma=0.3) - np.float32(0.7)
    result, norm = smoothed(backend, volume, sigma)
    expected = oracles.smooth(volume, sigma)
    assert_rounded(result, expected, scale=1)
    assert_rounded(norm, oracles.largest_norm(expected))


@pytest.mark.parametrize("sigma", [(1.5, 1.5, 1.5), (0.0, 0.0, 4.0)])
def test_norms_are_raised_and_never_lowered(backend, sigma):
    field = np.stack([wide_field((6, 5, 7), 4), 4 * wide_field((6, 5, 7), 5)])
    single = [smoothed(backend, one, sigma)[1] for one in field]
    norms = backend.upload(np.array([single[0] / 2, single[1] * 2], np.float32))
    backend.smooth(backend.upload(field), sigma, out=backend.empty(field.shape), out_norm=norms)
    np.testing.assert_array_equal(backend.download(norms), np.array([single[0], single[1] * 2], np.float32))
    coarse, sums = backend.zeros((2, 3, 3, 3, 4), np.float32), backend.upload(field)
    norms = backend.upload(np.array([0.0, 1e6], np.float32))
    backend.add_doubled(coarse, 1.0, out=sums, out_norm=norms)
    assert_rounded(backend.download(norms), np.array([oracles.largest_norm(field[0]), 1e6]))


@pytest.mark.parametrize("sigma", SIGMAS)
@pytest.mark.parametrize("shape", SHAPES)
def test_smooth_each_component_of_a_field(backend, shape, sigma):
    field = wide_field(shape, 4)
    result, norm = smoothed(backend, field, sigma)
    expected = np.stack([oracles.smooth(component, sigma) for component in field])
    assert_rounded(result, expected, scale=4)
    assert_rounded(norm, oracles.largest_norm(expected))


@pytest.mark.parametrize("sigma", [(2.3, 5.0, 4.0), (21.0, 0.0, 25.0)])
@pytest.mark.parametrize("shape", [(40, 3, 2), (3, 14, 33), (2, 3, 110), (1, 26, 1)])
def test_smooth_far_beyond_every_border(backend, shape, sigma):
    volume = smooth_volume(shape, 8, sigma=0.3)
    assert_rounded(smoothed(backend, volume, sigma)[0], oracles.smooth(volume, sigma), scale=1)


@pytest.mark.parametrize("sigma", [(1.5, 1.5, 1.5), (0.4, 0.4, 0.4), (2.3, 0.0, 4.0)])
@pytest.mark.parametrize("array", [smooth_volume((9, 7, 5), 1), wide_field((9, 7, 5), 2)])
def test_smooth_without_a_norm_gives_the_same_array(backend, array, sigma):
    np.testing.assert_array_equal(
        backend.download(backend.smooth(backend.upload(array), sigma)), smoothed(backend, array, sigma)[0]
    )


def test_smooth_by_nothing_copies(backend):
    field = wide_field((6, 5, 4), 5)
    np.testing.assert_array_equal(smoothed(backend, field, (0.0, 0.0, 0.0))[0], field)


def test_smooth_of_zero_has_no_norm(backend):
    assert smoothed(backend, np.zeros((3, 6, 5, 4), dtype=np.float32), (1.0, 1.0, 1.0))[1] == 0


@settings(max_examples=15)
@given(
    height=st.floats(-1e3, 1e3, width=32, allow_subnormal=False),
    sigma=st.tuples(*[st.just(0.0) | st.floats(0.05, 4)] * 3),
)
def test_smooth_leaves_a_constant_alone(backend, height, sigma):
    flat = np.full((5, 6, 4), height, dtype=np.float32)
    assert_rounded(smoothed(backend, flat, sigma)[0], flat)


@settings(max_examples=15)
@given(seed=st.integers(0, 10_000), sigma=st.floats(0.2, 3))
def test_smooth_stays_between_the_extremes(backend, seed, sigma):
    volume = smooth_volume((6, 5, 7), seed, sigma=0.3)
    result, _ = smoothed(backend, volume, (sigma, sigma, sigma))
    assert result.min() >= -1e-6
    assert result.max() <= 1 + 1e-6
    assert np.ptp(result) < np.ptp(volume)


@pytest.mark.parametrize(("shape", "factors", "coarse"), DOWNSAMPLINGS)
def test_downsample(backend, shape, factors, coarse):
    volume, out = smooth_volume(shape, 6, sigma=0.5), backend.empty(coarse)
    assert backend.downsample(backend.upload(volume), factors, out=out) is out
    assert_rounded(backend.download(out), oracles.downsample(volume, factors, coarse), scale=1)


def test_downsampling_several_volumes_is_downsampling_each(backend):
    volumes = np.stack([smooth_volume((9, 8, 7), seed) for seed in range(3)])
    together = backend.downsample(backend.upload(volumes), (2.0, 1.0, 3.0), out=backend.empty((3, 5, 8, 2)))
    for volume, found in zip(volumes, backend.download(together), strict=True):
        alone = backend.downsample(backend.upload(volume), (2.0, 1.0, 3.0), out=backend.empty((5, 8, 2)))
        np.testing.assert_array_equal(backend.download(alone), found)


def test_downsample_by_one_copies(backend):
    volume = smooth_volume((6, 5, 4), 7)
    result = backend.downsample(backend.upload(volume), (1.0, 1.0, 1.0), out=backend.empty((6, 5, 4)))
    np.testing.assert_array_equal(backend.download(result), volume)


def test_downsample_keeps_the_middle_in_the_middle(backend):
    ramp = np.broadcast_to(np.arange(40, dtype=np.float32)[:, None, None], (40, 3, 3))
    out = backend.downsample(backend.upload(ramp), (2.0, 1.0, 1.0), out=backend.empty((20, 3, 3)))
    middle = backend.download(out)[5:15, 0, 0]
    assert_rounded(middle, 2 * np.arange(5, 15) + 0.5, scale=40)


@pytest.mark.parametrize("shape", SHAPES)
def test_halve(backend, shape):
    field = wide_field(shape, 5)
    result = backend.download(backend.halve(backend.upload(field)))
    assert result.dtype == np.float32
    assert_rounded(result, np.stack([oracles.halve(component) for component in field]), scale=4)


@pytest.mark.parametrize("shape", SHAPES)
def test_add_doubled(backend, shape):
    coarse, field = wide_field([-(-n // 2) for n in shape], 6), wide_field(shape, 7)
    out, norm = backend.upload(field.copy()), backend.zeros((1,), np.float32)
    assert backend.add_doubled(backend.upload(coarse), 1.5, out=out, out_norm=norm) is out
    expected = field + 1.5 * np.stack([oracles.double(component, shape) for component in coarse])
    assert_rounded(backend.download(out), expected, scale=8)
    assert_rounded(backend.download(norm).item(), oracles.largest_norm(expected))


def test_halved_and_doubled_constants_stay(backend):
    constant = np.full((3, 7, 6, 1), 2.5, np.float32)
    out = backend.add_doubled(backend.halve(backend.upload(constant)), -1.0, out=backend.upload(constant.copy()))
    np.testing.assert_array_equal(backend.download(out), np.zeros_like(constant))


def test_several_fields_are_halved_and_doubled_as_each_alone(backend):
    fields = np.stack([wide_field((6, 5, 9), seed) for seed in (1, 2)])
    coarse = backend.halve(backend.upload(fields))
    sums, norms = backend.upload(fields.copy()), backend.zeros((2,), np.float32)
    backend.add_doubled(coarse, 2.0, out=sums, out_norm=norms)
    for side, field in enumerate(fields):
        alone, norm = backend.upload(field.copy()), backend.zeros((1,), np.float32)
        backend.add_doubled(backend.halve(backend.upload(field)), 2.0, out=alone, out_norm=norm)
        np.testing.assert_array_equal(backend.download(alone), backend.download(sums)[side])
        assert backend.download(norm)[0] == backend.download(norms)[side]
