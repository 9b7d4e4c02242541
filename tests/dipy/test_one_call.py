"""Registration in one call."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest

from dipy_motions import error, moved_by
from warpline import dipy as ours
from warpline.errors import InputError, UsageError


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
        (lambda b: ours.syn_registration(b, b, np.eye(4), np.eye(4), metric="MI"), "choose from CC, EM, SSD"),
    ],
)
def test_calls_that_are_refused(brain, call, words):
    with pytest.raises(UsageError, match=words):
        call(brain.data)


def translation(shift):
    matrix = np.eye(4)
    matrix[:3, 3] = shift
    return matrix


def test_resample_is_dipys(brain):
    dipy = pytest.importorskip("dipy.align")
    target = np.zeros((20, 22, 18))
    how = {"static_affine": np.diag([5.0, 5, 6, 1]), "between_affine": translation((2, 3, 4))}
    found = ours.resample(brain.data, target, moving_affine=brain.affine, **how)
    expected = dipy.resample(brain.data, target, moving_affine=brain.affine, **how)
    np.testing.assert_allclose(found.get_fdata(), expected.get_fdata(), atol=1e-6)
    np.testing.assert_array_equal(found.affine, expected.affine)


def test_images_of_two_axes_are_refused_with_the_way_out():
    image = np.zeros((8, 8))
    with pytest.raises(InputError, match=r"static has 2 axes and moving 2; .* AffineRegistration with a 2-D transform"):
        ours.affine_registration(image, image, np.eye(3), np.eye(3), pipeline=["translation"])
