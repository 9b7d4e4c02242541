"""`mutual_information_forces` of every backend against slow loops, and as derivatives of the value."""

from __future__ import annotations

import numpy as np
import pytest

import similarity_oracles
from synthetic import smooth_volume, soft_weights

SHAPES = [(9, 7, 6), (9, 7, 1), (1, 8, 7), (2, 5, 4), (3, 18, 35)]
SPAN = (-0.1, 0.8)
"""Narrower than the range of the images, so that some values are clamped."""


def forces(backend, fixed, moving, bins, *, span=SPAN, mask=None):
    """(value, force on fixed, force on moving) on the host."""
    outs = [backend.empty((1,), np.float64), backend.empty((3, *fixed.shape)), backend.empty((3, *fixed.shape))]
    given = backend.upload(fixed), backend.upload(moving), bins
    names = dict(zip(("value", "out_fixed", "out_moving"), outs, strict=True))
    mask = None if mask is None else backend.upload(mask)
    backend.mutual_information_forces(*given, span=span, mask=mask, **names)
    value, *found = (np.array(backend.download(out)) for out in outs)
    return value.item(), *found


def rough_pair(shape, seed=0):
    """Two images of whole 256ths of a bin of 19, so that no fraction is rounded."""
    part = (SPAN[1] - SPAN[0]) / 16 / 256
    images = (smooth_volume(shape, seed + side, sigma=0.6) for side in range(2))
    return tuple((SPAN[0] + part * np.rint((image - SPAN[0]) / part)).astype(np.float32) for image in images)


def assert_same(found, expected):
    assert found[0] == pytest.approx(expected[0], rel=1e-4, abs=1e-6)
    for force, truth in zip(found[1:], expected[1:], strict=True):
        assert force.dtype == np.float32
        away = np.abs(force - truth)
        # single precision may take a value that lies on the border of two bins for one of the other
        assert np.quantile(away, 0.98) <= 2e-4 * np.abs(truth).max()
        assert away.mean() <= 2e-3 * np.abs(truth).max()


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_value_and_forces(backend, shape, masked):
    fixed, moving = rough_pair(shape, 1)
    mask = soft_weights(shape) if masked else None
    expected = similarity_oracles.mutual_information_forces(fixed, moving, 19, span=SPAN, mask=mask)
    found = forces(backend, fixed, moving, 19, mask=mask)
    assert_same(found, expected)
    if masked:
        assert not found[1][:, mask <= 0].any()


@pytest.mark.parametrize("bins", [8, 64, 97, 256])
def test_any_number_of_bins(backend, bins):
    fixed, moving = smooth_volume((9, 8, 7), 3), smooth_volume((9, 8, 7), 4)
    expected = similarity_oracles.mutual_information_of_volumes(fixed, moving, bins, SPAN)
    assert forces(backend, fixed, moving, bins)[0] == pytest.approx(expected, rel=5e-3)


def test_forces_are_derivatives_of_the_value(backend):
    """Of the value by single voxels, by differences within a bin: the histogram is linear there."""
    fixed, moving = rough_pair((9, 8, 7), 5)
    part = (SPAN[1] - SPAN[0]) / 16 / 256
    slopes = [np.stack(np.gradient(np.float64(image))) for image in (fixed, moving)]
    _, *found = forces(backend, fixed, moving, 19)
    largest = max(np.abs(force).max() for force in found)
    for index in ((4, 4, 3), (3, 5, 2), (5, 2, 4), (2, 3, 3)):
        for side in range(2):
            ends = []
            for sign in (1, -1):
                images = [fixed.copy(), moving.copy()]
                images[side][index] += np.float32(8 * sign * part)
                ends.append(similarity_oracles.mutual_information_of_volumes(*images, 19, SPAN))
            per_voxel = -(ends[0] - ends[1]) / (16 * part) * fixed.size
            at = (slice(None), *index)
            np.testing.assert_allclose(found[side][at], per_voxel * slopes[side][at], rtol=0.05, atol=0.01 * largest)


def test_an_empty_mask_is_worth_nothing(backend):
    fixed, moving = rough_pair((6, 5, 4), 7)
    value, *found = forces(backend, fixed, moving, 19, mask=np.zeros((6, 5, 4), np.float32))
    assert value == 0
    assert not np.any(found)


def test_counts_of_one_call_do_not_enter_the_next(backend):
    pairs = [rough_pair((7, 6, 5), seed) for seed in (8, 10)]
    first = forces(backend, *pairs[0], 19)
    forces(backend, *pairs[1], 19)
    again = forces(backend, *pairs[0], 19)
    assert first[0] == again[0]
    for one, other in zip(first[1:], again[1:], strict=True):
        np.testing.assert_array_equal(one, other)


def test_contrast_may_be_any(backend):
    """A grey value that means another one in the other image counts as much: inverted, the value is the same."""
    fixed, moving = rough_pair((9, 8, 7), 12)
    inverted = (SPAN[0] + SPAN[1] - np.float64(moving)).astype(np.float32)
    plain, other = forces(backend, fixed, moving, 19), forces(backend, fixed, inverted, 19)
    assert other[0] == pytest.approx(plain[0], rel=1e-4)
