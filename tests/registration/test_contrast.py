"""Curves between grey values: known ones are recovered, and make images of unlike contrast alike."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from synthetic import ellipsoid, smooth_volume
from warpline.registration.contrast import (
    BRIGHT,
    CURVES,
    LEAST_SAMPLES,
    explained,
    grey_values,
    levels_alike,
    mean_curve,
    predicted,
    spread_curve,
    through_curve,
)
from warpline.registration.cropping import Channel
from warpline.registration.pyramid import PyramidLevel, SharedLevel
from warpline.space import Affine
from warpline.space.grid import Grid

SHAPE = (24, 22, 20)
GRID = Grid(SHAPE, np.diag([1.5, 1.5, 1.5, 1.0]))


def channel_of(fixed, moving, backend, **masks):
    masks = {name: backend.upload(mask.astype(np.float32)) for name, mask in masks.items()}
    return Channel(backend.upload(fixed), backend.upload(moving), GRID, GRID, **masks)


def samples_of(channel, backend):
    return grey_values(channel, SharedLevel.of(GRID, 1.5), np.eye(4), backend.zeros((2, 3, *SHAPE)), backend)


def objects():
    """An object on a background of 0, and the same with its contrast inverted."""
    inside = ellipsoid(SHAPE)
    volume = np.where(inside, 0.2 + 0.8 * smooth_volume(SHAPE, 5), 0).astype(np.float32)
    return volume, np.where(inside, 1.2 - volume, 0).astype(np.float32)


def correlation(a, b):
    return np.corrcoef(np.ravel(a), np.ravel(b))[0, 1]


@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_a_known_curve_is_recovered(noise):
    rng = np.random.default_rng(1)
    grey = rng.uniform(0, 1, 50_000).astype(np.float32)
    target = np.sqrt(grey) + noise * rng.normal(size=len(grey))
    curve, span = mean_curve(grey, target.astype(np.float32))
    places = np.linspace(*span, len(curve))
    assert np.interp(0.0, places, curve) == pytest.approx(0, abs=1e-6)
    inner = (places > 0.1) & (places < 0.95)
    wanted = np.sqrt(places) - np.sqrt(0.1)
    # About 50000 / 128 voxels a point, and smoothing over a point: ten standard errors and the bend of the root.
    offset = np.interp(0.1, places, curve)
    np.testing.assert_allclose((curve - offset)[inner], wanted[inner], atol=10 * noise / np.sqrt(390) + 1e-3)


def test_what_curves_explain_is_the_better_of_both_ways():
    grey = np.random.default_rng(1).uniform(0.1, 1, 20_000).astype(np.float32)
    folded = np.abs(grey - 0.5) + 0.1  # no function leads back
    assert explained(np.stack([grey, folded])) == explained(np.stack([folded, grey])) > 0.99


def test_objects_without_a_relation_explain_nothing():
    rng = np.random.default_rng(1)
    samples = rng.uniform(0.2, 1, (2, 20_000)).astype(np.float32)
    samples[:, :10_000] = 0  # that both have a background is no relation of their contrasts
    assert explained(samples) < 0.1


@pytest.mark.parametrize("samples", [np.ones((2, 1000), np.float32), np.zeros((2, 1000), np.float32)])
def test_flat_objects_are_explained(samples):
    assert explained(samples) == explained(samples[:, :5]) == explained(samples[:, :0]) == 1.0


def test_a_curve_spans_the_grey_values():
    grey = np.linspace(-0.5, 2, 10_001, dtype=np.float32)
    curve, span = mean_curve(grey, 3 * grey)
    assert span == pytest.approx((-0.5, np.percentile(grey, BRIGHT)))
    np.testing.assert_allclose(curve[4:-4], 3 * np.linspace(*span, len(curve))[4:-4], atol=1e-3)


def test_grey_values_no_voxel_has_are_bridged():
    grey = np.repeat(np.array([0, 1], np.float32), 1000)
    curve, _ = mean_curve(grey, 2 * grey)
    middle = np.interp(0.5, np.linspace(0, 1, len(curve)), curve)
    assert curve[0] == 0 and curve[-1] == pytest.approx(2) and middle == pytest.approx(1, abs=0.05)


def test_grey_values_are_those_of_the_voxels(backend):
    fixed, moving = smooth_volume(SHAPE, 1), smooth_volume(SHAPE, 2)
    found = samples_of(channel_of(fixed, moving, backend), backend)
    np.testing.assert_array_equal(found, [fixed.ravel(), moving.ravel()])


def test_grey_values_are_taken_inside_both_masks(backend):
    fixed, moving = smooth_volume(SHAPE, 1), smooth_volume(SHAPE, 2)
    masks = ellipsoid(SHAPE), np.indices(SHAPE)[0] < 12
    found = samples_of(channel_of(fixed, moving, backend, fixed_mask=masks[0], moving_mask=masks[1]), backend)
    both = masks[0] & masks[1]
    np.testing.assert_array_equal(found, [fixed[both], moving[both]])


def test_grey_values_follow_the_half_maps(backend):
    fixed, moving = smooth_volume(SHAPE, 1), smooth_volume(SHAPE, 2)
    half_maps = np.zeros((2, 3, *SHAPE), np.float32)
    half_maps[1, 0] = 2
    level = SharedLevel.of(GRID, 1.5)
    found = grey_values(channel_of(fixed, moving, backend), level, np.eye(4), backend.upload(half_maps), backend)
    np.testing.assert_array_equal(found[0], fixed.ravel())
    np.testing.assert_array_equal(found[1].reshape(SHAPE)[:-2], moving[2:])


@pytest.mark.parametrize("how", CURVES)
def test_an_inverted_image_is_mapped_back(backend, how):
    volume, inverted = objects()
    channel = channel_of(volume, inverted, backend)
    found = predicted(channel, how, samples_of(channel, backend), backend)
    changed, kept = ("moving", "fixed") if how == "moving like fixed" else ("fixed", "moving")
    assert getattr(found, kept) is getattr(channel, kept)
    inside = volume > 0
    fixed, moving = (np.array(backend.download(image)) for image in (found.fixed, found.moving))
    assert correlation(volume[inside], inverted[inside]) < -0.99
    assert correlation(fixed, moving) > 0.99 and correlation(fixed[inside], moving[inside]) > 0.99
    background = np.array(backend.download(getattr(found, changed)))[~inside]
    np.testing.assert_allclose(background, 0, atol=1e-6)


def test_too_few_voxels_make_no_curve(backend):
    volume, inverted = objects()
    channel = channel_of(volume, inverted, backend)
    samples = samples_of(channel, backend)
    assert predicted(channel, "moving like fixed", samples[:, : LEAST_SAMPLES - 1], backend) is channel
    assert predicted(channel, "moving like fixed", samples[:, :LEAST_SAMPLES], backend) is not channel
    assert predicted(replace(channel), "as given", samples, backend).moving is channel.moving


def test_a_volume_takes_the_values_that_a_curve_says(backend):
    grey = np.linspace(0, 1, 10_001, dtype=np.float32)
    volume, _ = objects()
    found = np.array(backend.download(through_curve(backend.upload(volume), mean_curve(grey, 1 - grey**2), backend)))
    # Less the value at 0, which the background keeps; a curve of 128 points, smoothed over one of their distances.
    inner = (volume > 0.1) & (volume < 0.95)
    np.testing.assert_allclose(found[inner], -(volume[inner] ** 2), atol=2e-3)
    np.testing.assert_allclose(found[volume == 0], 0, atol=1e-6)


def levels_of(fixed, moving, backend, mask=None):
    """A level of either image; the moving one lies two voxels further along the first axis of the world."""
    shifted = Grid(SHAPE, SHIFT.matrix @ GRID.affine)
    uploaded = None if mask is None else backend.upload(mask.astype(np.uint8))
    return PyramidLevel(backend.upload(fixed), GRID, np.zeros(3), backend), PyramidLevel(
        backend.upload(moving), shifted, np.zeros(3), backend, uploaded
    )


SHIFT = Affine(np.array([[1.0, 0, 0, 3], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]))


@pytest.mark.parametrize("how", CURVES)
def test_levels_are_made_alike_under_an_affine(backend, how):
    volume, inverted = objects()
    given = levels_of(volume, inverted, backend)
    found = levels_alike(*given, SHIFT, how)
    changed = CURVES.index(how) == 0
    assert found[1 - changed] is given[1 - changed] and found[changed].grid == given[changed].grid
    inside = volume > 0
    fixed, moving = (np.array(backend.download(level.array)) for level in found)
    assert correlation(fixed[inside], moving[inside]) > 0.99
    wrong = levels_alike(*given, Affine.identity(), how)
    fixed, moving = (np.array(backend.download(level.array)) for level in wrong)
    assert correlation(fixed[inside], moving[inside]) < 0.9


def test_levels_without_voxels_in_common_stay_as_they_are(backend):
    volume, inverted = objects()
    few = np.zeros(SHAPE)
    few[:4, :4, :3] = 1
    given = levels_of(volume, inverted, backend, few)
    assert all(one is other for one, other in zip(levels_alike(*given, SHIFT, CURVES[0]), given, strict=True))


def test_flat_curves_are_spread_again():
    rng = np.random.default_rng(3)
    grey = rng.uniform(0, 1, 50_000).astype(np.float32)
    target = (grey + rng.normal(0, 0.5, len(grey))).astype(np.float32)
    curve, span = spread_curve(grey, target)
    seen = np.interp(grey, np.linspace(*span, len(curve)), curve)
    assert seen.std() == pytest.approx(target.std(), rel=1e-3)
    np.testing.assert_allclose(spread_curve(grey, grey)[0], mean_curve(grey, grey)[0], rtol=2e-3, atol=1e-6)
