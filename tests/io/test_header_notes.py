"""Notes on what a header leaves open."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK

from itk_peers import seen_by_itk
from made_headers import HEADERS, SHAPE, write_header
from warpline.io.header_notes import PlacementDistance
from warpline.io.images import read_grid

UNREADABLE = ("singular, qform",)
"""What is refused as long as no matrix is named."""

CLEAR = ("both equal", "both equal, sform 4", "sform", "qform", "qfac 0")
"""What means the same to every tool."""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("headers")
    SimpleITK.ProcessObject_SetGlobalWarningDisplay(False)
    return {name: write_header(folder / f"{number}.nii", **says) for number, (name, says) in enumerate(HEADERS.items())}


@pytest.mark.parametrize("name", [name for name in HEADERS if name not in UNREADABLE])
def test_whoever_is_elsewhere_than_itk_is_told(files, name):
    grid, theirs = read_grid(files[name]), seen_by_itk(files[name])
    apart = theirs is None or PlacementDistance.between(grid.affine, theirs, SHAPE).voxels > 0.01
    assert not apart or any("ITK" in note for note in grid.notes)
    assert all(note.startswith(f"{files[name]}: ") and "\n" not in note for note in grid.notes)


@pytest.mark.parametrize("name", CLEAR)
def test_headers_that_agree_are_silent(files, name):
    assert read_grid(files[name]).notes == ()


@pytest.mark.parametrize("name", [name for name in HEADERS if name not in CLEAR])
def test_headers_that_leave_something_open_are_not(files, name):
    assert read_grid(files[name], "qform" if name in UNREADABLE else None).notes


def test_gaps_are_those_of_the_worst_corner():
    shifted = np.diag((2.0, 2, 2, 1))
    shifted[0, 0] = 2.2
    gap = PlacementDistance.between(np.diag((2.0, 2, 2, 1)), shifted, (11, 5, 5))
    np.testing.assert_allclose((gap.mm, gap.voxels), (2.0, 1.0))
    assert not gap.mirrored
    assert PlacementDistance.between(np.eye(4), np.diag((-1.0, 1, 1, 1)), (11, 5, 5)).mirrored
