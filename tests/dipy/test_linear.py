"""Linear registration behind DIPY's optimiser and one-call helpers."""

from __future__ import annotations

import numpy as np
import pytest

from dipy_motions import error, moved_by
from warpline import dipy as ours
from warpline.backends import select
from warpline.errors import UsageError
from warpline.resampling import warp
from warpline.space import Affine


@pytest.mark.parametrize(
    ("name", "theta"),
    [
        ("TranslationTransform3D", [3.0, -4.0, 2.5]),
        ("RigidTransform3D", [0.06, -0.05, 0.08, 2.0, -3.0, 1.5]),
        ("RigidIsoScalingTransform3D", [0.05, 0.04, -0.06, 2.0, 1.0, -1.5, 1.05]),
        ("AffineTransform3D", [1.04, 0.05, 0, 2, -0.03, 0.97, 0.04, -1, 0, 0.02, 1.03, 1.5]),
    ],
)
def test_a_known_motion_is_found(brain, name, theta):
    transform = getattr(ours, name)()
    truth, moving = moved_by(brain, transform, np.array(theta))
    affreg = ours.AffineRegistration(ours.MutualInformationMetric(32), [60, 30], factors=[2, 1])
    found, xopt, fopt = affreg.optimize(
        brain.data, moving, transform, None, brain.affine, brain.affine, ret_metric=True
    )
    assert isinstance(found, ours.AffineMap)
    assert error(found.affine, truth, brain) < 0.35 < error(np.eye(4), truth, brain)
    np.testing.assert_allclose(transform.param_to_matrix(xopt), found.affine, atol=1e-5)
    assert np.isfinite(fopt)


@pytest.mark.parametrize(
    ("name", "theta"),
    [
        ("RotationTransform3D", [0.06, -0.05, 0.08]),
        ("ScalingTransform3D", [1.06]),
        ("RigidScalingTransform3D", [0.06, -0.05, 0.08, 2.0, -3.0, 1.5, 1.05, 0.96, 1.03]),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_what_is_counted_in_the_world_acts_after_the_start(brain, name, theta, turned):
    transform, start = getattr(ours, name)(), np.eye(4)
    if turned:
        start = ours.RigidTransform3D().param_to_matrix([0.3, -0.2, 0.25, 6.0, -9.0, 4.0])
    truth = transform.param_to_matrix(theta) @ start
    moving = warp(brain, Affine(np.linalg.inv(truth)), brain.grid, backend=select("numpy")).data
    affreg = ours.AffineRegistration(ours.MutualInformationMetric(32), [60, 30], factors=[2, 1])
    found, xopt, _ = affreg.optimize(
        brain.data, moving, transform, None, brain.affine, brain.affine, starting_affine=start, ret_metric=True
    )
    assert error(found.affine, truth, brain) < 0.35 < error(start, truth, brain)
    tolerance = {"RigidScalingTransform3D": 5e-3}.get(name, 1e-5)  # a product of several is not quite one of the family
    np.testing.assert_allclose(transform.param_to_matrix(xopt) @ start, found.affine, atol=30 * tolerance)


def test_scales_in_a_plane_are_along_the_axes_of_the_world(brain):
    picture = brain.data[:, :, 20]
    turn = ours.RigidTransform2D().param_to_matrix([0.4, 3.0, -2.0])
    theta = [0.05, 1.0, -1.5, 1.06, 0.95]
    truth = ours.RigidScalingTransform2D().param_to_matrix(theta)
    grid = turn @ np.diag([3.5, 3.5, 1.0])
    moving = ours.AffineMap(np.linalg.inv(truth), picture.shape, grid, picture.shape, grid).transform(picture)
    affreg = ours.AffineRegistration(level_iters=[60, 30], factors=[2, 1])
    found, xopt, _ = affreg.optimize(
        picture, moving, ours.RigidScalingTransform2D(), None, grid, grid, starting_affine=None, ret_metric=True
    )
    np.testing.assert_allclose(found.affine[:2, :2], truth[:2, :2], atol=0.02)
    np.testing.assert_allclose(xopt[3:], theta[3:], atol=0.02)


def test_transforms_of_dipys_own_are_taken(brain):
    theirs = pytest.importorskip("dipy.align.transforms")
    assert {key: type(one).__name__ for key, one in ours.regtransforms.items()} == {
        key: type(one).__name__ for key, one in theirs.regtransforms.items()
    }
    truth, moving = moved_by(brain, ours.TranslationTransform3D(), np.array([3.0, -4.0, 2.5]))
    affreg = ours.AffineRegistration(level_iters=[40], factors=[2])
    found = affreg.optimize(
        brain.data, moving, theirs.regtransforms["TRANSLATION", 3], None, brain.affine, brain.affine
    )
    assert error(found.affine, truth, brain) < 0.35


def test_masks_without_effect_are_warned_of(brain):
    affreg = ours.AffineRegistration(ours.MutualInformationMetric(32, 0.3), [2], factors=[4])
    how = {"static_grid2world": brain.affine, "moving_grid2world": brain.affine}
    with pytest.warns(UserWarning, match="moving_mask is 0 everywhere; the whole image counts"):
        affreg.optimize(
            brain.data, brain.data, ours.TranslationTransform3D(), moving_mask=np.zeros_like(brain.data), **how
        )
    with pytest.warns(UserWarning, match=r"masks count here although sampling_proportion is 0\.3"):
        affreg.optimize(
            brain.data, brain.data, ours.TranslationTransform3D(), static_mask=np.ones_like(brain.data), **how
        )


def test_two_dimensions(brain):
    picture = brain.data[:, :, 20]
    transform = ours.RigidTransform2D()
    start = transform.param_to_matrix([0.05, 1.0, -1.5])
    moving = ours.AffineMap(np.linalg.inv(start), picture.shape, None, picture.shape).transform(picture)
    affreg = ours.AffineRegistration(level_iters=[60, 30], factors=[2, 1])
    found = affreg.optimize(picture, moving, transform, starting_affine="mass")
    assert found.affine.shape == (3, 3)
    np.testing.assert_allclose(found.affine, start, atol=0.3)


@pytest.mark.parametrize("start", ["mass", "voxel-origin", "centers"])
def test_starts(brain, start):
    moving_affine = brain.affine.copy()
    moving_affine[:3, 3] += (5, 6, 7)
    affreg = ours.AffineRegistration(level_iters=[1], factors=[1])
    found = affreg.optimize(
        brain.data, brain.data, ours.RigidTransform3D(), None, brain.affine, moving_affine, starting_affine=start
    )
    np.testing.assert_allclose(found.affine[:3, 3], (5, 6, 7), atol=0.05)


def test_masks_restrict_the_comparison(brain):
    truth, moving = moved_by(brain, ours.TranslationTransform3D(), np.array([2.0, -3.0, 1.0]))
    spoiled, mask = moving.copy(), np.ones(moving.shape, np.uint8)
    spoiled[:, :, 28:] = np.random.default_rng(0).uniform(0, 1, moving[:, :, 28:].shape)
    mask[:, :, 27:] = 0
    affreg = ours.AffineRegistration(level_iters=[60, 30], factors=[2, 1])
    grids = {"static_grid2world": brain.affine, "moving_grid2world": brain.affine}
    found = affreg.optimize(brain.data, spoiled, ours.TranslationTransform3D(), moving_mask=mask, **grids)
    assert error(found.affine, truth, brain) < 0.5


def test_fewer_iterations_than_factors_run_on_finest_levels():
    assert ours.AffineRegistration(level_iters=[20, 5]).factors == [2, 1]
    assert ours.AffineRegistration(level_iters=[5], factors=[6, 3]).factors == [3]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda brain: optimise(brain, "rigid"), "transform is 'rigid'; choose from TranslationTransform2D"),
        (lambda _: ours.AffineRegistration(level_iters=[]), "level_iters is empty"),
        (lambda brain: optimise(brain, ours.RigidTransform3D(), starting_affine="middle"), "choose from mass"),
        (lambda _: ours.AffineRegistration(level_iters=[1, 2, 3, 4]), "4 entries and factors 3"),
        (lambda _: ours.MutualInformationMetric(sampling_proportion=2), "sampling_proportion is 2"),
        (lambda brain: optimise(brain, ours.RigidTransform3D(), metric=ours.MutualInformationMetric(4)), "bins = 4"),
    ],
)
def test_bad_options_are_named(brain, call, words):
    with pytest.raises(UsageError, match=words):
        call(brain)


def optimise(brain, transform, metric=None, **how):
    return ours.AffineRegistration(metric, [1], factors=[1]).optimize(brain.data, brain.data, transform, **how)
