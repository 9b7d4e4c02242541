"""Gauss-Newton steps of the metrics that have them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from metrics.measuring import SHAPE, measure, rough_pair
from synthetic import ellipsoid, pair_with_known_map
from warpline.metrics import DEFORMABLE_METRICS
from warpline.metrics.class_means import predict
from warpline.recipe import Syn

STEPS = ("mean_squares", "class_means")


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
