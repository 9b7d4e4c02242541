"""Robust weights: a lesion in one image hardly counts, all else does, whatever the contrast and the backend."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from conftest import MAKERS, parameters
from synthetic import ellipsoid, pair_with_known_map
from warpline.backends import select
from warpline.images import Image
from warpline.registration.robust_weights import REACH, robust_weights, weights_of_result
from warpline.space.grid import Grid

SHAPE, SPACING = (40, 44, 36), 2.0
GRID = Grid(SHAPE, np.diag([SPACING, SPACING, SPACING, 1.0]))
RADIUS = 12.0  # mm
MIDDLE = (14, 22, 18)


@pytest.fixture(scope="module", params=parameters(*MAKERS))
def backend(request):
    """Each backend, the emulated GPU as well."""
    return MAKERS[request.param]()


def tissues(shape=SHAPE):
    """Two images of four grey values on a background of 0, a deformation of a voxel or so apart."""
    images = []
    for volume in pair_with_known_map(shape, 3)[:2]:
        steps = np.digitize(volume, [0.35, 0.5, 0.65]) / 3
        images.append(gaussian_filter(np.where(ellipsoid(shape, 0.42), 0.25 + 0.75 * steps, 0), 0.5))
    return np.where(np.stack(images) > 0.02, images, 0).astype(np.float32)


def distance(shape=SHAPE, middle=MIDDLE):
    """From the middle of the lesion, in mm."""
    offsets = np.moveaxis(np.indices(shape), 0, -1) - np.array(middle)
    return SPACING * np.linalg.norm(offsets, axis=-1)


def weights_of(images, backend, grid=GRID, mask=None):
    inside = None if mask is None else backend.upload(mask.astype(np.uint8)) != 0
    return backend.download(robust_weights(backend.upload(images), grid, backend, inside))


def with_lesion(images, value):
    spoilt = images.copy()
    spoilt[1, distance() < RADIUS] = value
    return spoilt


@pytest.mark.parametrize("value", [1.3, 0.06])
def test_a_lesion_hardly_counts_and_all_else_does(value, backend):
    weights = weights_of(with_lesion(tissues(), value), backend)
    inside, away = distance() < RADIUS - SPACING, ellipsoid(SHAPE, 0.42) & (distance() > RADIUS + 3.5 * REACH)
    assert weights.dtype == np.float32 and weights.min() >= 0 and weights.max() <= 1
    assert weights[inside].max() < 0.3
    assert weights[away].mean() > 0.9


def test_a_contrast_that_differs_everywhere_is_no_lesion(backend):
    fixed, moving = tissues()
    inverted = np.where(moving > 0, 1.2 - moving, 0).astype(np.float32)
    assert weights_of(np.stack([fixed, inverted]), backend)[ellipsoid(SHAPE, 0.42)].mean() > 0.9


def test_backends_agree(backend):
    images = with_lesion(tissues(), 1.3)
    expected = weights_of(images, select("numpy"))
    # Of residuals over their median, to the fourth power; the blur of single precision is good to 1e-5 of its largest.
    np.testing.assert_allclose(weights_of(images, backend), expected, atol=2e-3)


def test_slices_are_weighed_too(backend):
    images, grid = with_lesion(tissues(), 1.3)[:, :, :, 18:19], Grid((*SHAPE[:2], 1), GRID.affine)
    weights = weights_of(images, backend, grid)
    inside = distance()[:, :, 18:19] < RADIUS - SPACING
    away = ellipsoid(SHAPE, 0.42)[:, :, 18:19] & (distance()[:, :, 18:19] > RADIUS + 3.5 * REACH)
    assert weights[inside].max() < 0.3 and weights[away].mean() > 0.9


@pytest.mark.parametrize("images", [np.zeros((2, *SHAPE)), np.ones((2, *SHAPE))], ids=["background", "constant"])
def test_images_that_show_nothing_weigh_all_alike(images, backend):
    weights = weights_of(images.astype(np.float32), backend)
    assert weights.min() == weights.max() > 0.9


def test_equal_images_weigh_all_alike(backend):
    weights = weights_of(np.stack([tissues()[0]] * 2), backend)
    assert np.isfinite(weights).all() and weights[ellipsoid(SHAPE, 0.42)].mean() > 0.9


def test_only_what_the_mask_marks_decides_what_is_usual(backend):
    images = tissues()
    noise = np.random.default_rng(0).normal(0, 0.5, SHAPE).astype(np.float32)
    noisy = np.indices(SHAPE)[0] > 20
    images[1] = np.where(noisy & (images[1] > 0), np.abs(images[1] + noise), images[1])
    spoilt = with_lesion(images, 1.3)
    masked = weights_of(spoilt, backend, mask=~noisy)
    inside = distance() < RADIUS - SPACING
    assert masked[inside & ~noisy].max() < 0.3
    assert masked[inside & ~noisy].mean() < weights_of(spoilt, backend)[inside & ~noisy].mean()


def test_an_empty_mask_learns_nothing(backend):
    weights = weights_of(tissues(), backend, mask=np.zeros(SHAPE))
    np.testing.assert_array_equal(weights, 1)


def test_weights_of_a_result_lie_on_the_fixed_grid(backend):
    fixed, warped = (Image(1000 * one, GRID) for one in with_lesion(tissues(), 1.3))
    found = weights_of_result(fixed, warped, backend)
    assert found.grid == GRID and found.data.dtype == np.float32
    assert found.data[distance() < RADIUS - SPACING].max() < 0.3
    half = Image((np.indices(SHAPE)[0] < 30).astype(np.uint8), GRID, "seen")
    other = weights_of_result(fixed, warped, backend, fixed_mask=half, seen=half)
    assert other.data[distance() < RADIUS - SPACING].max() < 0.3
    assert not np.array_equal(other.data, found.data)
