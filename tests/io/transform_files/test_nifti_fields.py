"""Vector images in NIfTI: signatures, order of axes, changes of coordinates."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest

from warpline.errors import InputError
from warpline.io.transform_files import nifti_fields
from warpline.io.transform_files.format import Head

SHAPE = (4, 3, 5)


def saved(path, shape=(*SHAPE, 1, 3), dtype=np.float32, intent=0, description=b""):
    image = nibabel.Nifti1Image(np.ones(shape, dtype), np.eye(4))
    image.header["intent_code"], image.header["descrip"] = intent, description
    nibabel.save(image, path)
    return path


@pytest.mark.parametrize(
    ("signs", "tools"),
    [
        ({"intent": 1007}, {"itk"}),
        ({"intent": 1006}, {"itk"}),
        ({"description": b"3dQwarp"}, {"afni"}),
        ({"description": b"Deformation"}, {"spm"}),
        ({}, {"itk", "afni", "spm"}),
        ({"intent": 1007, "shape": (*SHAPE, 3)}, set()),
    ],
)
def test_a_signed_field_is_of_one_tool(tmp_path, signs, tools):
    head = Head.of(saved(tmp_path / "field.nii", **signs))
    assert {tool for tool in nifti_fields.SIGNATURES if nifti_fields.may_be_from(tool, head)} == tools


def test_components_come_first_and_go_last():
    array = np.random.default_rng(0).normal(size=(*SHAPE, 3)).astype(np.float32)
    field = nifti_fields.components_first(array)
    assert field.shape == (3, *SHAPE) and field.flags.c_contiguous
    np.testing.assert_array_equal(nifti_fields.components_last(field), array)


def test_combined_is_linear_in_field_and_index():
    rng = np.random.default_rng(1)
    field = rng.normal(size=(3, *SHAPE)).astype(np.float32)
    linear, ramp = rng.normal(size=(3, 3)), rng.normal(size=(4, 4))
    index = np.concatenate([np.indices(SHAPE, dtype=float), np.ones((1, *SHAPE))])
    expected = np.tensordot(linear, field.astype(float), 1) + np.tensordot(ramp[:3], index, 1)
    np.testing.assert_allclose(nifti_fields.transform_vectors(field, linear, ramp), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "words"), [({"shape": SHAPE}, "is no field of this format"), ({"dtype": np.int16}, "holds int16")]
)
def test_what_is_no_field_of_floats_is_refused(tmp_path, kind, words):
    with pytest.raises(InputError, match=words):
        nifti_fields.read(saved(tmp_path / "field.nii", **kind), ((1, 3),))


def test_nan_is_refused_unless_gaps_are_allowed(tmp_path):
    field = np.ones((*SHAPE, 1, 3), np.float32)
    field[0, 0, 0, 0, 1] = np.nan
    nibabel.save(nibabel.Nifti1Image(field, np.eye(4)), tmp_path / "field.nii")
    with pytest.raises(InputError, match="NaN or infinite"):
        nifti_fields.read(tmp_path / "field.nii", ((1, 3),))
    assert np.isnan(nifti_fields.read(tmp_path / "field.nii", ((1, 3),), allows_nan=True).array).sum() == 1
