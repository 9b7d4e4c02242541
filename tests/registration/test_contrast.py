"""Curves between grey values: known ones are recovered, and make images of unlike contrast alike."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from synthetic import ellipsoid, smooth_volume
from warpline.registration.contrast import BRIGHT, CURVES, LEAST_SAMPLES, grey_values, mean_curve, predicted
from warpline.registration.cropping import Channel
from warpline.registration.pyramid import SharedLevel
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
