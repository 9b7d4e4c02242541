"""Series of volumes, resampling and voxel sizes: DIPY's results, or known motions."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest

from made_series import grid as made_grid
from made_series import largest_error, made_series, seen_through
from warpline import dipy as ours
from warpline.errors import InputError, UsageError
from warpline.phantom import brain_pair

SHIFTS = ((0.0, 0.0, 0.0), (3.0, -2.0, 1.5), (-2.5, 1.0, 3.0), (1.0, 4.0, -2.0))

HOW = {"pipeline": ["translation"], "level_iters": [40, 20, 10]}


@pytest.fixture(scope="module")
def brain():
    return brain_pair((32, 36, 32), voxel_size=4.5).fixed


def translation(shift):
    matrix = np.eye(4)
    matrix[:3, 3] = shift
    return matrix


@pytest.fixture(scope="module")
def series(brain):
    """The brain moved by each of the shifts, so that the map from the first volume to another is that shift."""
    moved = [
        ours.AffineMap(translation(-np.array(shift)), brain.grid.shape, brain.affine, brain.grid.shape, brain.affine)
        for shift in SHIFTS
    ]
    return np.stack([one.transform(brain.data) for one in moved], axis=-1)


def test_every_volume_is_registered_to_one_of_them(brain, series):
    xformed, affines = ours.register_series(nibabel.Nifti1Image(series, brain.affine), 0, **HOW)
    assert xformed.shape == series.shape and affines.shape == (4, 4, 4)
    np.testing.assert_array_equal(affines[..., 0], np.eye(4))
    np.testing.assert_array_equal(xformed[..., 0], series[..., 0])
    np.testing.assert_allclose(affines[:3, 3].T, SHIFTS, atol=0.25)
    gap = np.abs(xformed[..., 1:] - series[..., :1]).mean()
    assert gap < 0.75 * np.abs(series[..., 1:] - series[..., :1]).mean()  # what is left is blur of interpolation


def test_a_reference_from_elsewhere(brain, series):
    _, affines = ours.register_series(series[..., 1:2], brain.data, series_affine=brain.affine,
                                      ref_affine=brain.affine, **HOW)  # fmt: skip
    np.testing.assert_allclose(affines[:3, 3, 0], SHIFTS[1], atol=0.25)


@pytest.mark.parametrize("from_files", [False, True])
def test_a_diffusion_series(brain, series, tmp_path, from_files):
    dipy = pytest.importorskip("dipy.core.gradients")
    bvals, bvecs = np.array([0, 1000, 5, 900.0]), np.array([[0, 0, 0], [1, 0, 0], [0, 0, 0], [0, 1, 0.0]])
    gtab = dipy.gradient_table(bvals, bvecs=bvecs)
    if from_files:
        np.savetxt(tmp_path / "bvals", bvals)
        gtab = (tmp_path / "bvals", bvecs)
    registered, affines = ours.register_dwi_series(series, gtab, affine=brain.affine, **HOW)
    assert isinstance(registered, nibabel.Nifti1Image) and registered.shape == series.shape
    np.testing.assert_array_equal(affines[..., 0], np.eye(4))
    np.testing.assert_allclose(affines[:3, 3].T, SHIFTS, atol=0.4)


def test_motion_correction_runs_the_whole_pipeline():
    assert ours.motion_correction.keywords == {"pipeline": ["center_of_mass", "translation", "rigid", "affine"]}
    assert ours.motion_correction.func is ours.register_dwi_series


def test_a_diffusion_series_to_a_template(brain, series):
    gtab = ([0, 1000, 1000, 1000], None)
    how = {"dwi_affine": brain.affine, "template": nibabel.Nifti1Image(brain.data, brain.affine)}
    warped, matrix = ours.register_dwi_to_template(series, gtab, reg_method="aff", **how, **HOW)
    np.testing.assert_allclose(matrix[:3, 3], SHIFTS[0], atol=0.25)
    assert warped.shape == brain.data.shape
    _, mapping = ours.register_dwi_to_template(series, gtab, level_iters=[2, 2], radius=2, **how)
    assert isinstance(mapping, ours.DiffeomorphicMap)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda s, a: ours.register_series(s, 9, series_affine=a), InputError, "ref is 9; the series has 4"),
        (lambda s, a: ours.register_series(s[..., 0], 0, series_affine=a), InputError, "has 3 axes"),
        (lambda s, a: ours.register_series(s, s, series_affine=a, ref_affine=a), InputError, "ref has 4 axes"),
        (lambda s, _: ours.register_series(s, 0), UsageError, "series_affine"),
        (lambda s, a: ours.register_dwi_series(s, "gradients", affine=a), UsageError, "gtab is str"),
        (lambda s, a: ours.register_dwi_series(s, ([0, 1], None), affine=a), InputError, "2 entries .* 4 volumes"),
        (lambda s, a: ours.register_dwi_series(s, ([0] * 4, None), a, 4), InputError, "b0_ref is 4; there are 4"),
        (lambda s, a: ours.register_dwi_series(s, ([99] * 4, None), affine=a), InputError, "no volume is unweighted"),
        (lambda s, a: ours.register_dwi_series(s, ("absent", None), affine=a), InputError, "absent cannot be read"),
        (lambda s, a: ours.register_dwi_to_template(s, ([0] * 4, 0), dwi_affine=a), UsageError, "template is None"),
        (lambda s, a: ours.register_dwi_to_template(s, 0, reg_method="b"), UsageError, "choose from syn, aff"),
    ],
)
def test_bad_input_is_named(brain, series, call, error, words):
    with pytest.raises(error, match=words):
        call(series, brain.affine)


def test_whole_pipelines_run_by_least_squares():
    """To hundredths of a millimetre, from a volume and from an image on another grid."""
    made = made_series(3)
    rigid = {"pipeline": ["center_of_mass", "translation", "rigid"], "series_affine": made.grid.affine}
    xformed, affines = ours.register_series(made.data, 0, **rigid)
    assert largest_error(np.moveaxis(affines, -1, 0), made.matrices, made.grid) < 0.1
    np.testing.assert_array_equal(xformed[..., 0], made.data[..., 0])
    assert np.corrcoef(xformed[..., 2].ravel(), made.data[..., 0].ravel())[0, 1] > 0.99
    where = made_grid((30, 30, 26), (2.5, 2.5, 2.5), np.eye(3))
    still = seen_through(where, np.eye(4))
    xformed, affines = ours.register_series(made.data, still, ref_affine=where.affine, **rigid)
    assert xformed.shape == (*where.shape, 3)
    assert largest_error(np.moveaxis(affines, -1, 0), made.matrices, made.grid) < 0.1


def test_volumes_of_another_contrast_go_by_mutual_information(monkeypatch):
    made = made_series(2)
    data = made.data.copy()
    data[..., 1] = 1000 - data[..., 1]
    called = []

    def registered(moving, *_, **__):
        called.append(moving)
        return moving, np.eye(4)

    monkeypatch.setattr("warpline.dipy.series.affine_registration", registered)
    ours.register_series(data, 0, ["rigid"], made.grid.affine)
    assert len(called) == 1


def test_shells_are_fitted_by_themselves():
    made = made_series(4)
    image = nibabel.Nifti1Image(made.data, made.grid.affine)
    registered, affines = ours.register_dwi_series(image, ([0, 0, 0, 0], None), b0_ref=1, pipeline=["rigid"])
    np.testing.assert_array_equal(affines[..., 1], np.eye(4))
    expected = made.matrices @ np.linalg.inv(made.matrices[1])
    assert largest_error(np.moveaxis(affines, -1, 0), expected, made.grid) < 0.1
    np.testing.assert_array_equal(registered.get_fdata()[..., 1], made.data[..., 1])
