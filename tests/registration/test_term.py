"""One channel at a level: what masks and weights leave of its forces and its value."""

from __future__ import annotations

import numpy as np
import pytest

from synthetic import ellipsoid, pair_with_known_map, soft_weights
from warpline.metrics import CHANNEL_METRICS
from warpline.recipe import Syn
from warpline.registration.cropping import Channel
from warpline.registration.pyramid import SharedLevel
from warpline.registration.term import Counted, Term
from warpline.space.grid import Grid

SHAPE = (20, 18, 16)
GRID = Grid(SHAPE, np.eye(4))


def found(backend, half_maps=None, **marks):
    """The forces and the energy of a term of mean squares; weights are volumes, masks too."""
    fixed, moving, _ = pair_with_known_map(SHAPE, seed=4)
    volumes = {name: backend.upload(volume.astype(np.float32)) for name, volume in marks.items()}
    given = {name: (volume, GRID) if "weights" in name else volume for name, volume in volumes.items()}
    channel = Channel(*(backend.upload(image.astype(np.float32)) for image in (fixed, moving)), GRID, GRID, **given)
    metric = CHANNEL_METRICS["mean_squares"](Syn(metric="mean_squares"))
    term = Term(channel, SharedLevel.of(GRID, 1.0), np.eye(4), metric, backend)
    maps = backend.upload(np.zeros((2, 3, *SHAPE), np.float32) if half_maps is None else half_maps)
    warped, forces = backend.empty((2, *SHAPE)), backend.empty((2, 3, *SHAPE))
    term.compute_forces(maps, warped, forces)
    return backend.download(forces), float(backend.download(term.energy() + backend.zeros((1,), np.float64))[0])


def test_equal_weights_are_none(backend):
    forces, energy = found(backend)
    weighted, same = found(backend, fixed_weights=np.ones(SHAPE))
    np.testing.assert_allclose(weighted, forces, atol=1e-7)
    assert same == pytest.approx(energy, rel=1e-6)


def test_forces_are_times_the_weights_of_both_sides(backend):
    weights = [np.maximum(soft_weights(SHAPE, seed), 0) for seed in (1, 2)]
    forces, _ = found(backend)
    weighted, _ = found(backend, fixed_weights=weights[0], moving_weights=weights[1])
    np.testing.assert_allclose(weighted, forces * weights[0] * weights[1], atol=1e-5 * np.abs(forces).max())


def test_masks_and_weights_count_together(backend):
    mask, weights = ellipsoid(SHAPE).astype(np.float32), np.maximum(soft_weights(SHAPE, 1, axes=0.6), 0)
    masked, _ = found(backend, fixed_mask=mask)
    both, _ = found(backend, fixed_mask=mask, fixed_weights=weights)
    assert np.abs(masked[:, :, mask == 0]).max() == 0
    np.testing.assert_allclose(both, masked * weights, atol=1e-5 * np.abs(masked).max())


def test_weights_move_with_their_image(backend):
    half_maps = np.zeros((2, 3, *SHAPE), np.float32)
    half_maps[0, 0] = 2
    weights = np.zeros(SHAPE)
    weights[8:12] = 1
    forces, _ = found(backend, half_maps, fixed_weights=weights)
    planes = np.abs(forces).max(axis=(0, 1, 3, 4)) > 0
    np.testing.assert_array_equal(np.flatnonzero(planes), [6, 7, 8, 9])


def test_values_of_whole_images_are_not_divided_by_what_counts(backend):
    fixed, moving, _ = pair_with_known_map(SHAPE, seed=4)
    mask = backend.upload(ellipsoid(SHAPE, 0.2).astype(np.float32))
    images = (backend.upload(image.astype(np.float32)) for image in (fixed, moving))
    channel = Channel(*images, GRID, GRID, fixed_mask=mask)
    metric = CHANNEL_METRICS["correlation"](Syn(metric="correlation"))
    term = Term(channel, SharedLevel.of(GRID, 1.0), np.eye(4), metric, backend, is_mean=False)
    fields = backend.upload(np.zeros((2, 3, *SHAPE), np.float32))
    term.compute_forces(fields, backend.empty((2, *SHAPE)), backend.empty((2, 3, *SHAPE)))
    assert -1 <= float(backend.download(term.energy())[0]) <= 0


def counted(backend, **weights):
    fixed, moving, _ = pair_with_known_map(SHAPE, seed=4)
    images = (backend.upload(image.astype(np.float32)) for image in (fixed, moving))
    given = {name: (backend.upload(volume.astype(np.float32)), GRID) for name, volume in weights.items()}
    metric = CHANNEL_METRICS["mean_squares"](Syn(metric="mean_squares"))
    term = Term(Channel(*images, GRID, GRID, **given), SharedLevel.of(GRID, 1.0), np.eye(4), metric, backend)
    return term.counted_later(backend.upload(np.zeros((2, 3, *SHAPE), np.float32)))()


def test_what_counts_is_added_up(backend):
    assert counted(backend) is None
    half, right = np.zeros(SHAPE), np.zeros(SHAPE)
    half[:10], right[12:] = 0.5, 1
    left = counted(backend, fixed_weights=half)
    assert left.total == pytest.approx(0.5 * 10 * 18 * 16, rel=0.1) and left.share == pytest.approx(0.25, rel=0.1)
    assert left.voxels == pytest.approx(10 * 18 * 16, rel=0.1) and not left.is_scarce
    assert counted(backend, fixed_weights=half, moving_weights=right).is_nothing
    half[:] = 0
    half[10, 9, 8] = 1
    assert counted(backend, fixed_weights=half).is_scarce
    assert Counted(500.0, 0.5, 5.0).is_scarce and not Counted(2.0, 0.5, 30.0).is_scarce
