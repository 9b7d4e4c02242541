"""Images of other formats than NIfTI: those of the table are read as nibabel reads them, and nothing harms."""

from __future__ import annotations

import struct
from pathlib import Path

import nibabel
import numpy as np
import pytest

from warpline.errors import InputError
from warpline.io.image_formats import FORMATS
from warpline.io.images import read_image

THEIRS = Path(nibabel.__file__).parent / "tests" / "data"

SAMPLES = {
    "mgh": ("test.mgz",),
    "minc": ("minc1_1_scale.mnc", "minc2_1_scale.mnc", "tiny.mnc", "minc2_4d.mnc"),
    "par-rec": ("phantom_EPI_asc_CLEAR_2_1.PAR",),
    "afni": ("example4d+orig.HEAD", "scaled+tlrc.HEAD"),
}


@pytest.mark.parametrize("name", [name for names in SAMPLES.values() for name in names])
def test_values_and_place_are_those_of_nibabel(name):
    image, theirs = read_image(THEIRS / name), nibabel.load(THEIRS / name)
    np.testing.assert_allclose(image.data, np.squeeze(theirs.get_fdata()), rtol=1e-6)
    np.testing.assert_allclose(image.affine, theirs.affine, atol=1e-6)


def test_analyze_is_read(tmp_path):
    nibabel.save(
        nibabel.Spm2AnalyzeImage(np.arange(60, dtype=np.int16).reshape(3, 4, 5), np.eye(4)), tmp_path / "a.img"
    )
    np.testing.assert_array_equal(read_image(tmp_path / "a.hdr").data.ravel(), np.arange(60))


@pytest.mark.parametrize("name", ["brain.dcm", "brain.nii.bz2", "brain.v", "brain.gii", "brain.npy", "brain"])
def test_other_names_are_not_tried(tmp_path, name):
    (tmp_path / name).write_bytes(b"anything")
    with pytest.raises(InputError, match=r"is not a readable image \(it is no NIfTI, .*\.mgz"):
        read_image(tmp_path / name)


@pytest.mark.parametrize(
    ("shape", "kind"), [((1000, 1000, 500, 1), 3), ((0, 5, 5, 1), 3), ((-5, 5, 5, 1), 3), ((5,) * 4, 77)]
)
def test_headers_of_mgh_that_lie_are_refused(tmp_path, shape, kind):
    path = tmp_path / "lie.mgh"
    path.write_bytes(struct.pack(">7i", 1, *shape, kind, 0) + bytes(656))
    with pytest.raises(InputError, match=r"lie\.mgh"):
        read_image(path)


def test_a_data_file_of_another_compression_is_refused(tmp_path):
    nibabel.save(nibabel.Nifti1Pair(np.zeros((4, 4, 4), np.uint8), np.eye(4)), tmp_path / "a.img.gz")
    (tmp_path / "a.img.gz").rename(tmp_path / "a.img")
    (tmp_path / "a.hdr.gz").rename(tmp_path / "a.hdr")
    with pytest.raises(InputError, match=r"a\.img"):
        read_image(tmp_path / "a.img")


def test_every_format_says_what_it_is():
    assert all(known.about and all(suffix == suffix.lower() for suffix in known.suffixes) for known in FORMATS.values())
