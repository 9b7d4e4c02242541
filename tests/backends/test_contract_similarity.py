"""`local_cc` and `squared_difference` of every backend against slow loops, and as directions of descent."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import oracles
import similarity_oracles
from backends.rounding import assert_rounded
from synthetic import ellipsoid, pair_with_known_map, smooth_volume, soft_weights

SHAPES = [(9, 7, 6), (5, 10, 7), (9, 7, 1), (1, 8, 7), (2, 5, 4), (3, 18, 35)]
"""The last one takes several blocks of a GPU kernel along j and k."""
FLOOR = 1e-5


def local_cc(backend, fixed, moving, radius, *, contrast_floor=FLOOR, mask=None):
    """(value, force on fixed, force on moving) of `Backend.local_cc` on the host."""
    outs = [backend.empty((1,)), backend.empty((3, *fixed.shape)), backend.empty((3, *fixed.shape))]
    backend.local_cc(
        backend.upload(fixed),
        backend.upload(moving),
        radius,
        contrast_floor=contrast_floor,
        mask=None if mask is None else backend.upload(mask),
        value=outs[0],
        out_fixed=outs[1],
        out_moving=outs[2],
    )
    return _host(backend, outs)


def squared_difference(backend, fixed, moving, *, mask=None):
    """(value, force on fixed, force on moving) of `Backend.squared_difference` on the host."""
    outs = [backend.empty((1,)), backend.empty((3, *fixed.shape)), backend.empty((3, *fixed.shape))]
    backend.squared_difference(
        backend.upload(fixed),
        backend.upload(moving),
        mask=None if mask is None else backend.upload(mask),
        value=outs[0],
        out_fixed=outs[1],
        out_moving=outs[2],
    )
    return _host(backend, outs)


def _host(backend, outs):
    value, *forces = (np.array(backend.download(out)) for out in outs)
    return value.item(), *forces


def conditioning(images, radius, mask=None):
    """How much ``sum x^2 - n mean^2`` magnifies rounding: the largest ratio of power to variance over the windows."""
    worst = 1.0
    for image in images:
        for index in oracles.voxels(image.shape):
            near = np.array(
                [image[i] for i in similarity_oracles.window(index, image.shape, radius, mask)], dtype=np.float64
            )
            if len(near) and near.var() > FLOOR:
                worst = max(worst, (near**2).mean() / near.var())
    return worst


def assert_same(actual, expected, condition=1.0):
    assert_rounded(actual[0], expected[0], scale=1, condition=condition)
    for force, truth in zip(actual[1:], expected[1:], strict=True):
        assert force.dtype == np.float32
        assert_rounded(force, truth, condition=condition)


def rough_pair(shape, seed=0):
    return smooth_volume(shape, seed, sigma=0.6), smooth_volume(shape, seed + 1, sigma=0.6)


@cache
def exact_local_cc(shape, radius):
    """A pair, what the oracle says of it, and its conditioning: the same for every backend."""
    fixed, moving = rough_pair(shape, 1)
    expected = similarity_oracles.local_cc(fixed, moving, radius, contrast_floor=FLOOR)
    return fixed, moving, expected, conditioning((fixed, moving), radius)


@pytest.mark.parametrize("radius", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("shape", SHAPES)
def test_local_cc(backend, shape, radius):
    fixed, moving, expected, condition = exact_local_cc(shape, radius)
    assert_same(local_cc(backend, fixed, moving, radius), expected, condition)


@pytest.mark.parametrize("make_mask", [lambda shape: ellipsoid(shape).astype(np.uint8), soft_weights])
@pytest.mark.parametrize("radius", [1, 3])
@pytest.mark.parametrize("shape", SHAPES[:3])
def test_local_cc_in_a_mask(backend, shape, radius, make_mask):
    fixed, moving = rough_pair(shape, 3)
    mask = make_mask(shape)
    condition = conditioning((fixed, moving), radius, mask)
    expected = similarity_oracles.local_cc(fixed, moving, radius, contrast_floor=FLOOR, mask=mask)
    result = local_cc(backend, fixed, moving, radius, mask=mask)
    assert_same(result, expected, condition)
    assert not result[1][:, mask <= 0].any()
    assert not result[2][:, mask <= 0].any()


def test_what_the_mask_hides_does_not_matter(backend):
    fixed, moving = rough_pair((9, 8, 7), 5)
    mask = ellipsoid((9, 8, 7)).astype(np.uint8)
    other = np.where(mask, moving, np.float32(0.5)).astype(np.float32)
    inner = np.zeros_like(mask)
    inner[2:-2, 2:-2, 2:-2] = 1
    deep = (mask & inner) > 0
    first, second = (local_cc(backend, fixed, m, 2, mask=mask) for m in (moving, other))
    condition = conditioning((fixed, moving), 2, mask)
    assert_rounded(first[0], second[0], scale=1, condition=condition)
    assert_rounded(first[1][:, deep], second[1][:, deep], condition=condition)


def test_an_empty_mask_is_worth_nothing(backend):
    fixed, moving = rough_pair((6, 5, 4), 7)
    nothing = np.zeros((6, 5, 4), dtype=np.uint8)
    for result in (
        local_cc(backend, fixed, moving, 2, mask=nothing),
        squared_difference(backend, fixed, moving, mask=nothing),
    ):
        assert result[0] == 0
        assert not result[1].any()
        assert not result[2].any()


@pytest.mark.parametrize("height", [0.0, 0.3, 1.0])
def test_flat_images_count_nothing_and_move_nothing(backend, height):
    flat, textured = np.full((8, 7, 6), height, dtype=np.float32), smooth_volume((8, 7, 6), 8)
    for images in ((flat, flat), (flat, textured), (textured, flat)):
        value, on_fixed, on_moving = local_cc(backend, *images, 2)
        assert value == 0
        assert not on_fixed.any()
        assert not on_moving.any()


def test_a_flat_half_is_left_out_window_by_window(backend):
    fixed, moving = rough_pair((12, 6, 6), 9)
    fixed[6:], moving[6:] = 0.8, 0.2
    condition = conditioning((fixed, moving), 2)
    expected = similarity_oracles.local_cc(fixed, moving, 2, contrast_floor=FLOOR)
    result = local_cc(backend, fixed, moving, 2)
    assert_same(result, expected, condition)
    assert not result[1][:, 9:].any()


def test_floor_is_a_variance_and_windows_below_it_are_dropped(backend):
    fixed, moving = rough_pair((8, 7, 6), 10)
    windows = [similarity_oracles.window(index, fixed.shape, 1, None) for index in oracles.voxels(fixed.shape)]
    for images in ((fixed, moving), (moving, fixed)):
        variances = np.sort([np.var([images[0][i] for i in near], dtype=np.float64) for near in windows])
        middle = variances[len(variances) // 3 : 2 * len(variances) // 3]
        gap = np.argmax(np.diff(middle))
        floor = float(middle[gap : gap + 2].mean())
        expected = similarity_oracles.local_cc(*images, 1, contrast_floor=floor)
        assert -0.7 < expected[0] < 0
        assert_same(local_cc(backend, *images, 1, contrast_floor=floor), expected, conditioning(images, 1))


def test_equal_images_correlate_fully_and_rest(backend):
    fixed, _ = rough_pair((8, 7, 6), 11)
    value, on_fixed, on_moving = local_cc(backend, fixed, fixed, 2)
    condition = conditioning((fixed,), 2)
    assert_rounded(value, -1.0, scale=1, condition=condition)
    size = np.abs(local_cc(backend, *rough_pair((8, 7, 6), 11), 2)[1]).max()
    assert_rounded(on_fixed, np.zeros_like(on_fixed), scale=size, condition=condition)
    np.testing.assert_array_equal(on_fixed, on_moving)


@pytest.mark.parametrize("metric", [lambda b, f, m: local_cc(b, f, m, 2), squared_difference])
def test_exchanging_the_images_exchanges_the_forces(backend, metric):
    fixed, moving = rough_pair((8, 7, 6), 12)
    value, on_fixed, on_moving = metric(backend, fixed, moving)
    swapped = metric(backend, moving, fixed)
    assert_rounded(swapped[0], value, scale=1)
    condition = conditioning((fixed, moving), 2)
    assert_rounded(swapped[1], on_moving, condition=condition)
    assert_rounded(swapped[2], on_fixed, condition=condition)


@settings(max_examples=10)
@given(seed=st.integers(0, 10_000), gain=st.floats(0.5, 2), offset=st.floats(-0.5, 0.5))
def test_local_cc_does_not_see_brightness_and_contrast(backend, seed, gain, offset):
    fixed, moving = rough_pair((7, 6, 5), seed)
    changed = (gain * moving + offset).astype(np.float32)
    condition = conditioning((fixed, moving, changed), 1)
    plain, other = local_cc(backend, fixed, moving, 1), local_cc(backend, fixed, changed, 1)
    assert_rounded(other[0], plain[0], scale=1, condition=condition)
    assert_rounded(other[1], plain[1], condition=condition)


@pytest.mark.parametrize("shape", [*SHAPES, (25, 4, 3)])
@pytest.mark.parametrize("masked", [False, True])
def test_squared_difference(backend, shape, masked):
    fixed, moving = rough_pair(shape, 13)
    mask = soft_weights(shape) if masked else None
    expected = similarity_oracles.squared_difference(fixed, moving, mask=mask)
    assert_same(squared_difference(backend, fixed, moving, mask=mask), expected)


@pytest.mark.parametrize("metric", [lambda b, f, m: local_cc(b, f, m, 2), squared_difference])
@pytest.mark.parametrize("shape", [(9, 7, 6), (9, 7, 1)])
def test_outer_faces_are_still_except_along_axes_of_one_voxel(backend, shape, metric):
    _, on_fixed, on_moving = metric(backend, *rough_pair(shape, 15))
    inside = np.zeros(shape, dtype=bool)
    inside[tuple(slice(1, -1) if n > 1 else slice(None) for n in shape)] = True
    for force in (on_fixed, on_moving):
        assert not force[:, ~inside].any()
        assert force[:2, inside].any()
        assert shape[2] > 1 or not force[2].any()


@settings(max_examples=12)
@given(seed=st.integers(0, 10_000), side=st.sampled_from([0, 1]), cc=st.booleans())
def test_following_a_force_lowers_the_value(backend, seed, side, cc):
    images = list(pair_with_known_map((12, 11, 10), seed)[:2])
    metric = (lambda b, f, m: local_cc(b, f, m, 2)) if cc else squared_difference
    before = metric(backend, *images)
    force = before[1 + side]
    step = (0.05 / np.sqrt(np.square(force).sum(axis=0)).max() * force).astype(np.float32)
    warped = backend.sample(backend.upload(images[side]), field=backend.upload(step))
    images[side] = np.array(backend.download(warped))
    assert metric(backend, *images)[0] < before[0]
