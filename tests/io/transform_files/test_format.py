"""The beginning of a file, by which formats are told apart, and bounded reading of the rest."""

from __future__ import annotations

import gzip

import h5py
import nibabel
import numpy as np
import pytest

from made_transforms import made_pair
from warpline.errors import InputError
from warpline.io.transform_files.format import HEAD_SIZE, Grids, Head, MissingGridError, read_numbers, read_text

FIXED, MOVING = made_pair("straight", "oblique")


def test_a_head_of_nifti_knows_its_header(tmp_path):
    image = nibabel.Nifti1Image(np.zeros((2, 3, 4, 1, 3), np.float32), np.eye(4))
    image.header.set_intent("vector", name="warp")
    image.header["descrip"] = b"made"
    nibabel.save(image, tmp_path / "field.nii.gz")
    head = Head.of(tmp_path / "field.nii.gz")
    assert (head.shape, head.intent, head.intent_name) == ((2, 3, 4, 1, 3), 1007, "warp")
    assert (head.description, head.extension, head.text) == ("made", 0, "")


def test_a_head_of_text_ends_with_a_whole_line(tmp_path):
    (tmp_path / "long.txt").write_text("1 2 3\n" * HEAD_SIZE)
    text = Head.of(tmp_path / "long.txt").text
    assert text.endswith("1 2 3\n") and HEAD_SIZE - 6 < len(text) <= HEAD_SIZE
    assert Head.of(tmp_path / "long.txt").nifti is None


@pytest.mark.parametrize(("attribute", "kind"), [(None, "AffineTransform_double_2_2"), ("X5", None)])
def test_a_head_of_hdf5_knows_its_signature(tmp_path, attribute, kind):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        if attribute is not None:
            file.attrs["Format"] = attribute
        group = file.create_group("TransformGroup/0")
        group.create_dataset("TransformType", data=["AffineTransform_double_2_2"], dtype=h5py.string_dtype("ascii"))
    head = Head.of(tmp_path / "a.h5")
    assert (head.hdf5.format, head.hdf5.itk_class) == (attribute, kind)


def test_other_files_have_no_signature_of_hdf5(tmp_path):
    (tmp_path / "a.txt").write_text("1 2 3\n")
    assert (Head.of(tmp_path / "a.txt").hdf5.format, Head.of(tmp_path / "a.txt").hdf5.itk_class) == (None, None)


def test_grids_that_are_missing_are_asked_for():
    assert Grids(FIXED, MOVING).need_both("why") == (FIXED, MOVING)
    for grids, word in ((Grids(), "both images"), (Grids(FIXED), "moving image"), (Grids(None, MOVING), "fixed image")):
        with pytest.raises(MissingGridError, match=f"why; give the grids? of .*{word}"):
            grids.need_both("why")


def test_longer_files_than_any_of_the_kind_are_refused(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"1" * 100)
    assert read_numbers(tmp_path / "a.txt", 100) == b"1" * 100
    with pytest.raises(InputError, match="longer than 99 bytes"):
        read_numbers(tmp_path / "a.txt", 99)


def test_text_may_be_compressed_but_not_binary(tmp_path):
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"1 2\n"))
    (tmp_path / "b.txt").write_bytes(b"\xff\xfe")
    assert read_text(tmp_path / "a.txt.gz") == "1 2\n"
    with pytest.raises(InputError, match="no text file"):
        read_text(tmp_path / "b.txt")
