"""What holds for every deformable metric on every backend."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from metrics.measuring import SHAPE, measure, rough_pair
from synthetic import pair_with_known_map, smooth_volume
from warpline.metrics import DEFORMABLE_METRICS
from warpline.recipe import Syn

METRICS = [(name, radius) for name in DEFORMABLE_METRICS for radius in (1, 2)]


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
    on_fixed, on_moving = measure(metric, fixed, fixed, backend)[1:]
    if name == "mutual_information":  # some grey values tell more than others: both sides move towards them, alike
        np.testing.assert_allclose(on_fixed, on_moving, atol=1e-4 * usual)
    else:
        assert max(np.abs(on_fixed).max(), np.abs(on_moving).max()) < 2e-3 * usual


@pytest.mark.parametrize(("name", "radius"), METRICS)
def test_flat_images_feel_no_force(backend, name, radius):
    flat, textured = np.full(SHAPE, 0.5, np.float32), smooth_volume(SHAPE)
    metric = DEFORMABLE_METRICS[name](Syn(radius=radius))
    for fixed, moving in ((flat, flat), (flat, textured), (textured, flat)):
        value, on_fixed, on_moving = measure(metric, fixed, moving, backend)
        assert np.isfinite(value)
        if name == "local_cc" or fixed is moving:
            assert value == pytest.approx(0, abs=0 if name == "local_cc" else 1e-12)
            assert not np.any([on_fixed, on_moving])
        if fixed is flat:
            assert not on_fixed.any()
