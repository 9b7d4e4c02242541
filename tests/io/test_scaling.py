"""Scaled values: labels stay exact and apart, intensities are rounded once."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest

from warpline.errors import InputError
from warpline.io.images import as_image, read_image
from warpline.io.scaling import apply_scaling, restore_integers

LABELS = {
    "int16 + 614454272": (np.arange(5, dtype="int16"), 1, 614454272, "int32"),
    "uint8 + 2^40": (np.arange(5, dtype="uint8"), 1, 2.0**40, "int64"),
    "int16 x 2^20 - 2^30": (np.arange(-2, 3, dtype="int16"), 2.0**20, -(2.0**30), "int32"),
    "uint64 + 0, beyond double": (np.array([0, 2**62 + 1, 2**62 + 3], "uint64"), 2, 0, "uint64"),
    "int64 - 2^62": (np.array([-(2**61) - 1, 2**61 + 1], "int64"), 1, -(2.0**62), "int64"),
    "int16 x 0.1": (np.array([0, 10, 20, 1010], "int16"), np.float32(0.1), 0, "int16"),
    "int32 x 0.5": (np.array([0, 614454276, -2], "int32"), 0.5, 0, "int32"),
    "float32 x 3 + 1e9": (np.arange(5, dtype="float32"), 3, 1e9, "int32"),
    "float64 x 2": (np.array([0, 2.0**40 + 1]), 2, 0, "int64"),
}


@pytest.mark.parametrize("name", LABELS)
def test_whole_numbers_are_restored(name):
    stored, slope, inter, kind = LABELS[name]
    made = apply_scaling(stored, (slope, inter), "a")
    assert made.dtype == kind
    if stored.dtype.kind == "f" or slope < 1:
        expected = [round(float(value) * float(slope) + float(inter)) for value in stored]
    else:
        expected = [int(value) * int(slope) + int(inter) for value in stored]
    assert made.tolist() == expected


@pytest.mark.parametrize("dtype", ["int16", "uint16", "int8", "float32"])
def test_fractions_become_float32_rounded_once(dtype):
    stored = np.array([[-7, 1, 100], [3, 99, 12]]).astype(dtype)
    made = apply_scaling(stored, (0.37, 0.0), "a")
    assert made.dtype == np.float32
    np.testing.assert_array_equal(made, (stored * np.float64(0.37)).astype(np.float32))


@pytest.mark.parametrize(
    ("stored", "slope", "inter"),
    [
        (np.arange(5, dtype="int16"), 0.3, 614454272.5),
        (np.array([0, 2**24 + 1, 2**24 + 2, 2**30], "int32"), 0.37, 0.0),
        (np.array([0, 1e-3, 1], "float32"), 0.7, 1e6),
        (np.array([0, 1 / 3]), 0.7, 0.0),
    ],
)
def test_values_that_float32_would_merge_stay_double(stored, slope, inter):
    made = apply_scaling(stored, (slope, inter), "a")
    assert made.dtype == np.float64
    assert len(np.unique(made)) == len(np.unique(stored))


def test_what_cannot_be_kept_is_refused():
    with pytest.raises(InputError, match=r"a is scaled by its header \(scl_slope 0.3, .*64 bits cannot hold apart"):
        apply_scaling(np.array([2**62, 2**62 + 1], "int64"), (0.3, 0.0), "a")


@pytest.mark.parametrize("scale", [(None, None), (1, 0), (1, None)])
def test_unscaled_values_keep_their_type(scale):
    stored = np.array([[1, 2], [3, 2**63]], ">u8")
    made = apply_scaling(stored, scale, "a")
    assert made.dtype == np.uint64 and made.dtype.isnative and made.flags.c_contiguous
    np.testing.assert_array_equal(made, stored)


def test_nan_is_no_whole_number():
    made = apply_scaling(np.array([np.nan, 1.0], "float32"), (2.0, 0.0), "a")
    assert made.dtype == np.float32
    np.testing.assert_array_equal(made, [np.nan, 2.0])


@pytest.mark.parametrize("suffix", [".nii", ".img"])
def test_labels_of_files_are_restored(tmp_path, suffix):
    labels = np.random.default_rng(0).integers(0, 5, (6, 7, 8)).astype(np.int16)
    kind = nibabel.Nifti1Pair if suffix == ".img" else nibabel.Nifti1Image
    nibabel.save(kind(labels, np.eye(4)), tmp_path / f"a{suffix}")
    head = tmp_path / ("a.hdr" if suffix == ".img" else "a.nii")
    content = bytearray(head.read_bytes())
    content[112:120] = np.array((1, 614454272), "<f4").tobytes()
    head.write_bytes(content)
    for image in (read_image(tmp_path / f"a{suffix}"), as_image(nibabel.load(tmp_path / f"a{suffix}"), "a")):
        assert image.data.dtype == np.int32
        np.testing.assert_array_equal(image.data, labels.astype(np.int64) + 614454272)


@pytest.mark.parametrize(
    ("values", "kind"),
    [([0.0, 2.0**40 + 1], "int64"), ([0, 614454277 + 1e-5], "int32"), ([0.5, 2.0**40], "float32"), ([3, 4], "float32")],
)
def test_values_of_other_formats_are_settled_alike(values, kind):
    made = restore_integers(np.array(values))
    assert made.dtype == kind
    np.testing.assert_allclose(made, values, rtol=1e-7)
