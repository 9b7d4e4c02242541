"""Sizes that no image has, by span and by voxels without a unit."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest

from made_headers import write_header
from warpline.io.images import as_image, read_grid, read_image
from warpline.io.physical_size import in_words, is_plausible

SHAPE = (6, 7, 40)


def written(path, size, units):
    """A file of voxels of one size, in a unit by its code."""
    affine = np.diag([size, size, size, 1.0])
    data = np.zeros(SHAPE, np.float32)
    return write_header(path, sform=affine, qform=affine, data=data, pixdim=(size, size, size), units=units)


@pytest.mark.parametrize(
    ("size", "units", "words"),
    [
        (1.0, 2, []),
        (0.125, 2, []),
        (0.001, 2, []),
        (1.0, 0, []),
        (8.0, 0, []),
        (0.0325, 0, []),
        (125.0, 3, ["is in micrometres"]),
        (125.0, 2, ["spans 5000 mm along its longest axis, voxels of 125 x 125 x 125 mm, more than a whole body"]),
        (125.0, 0, ["names no unit of length", "spans 5000 mm"]),
        (0.0001, 2, ["spans 0.004 mm along its longest axis, voxels of 0.0001 x 0.0001 x 0.0001 mm, less than"]),
        (0.001, 0, ["names no unit of length (xyzt_units is 0), and its voxels are 0.001 x 0.001 x 0.001: taken"]),
        (20.0, 0, ["names no unit of length"]),
    ],
)
def test_sizes_that_no_image_has_are_noted(tmp_path, size, units, words):
    path = written(tmp_path / "a.nii", size, units)
    for notes in (read_grid(path).notes, read_image(path).grid.notes, as_image(nibabel.load(path), "a").grid.notes):
        assert len(notes) == len(words)
        assert all(said in note and note.startswith(f"{path}: ") for said, note in zip(words, notes, strict=True))


def test_the_affine_of_an_array_is_noted():
    data, wrong = np.zeros(SHAPE, np.float32), np.diag([1000.0, 1000.0, 1000.0, 1.0])
    (note,) = as_image((data, wrong), "moving").grid.notes
    assert note.startswith("moving: it spans 4e+04 mm") and "its affine is probably not in mm" in note
    assert "header" not in note and note.endswith("give the affine in mm")
    assert as_image((data, np.eye(4)), "moving").grid.notes == as_image(data, "moving").grid.notes == ()


def test_advice_says_what_to_write(tmp_path):
    for size, units in ((125.0, 2), (0.001, 0)):
        (note,) = read_grid(written(tmp_path / f"{units}.nii", size, units)).notes
        assert "no image has" in note or "more than a whole body" in note
        assert "xyzt_units" in note.rpartition("rite ")[2] and note.endswith("into the file")


def test_thick_slices_are_believed():
    assert is_plausible(np.array([0.5, 0.5, 30.0]))
    assert not is_plausible(np.array([11.0, 11.0, 30.0]))
    assert is_plausible(np.array([0.0005, 0.0005, 0.02]))


def test_sizes_are_written_by_axis():
    assert in_words(np.array([0.33333, 1, 2.5])) == "0.3333 x 1 x 2.5"
