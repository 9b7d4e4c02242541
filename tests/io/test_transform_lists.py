"""Lists of transforms as they are written on the command line."""

from __future__ import annotations

import numpy as np
import pytest

from oblique_pair import FIXED, TURN, world_points
from warpline.errors import InputError, UsageError
from warpline.io.transform_files import write_transform
from warpline.io.transform_lists import as_entries, paths_in, read_entries


@pytest.fixture
def bare(tmp_path):
    """A 4 x 4 matrix in text, whose content fits several formats."""
    write_transform(TURN, tmp_path / "turn.txt", "matrix")
    return tmp_path / "turn.txt"


def test_a_file_whose_content_fits_several_formats_needs_a_name(bare):
    with pytest.raises(InputError, match="-t FORMAT:FILE"):
        read_entries(str(bare))
    points = world_points(FIXED)
    for entry, expected in ((f"matrix:{bare}", TURN), (f"[matrix:{bare},1]", TURN.inverse())):
        np.testing.assert_allclose(read_entries(entry).map_points(points), expected.map_points(points), atol=1e-9)


def test_formats_are_named_file_by_file(bare, tmp_path):
    write_transform(TURN, tmp_path / "turn.mat")
    chain = read_entries([f"matrix:{bare}", str(tmp_path / "turn.mat")])
    points = world_points(FIXED)
    np.testing.assert_allclose(chain.map_points(points), (TURN @ TURN).map_points(points), atol=1e-9)


def test_a_colon_in_a_name_is_no_format(bare, tmp_path):
    renamed = tmp_path / "matrix:turn.mat"
    write_transform(TURN, renamed)
    assert read_entries(str(renamed)).parts
    with pytest.raises(InputError, match=r"nifty:.*turn\.txt"):
        read_entries(f"nifty:{bare}")


def test_other_brackets_are_refused():
    with pytest.raises(UsageError, match=r"write \[FILE,1\]"):
        read_entries("[a.mat,2]")


def test_one_entry_is_a_list_of_one():
    assert as_entries(TURN) == [TURN] and as_entries(["a.mat", TURN]) == ["a.mat", TURN]


def test_the_files_of_entries_are_named_without_their_marks():
    assert paths_in(["a.mat", "[b.mat,1]", "matrix:c.txt", "[fsl-flirt:d.mat,0]", "odd:e.mat"]) == [
        "a.mat", "b.mat", "c.txt", "d.mat", "odd:e.mat",
    ]  # fmt: skip
