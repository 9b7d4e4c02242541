"""Linear registration behind DIPY's optimiser and one-call helpers."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest

from warpline import dipy as ours
from warpline.backends import select
from warpline.errors import UsageError
from warpline.geometry import apply_affine
from warpline.image import Image
from warpline.phantom import brain_pair
from warpline.resampling import warp
from warpline.transforms import Affine

CENTRE = np.array([4.0, -6.0, 3.0])


@pytest.fixture(scope="module")
def brain():
    return brain_pair((44, 48, 44), voxel_size=3.5).fixed


def moved_by(brain, transform, theta):
    """The brain displaced so that the static to moving map is known: a transform about a point inside it."""
    shift = np.eye(4)
    shift[:3, 3] = CENTRE
    truth = shift @ transform.param_to_matrix(theta) @ np.linalg.inv(shift)
    moving = warp(brain, Affine(np.linalg.inv(truth)), brain.grid, backend=select("numpy"))
    return truth, moving.data


def error(matrix, truth, brain: Image):
    points = apply_affine(brain.affine, np.argwhere(brain.data > 0.1)[::50])
    return np.linalg.norm(apply_affine(matrix, points) - apply_affine(truth, points), axis=1).mean()


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


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda brain: optimise(brain, ours.RotationTransform3D()), "RotationTransform3D cannot be optimised"),
        (lambda brain: optimise(brain, ours.RigidTransform3D(), starting_affine="middle"), "choose from mass"),
        (lambda _: ours.AffineRegistration(level_iters=[1, 2]), "2 entries and factors 3"),
        (lambda _: ours.MutualInformationMetric(sampling_proportion=2), "sampling_proportion is 2"),
        (lambda brain: optimise(brain, ours.RigidTransform3D(), metric=ours.MutualInformationMetric(4)), "bins = 4"),
    ],
)
def test_bad_options_are_named(brain, call, words):
    with pytest.raises(UsageError, match=words):
        call(brain)


def optimise(brain, transform, metric=None, **how):
    return ours.AffineRegistration(metric, [1], factors=[1]).optimize(brain.data, brain.data, transform, **how)


# -- one call -------------------------------------------------------------------------------------------------


def test_affine_registration_from_files(brain, tmp_path):
    truth, moving = moved_by(
        brain, ours.AffineTransform3D(), np.array([1.03, 0.04, 0, 4, -0.02, 0.98, 0, -3, 0, 0, 1, 2])
    )
    for name, data in (("static", brain.data), ("moving", moving)):
        nibabel.save(nibabel.Nifti1Image(data, brain.affine), tmp_path / f"{name}.nii.gz")
    resampled, matrix, xopt, _ = ours.affine_registration(
        tmp_path / "moving.nii.gz",
        nibabel.load(tmp_path / "static.nii.gz"),
        pipeline=["center_of_mass", ours.translation, "rigid", ours.affine],
        level_iters=[60, 30],
        factors=[2, 1],
        ret_metric=True,
        nbins=32,
    )
    assert resampled.dtype == np.float64 and resampled.shape == brain.data.shape and xopt.shape == (12,)
    assert error(matrix, truth, brain) < 0.4
    assert np.corrcoef(resampled.ravel(), brain.data.ravel())[0, 1] > 0.97


def test_single_steps(brain):
    truth, moving = moved_by(brain, ours.TranslationTransform3D(), np.array([4.0, -5.0, 3.0]))
    how = {"moving_affine": brain.affine, "static_affine": brain.affine}
    expected = ours.transform_centers_of_mass(brain.data, brain.affine, moving, brain.affine).affine
    np.testing.assert_allclose(ours.center_of_mass(moving, brain.data, **how)[1], expected)
    _, matrix = ours.translation(moving, brain.data, level_iters=[40], factors=[2], **how)
    assert error(matrix, truth, brain) < 0.5


def test_syn_registration_in_one_call(brain):
    _, moving = moved_by(brain, ours.AffineTransform3D(), np.array([1.05, 0, 0, 2, 0, 0.95, 0, -1, 0, 0, 1.04, 1]))
    warped, mapping = ours.syn_registration(
        moving, brain.data, brain.affine, brain.affine, level_iters=[10, 10], radius=2, prealign=np.eye(4)
    )
    before, after = (np.corrcoef(x.ravel(), brain.data.ravel())[0, 1] for x in (moving, warped))
    assert after > before + 0.03
    np.testing.assert_array_equal(mapping.transform(moving), warped)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda b: ours.affine_registration(b, b), "static is an array"),
        (lambda b: ours.affine_registration(b, b, np.eye(4), np.eye(4), metric="NCC"), "'NCC' is not offered"),
        (lambda b: ours.affine_registration(b, b, np.eye(4), np.eye(4), ["shear"]), "choose from center_of_mass"),
        (lambda b: ours.center_of_mass(b, b, np.eye(4), np.eye(4), ret_metric=True), "no metric to return"),
        (lambda b: ours.syn_registration(b, b, np.eye(4), np.eye(4), metric="EM"), "choose from CC, SSD"),
    ],
)
def test_calls_that_are_refused(brain, call, words):
    with pytest.raises(UsageError, match=words):
        call(brain.data)
