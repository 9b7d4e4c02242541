"""Smoothing of updates at several scales."""

from __future__ import annotations

import numpy as np
import pytest

import oracles
from backends.rounding import assert_rounded
from synthetic import wide_field
from warpline import Recipe
from warpline.backends import select
from warpline.errors import UsageError
from warpline.registration.update_smoothing import UpdateSmoothing

SHAPE = (2, 3, 66, 6, 5)
FORCES = np.stack([wide_field(SHAPE[2:], seed) for seed in (1, 2)])


def updates(backend, weights, forces=FORCES, sigma=0.8):
    """Updates and their norms on the host."""
    out, norms = backend.empty(forces.shape), backend.zeros((2,), np.float32)
    UpdateSmoothing(forces.shape, sigma, weights, backend).smooth(backend.upload(forces), out=out, out_norm=norms)
    return backend.download(out), backend.download(norms)


def expected(volume, weights, sigma):
    """``G f + w1 D (G H f + w2 / w1 D ...)`` of one component, slowly."""
    smoothed = oracles.smooth(volume, (sigma,) * 3)
    if not weights:
        return smoothed
    coarse = expected(oracles.halve(volume), tuple(w / weights[0] for w in weights[1:]), sigma)
    return smoothed + weights[0] * oracles.double(coarse, volume.shape)


@pytest.mark.parametrize("weights", [(), (2.0,), (2.0, 3.0, 0.5)])
def test_sums_of_scales(backend, weights):
    result, norms = updates(backend, weights)
    slow = np.array([[expected(component, weights, 0.8) for component in side] for side in FORCES])
    assert_rounded(result, slow, scale=16)
    assert_rounded(norms, np.array([oracles.largest_norm(side) for side in slow]))


def test_a_constant_force_is_added_at_every_scale():
    constant = np.ones((2, 3, 7, 31, 1), np.float32)
    np.testing.assert_allclose(updates(select("numba"), (2.0, 4.0), constant)[0], 7.0, rtol=1e-6)


def test_scales_that_move_a_small_image_as_a_whole_are_left_out():
    for shape, used in (((14, 6, 5), ()), ((15, 6, 5), (2.0,)), ((29, 6, 5), (2.0, 3.0))):
        small = np.stack([wide_field(shape, seed) for seed in (1, 2)])
        found = updates(select("numba"), (2.0, 3.0), small)[0]
        np.testing.assert_array_equal(found, updates(select("numba"), used, small)[0])


def test_wider_scales_are_smoother():
    backend, noise = select("numba"), np.random.default_rng(3).normal(size=(2, 3, 34, 20, 22)).astype(np.float32)

    def roughness(weights):
        field, norms = updates(backend, weights, noise, 1.5)
        return np.square(np.diff(field, 2, axis=2)).mean() / norms.max() ** 2

    assert roughness((2.0, 4.0)) < 0.5 * roughness(())


def test_weights_are_checked():
    assert Recipe.load("syn").with_options("syn.update_weights=[2, 4]").syn.update_weights == (2.0, 4.0)
    with pytest.raises(UsageError, match="update_weights"):
        Recipe.load("syn").with_options("syn.update_weights=[-1]")
