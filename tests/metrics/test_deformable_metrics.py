"""Deformable metrics: forces against the slope of the value, on every backend."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from synthetic import ellipsoid, pair_with_known_map, smooth_volume
from warpline.metrics import DEFORMABLE_METRICS
from warpline.metrics.class_means import LEAST_DEVIATION, predict
from warpline.recipe import Syn

SHAPE = (13, 12, 11)
CONTRAST_FLOOR = Syn().contrast_floor
METRICS = [(name, radius) for name in DEFORMABLE_METRICS for radius in (1, 2)]
STEPS = ("mean_squares", "class_means")
"""Metrics with Gauss-Newton steps."""


@pytest.fixture(autouse=True)
def only_where_it_runs(request, backend):
    """Leave out the metric that has no sums over classes on a GPU."""
    on_gpu = not isinstance(backend.empty((1,)), np.ndarray)
    if on_gpu and ("class_means" in request.node.name or "grey_values" in request.node.name):
        pytest.skip("class_means runs on the CPU only")


def measure(metric, fixed, moving, backend, mask=None):
    """(value, force on fixed, force on moving) on the host."""
    forces = tuple(backend.empty((3, *fixed.shape)) for _ in range(2))
    value = backend.zeros((1,), np.float64)
    images = backend.upload(fixed), backend.upload(moving)
    mask = None if mask is None else backend.upload(mask)
    metric.forces(images, forces, value, mask=mask, backend=backend)
    return float(backend.download(value)[0]), *(np.array(backend.download(f)) for f in forces)


def rough_pair(shape=SHAPE, seed=0):
    return smooth_volume(shape, seed), smooth_volume(shape, seed + 1)


def mean_square(fixed, moving, mask):
    return np.mean(mask * (np.float64(fixed) - moving) ** 2)


@pytest.mark.parametrize("masked", [False, True])
def test_forces_of_the_squared_difference_are_the_exact_slope(backend, masked):
    fixed, moving = rough_pair()
    mask = ellipsoid(SHAPE, 0.45).astype(np.float32) if masked else None
    weight = np.ones(SHAPE) if mask is None else mask
    metric = DEFORMABLE_METRICS["mean_squares"](Syn(radius=2))
    value, on_fixed, on_moving = measure(metric, fixed, moving, backend, mask)
    assert value == pytest.approx(mean_square(fixed, moving, weight), rel=1e-5)
    slopes = [np.stack(np.gradient(np.float64(image))) for image in (fixed, moving)]
    small, rng = 1e-3, np.random.default_rng(0)
    for _ in range(5):
        along = np.zeros((3, *SHAPE))
        along[:, 1:-1, 1:-1, 1:-1] = rng.normal(size=(3, 11, 10, 9))
        for side, force in enumerate((on_fixed, on_moving)):
            ends = []
            for sign in (small, -small):
                moved = [np.float64(fixed), np.float64(moving)]
                moved[side] = moved[side] + sign * (along * slopes[side]).sum(axis=0)
                ends.append(mean_square(*moved, weight))
            numeric = (ends[0] - ends[1]) / (2 * small)
            assert -2 * np.sum(along * force) / fixed.size == pytest.approx(numeric, rel=1e-4, abs=1e-9)


def window_cc(fixed, moving, mask, index, radius):
    near = tuple(slice(max(i - radius, 0), i + radius + 1) for i in index)
    f, m = (np.float64(image[near])[mask[near] > 0] for image in (fixed, moving))
    f, m = f - f.mean(), m - m.mean()
    if min(f @ f, m @ m) <= CONTRAST_FLOOR * f.size:
        return 0.0
    return (f @ m) ** 2 / ((f @ f) * (m @ m))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("radius", [1, 2])
def test_local_cc_forces_are_window_derivatives_by_the_centre(backend, radius, masked):
    fixed, moving = rough_pair(seed=4)
    mask = ellipsoid(SHAPE, 0.45).astype(np.float32) if masked else np.ones(SHAPE, np.float32)
    metric = DEFORMABLE_METRICS["local_cc"](Syn(radius=radius))
    value, *forces = measure(metric, fixed, moving, backend, mask if masked else None)
    inside = [index for index in np.ndindex(SHAPE) if mask[index]]
    expected = -sum(window_cc(fixed, moving, mask, index, radius) for index in inside) / fixed.size
    assert value == pytest.approx(expected, rel=2e-3)
    slopes = [np.stack(np.gradient(np.float64(image))) for image in (fixed, moving)]
    small = 1e-4
    for index in ((6, 6, 5), (4, 7, 6), (7, 4, 4), (8, 6, 7)):
        for side, force in enumerate(forces):
            ends = []
            for sign in (small, -small):
                images = [np.float64(fixed), np.float64(moving)]
                images[side] = images[side].copy()
                images[side][index] += sign
                ends.append(window_cc(*images, mask, index, radius))
            by_centre = (ends[0] - ends[1]) / (2 * small)
            at = (slice(None), *index)
            largest = np.abs(force).max()
            np.testing.assert_allclose(force[at], by_centre * slopes[side][at], rtol=0.02, atol=0.01 * largest)


@pytest.mark.parametrize(("name", "radius"), METRICS)
@pytest.mark.parametrize("shape", [(24, 22, 20), (28, 26, 1)])
def test_following_a_smoothed_force_lowers_the_energy(backend, name, radius, shape):
    fixed, moving, _ = pair_with_known_map(shape, 3)
    metric = DEFORMABLE_METRICS[name](Syn(radius=radius))
    before, *forces = measure(metric, fixed, moving, backend)
    for side, force in enumerate(forces):
        update = np.stack([gaussian_filter(component, [1.5 if n > 1 else 0 for n in shape]) for component in force])
        update *= 0.25 / np.linalg.norm(update, axis=0).max()
        images = [fixed, moving]
        followed = backend.sample(backend.upload(images[side]), field=backend.upload(update.astype(np.float32)))
        images[side] = np.array(backend.download(followed))
        assert measure(metric, *images, backend)[0] < before


@pytest.mark.parametrize(("name", "radius"), METRICS)
def test_roles_can_be_exchanged(backend, name, radius):
    fixed, moving = rough_pair(seed=6)
    metric = DEFORMABLE_METRICS[name](Syn(radius=radius))
    there, back = measure(metric, fixed, moving, backend), measure(metric, moving, fixed, backend)
    assert there[0] == pytest.approx(back[0], rel=1e-6)
    for ours, theirs in ((there[1], back[2]), (there[2], back[1])):
        np.testing.assert_allclose(ours, theirs, atol=1e-4 * np.abs(ours).max())


@pytest.mark.parametrize(("name", "radius"), METRICS)
def test_identical_images_feel_no_force(backend, name, radius):
    fixed, other = rough_pair(seed=8)
    metric = DEFORMABLE_METRICS[name](Syn(radius=radius))
    usual = max(np.abs(f).max() for f in measure(metric, fixed, other, backend)[1:])
    for force in measure(metric, fixed, fixed, backend)[1:]:
        assert np.abs(force).max() < 2e-3 * usual


def test_noise_below_the_contrast_floor_feels_no_force(backend):
    noise = 0.3 * np.sqrt(CONTRAST_FLOOR) * np.random.default_rng(0).normal(size=(2, *SHAPE))
    flat = (0.5 + noise).astype(np.float32)
    value, *forces = measure(DEFORMABLE_METRICS["local_cc"](Syn(radius=2)), *flat, backend)
    assert value == 0
    assert not np.any(forces)


@pytest.mark.parametrize(("name", "radius"), METRICS)
def test_flat_images_feel_no_force(backend, name, radius):
    flat, textured = np.full(SHAPE, 0.5, np.float32), smooth_volume(SHAPE)
    metric = DEFORMABLE_METRICS[name](Syn(radius=radius))
    for fixed, moving in ((flat, flat), (flat, textured), (textured, flat)):
        value, on_fixed, on_moving = measure(metric, fixed, moving, backend)
        assert np.isfinite(value)
        if name == "local_cc" or fixed is moving:
            assert value == 0
            assert not np.any([on_fixed, on_moving])
        if fixed is flat:
            assert not on_fixed.any()


# -- what grey values predict, and Gauss-Newton steps ---------------------------------------------------------------


def test_a_function_of_the_grey_values_fits_perfectly(backend):
    fixed, moving = rough_pair(seed=2)
    metric = DEFORMABLE_METRICS["class_means"](Syn(metric="class_means"))
    turned = (1.5 - 0.8 * moving).astype(np.float32)
    aligned = measure(metric, fixed, (1.5 - 0.8 * fixed).astype(np.float32), backend)
    assert aligned[0] < 1e-3 * measure(metric, fixed, turned, backend)[0]
    plain, inverted = (measure(metric, fixed, image, backend)[1] for image in (moving, turned))
    np.testing.assert_allclose(inverted, plain, atol=0.02 * np.abs(plain).max())


def test_predictions_are_means_and_variances_of_classes():
    grey = np.repeat([0.0, 1.0, 2.0], 60).reshape(6, 5, 6).astype(np.float32)
    other = np.random.default_rng(0).normal(size=grey.shape).astype(np.float32)
    counted = np.random.default_rng(1).random(grey.shape) > 0.3
    predicted, variance = predict(grey, other, 3, counted)
    for value in np.unique(grey):
        inside = (grey == value) & counted
        np.testing.assert_allclose(predicted[grey == value], other[inside].mean(dtype=np.float64), rtol=1e-5)
        np.testing.assert_allclose(variance[grey == value], other[inside].var(dtype=np.float64), rtol=1e-5)
    _, certain = predict(grey, grey, 3, None)
    np.testing.assert_allclose(certain, LEAST_DEVIATION**2)


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("turns", [1, 4])
def test_newton_steps_are_the_formula_in_double(backend, name, turns):
    fixed, moving = rough_pair(seed=5)
    mask = ellipsoid(SHAPE, 0.45).astype(np.float32)
    metric = DEFORMABLE_METRICS[name](Syn(metric=name, newton=turns, update_sigma=1.0))
    _, *found = measure(metric, fixed, moving, backend, mask)
    for image, other, step in ((fixed, moving, found[0]), (moving, fixed, found[1])):
        variance = 1.0
        if name == "class_means":
            other, variance = predict(other, image, metric.classes, mask > 0)
        slope, residual = np.stack(np.gradient(np.float64(image))), (np.float64(other) - image) * (mask > 0)
        c = v = np.zeros_like(slope)
        for turn in range(turns):
            if turn:
                v = np.stack([gaussian_filter(part, 1.0, mode="nearest", radius=3) for part in c])
            c = v + slope * (residual - (slope * v).sum(axis=0)) / ((slope**2).sum(axis=0) + variance)
        for axis in range(3):
            np.moveaxis(c, axis + 1, 0)[[0, -1]] = 0
        np.testing.assert_allclose(step, c * (mask > 0), atol=2e-5 * np.abs(c).max())


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("shape", [(24, 22, 20), (28, 26, 1)])
def test_following_a_newton_step_lowers_the_energy(backend, name, shape):
    fixed, moving, _ = pair_with_known_map(shape, 3)
    metric = DEFORMABLE_METRICS[name](Syn(metric=name, newton=3, update_sigma=1.5))
    before, *steps = measure(metric, fixed, moving, backend)
    for side, step in enumerate(steps):
        update = np.stack([gaussian_filter(component, [1.5 if n > 1 else 0 for n in shape]) for component in step])
        update *= 0.25 / np.linalg.norm(update, axis=0).max()
        images = [fixed, moving]
        followed = backend.sample(backend.upload(images[side]), field=backend.upload(update.astype(np.float32)))
        images[side] = np.array(backend.download(followed))
        assert measure(metric, *images, backend)[0] < before
