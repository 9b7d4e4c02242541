"""Class means: what the grey values of one image predict in another."""

from __future__ import annotations

import numpy as np

from metrics.measuring import measure, rough_pair
from warpline.metrics import DEFORMABLE_METRICS
from warpline.metrics.class_means import LEAST_DEVIATION, predict
from warpline.recipe import Syn


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
