"""What a level iterates on: how states become half-maps, and how updates move them."""

from __future__ import annotations

import numpy as np
import pytest

from synthetic import fading_field, smooth_field
from warpline.recipe import Syn
from warpline.registration.transform_models import LEAST_NORM, MODELS

SHAPE = (18, 16, 14)


@pytest.fixture
def make(backend):
    """A model with a state (N, 3, I, J, K), without smoothing, and the norms of updates."""

    def made(name, state=None, sigma=0.0):
        model = MODELS[name](SHAPE, Syn(model=name, total_sigma=sigma), backend)
        model.state[...] = 0 if state is None else backend.upload(state)
        model.follow_state()
        return model

    return made


def move(model, updates, norms, step, backend):
    """The half-maps after an update."""
    scratch, given = backend.empty((2, 3, *SHAPE)), backend.upload(updates.copy())
    lengths = backend.upload(np.array(norms, np.float32)), backend.upload(np.array([step], np.float32))
    model.update(given, *lengths, scratch=scratch)
    return np.array(backend.download(model.half_maps))


@pytest.mark.parametrize("name", MODELS)
def test_a_first_update_is_as_long_as_the_step(make, backend, name):
    updates = np.stack([fading_field(SHAPE, 1, 4.0), fading_field(SHAPE, 2, 0.5)])
    halves = move(make(name), updates, (4.0, 0.5), 0.25, backend)
    if name == "velocity":
        velocity = 0.25 * (updates[1] / 0.5 - updates[0] / 4)
        np.testing.assert_allclose(halves, np.stack([-velocity / 2, velocity / 2]), atol=0.02)
    else:
        np.testing.assert_allclose(halves, updates * np.reshape([0.25 / 4, 0.25 / 0.5], (2, 1, 1, 1, 1)), atol=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_rounding_noise_is_not_scaled_up(make, backend, name):
    updates = np.stack([smooth_field(SHAPE, n, LEAST_NORM / 100) for n in (1, 2)])
    halves = move(make(name), updates, (LEAST_NORM / 100,) * 2, 0.5, backend)
    assert 0 < np.abs(halves).max() < 0.5 / 50


@pytest.mark.parametrize("name", MODELS)
def test_the_state_is_smoothed(make, backend, name):
    state = np.random.default_rng(0).normal(0, 0.1, make(name).state.shape).astype(np.float32)
    rough, smooth = (
        move(make(name, state, sigma), 0 * state[:1].repeat(2, 0), (1, 1), 0.5, backend) for sigma in (0, 1)
    )
    assert smooth.std() < 0.5 * rough.std()


def test_half_maps_of_a_velocity_are_inverse_to_each_other(make, backend):
    back, there = make("velocity", fading_field(SHAPE, 3, 0.8, sigma=4.0)[None]).half_maps
    assert np.abs(backend.download(there)).max() > 0.2
    for one, two in ((there, back), (back, there)):
        left = backend.download(backend.compose(one, two, out=backend.empty((3, *SHAPE))))
        assert np.linalg.norm(left, axis=0).max() < 0.02


def test_exchanged_sides_negate_the_velocity(make, backend):
    start, updates = fading_field(SHAPE, 4, 2.0)[None], np.stack([fading_field(SHAPE, n, 1.0) for n in (5, 6)])
    one, other = make("velocity", start), make("velocity", -start)
    move(one, updates, (1.0, 2.0), 0.5, backend)
    move(other, updates[::-1].copy(), (2.0, 1.0), 0.5, backend)
    np.testing.assert_allclose(*(backend.download(state) for state in (one.state, -other.state)), atol=1e-6)
