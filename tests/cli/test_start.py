"""Where a registration starts, on the command line."""

from __future__ import annotations

import json

import numpy as np
import pytest

from warpline.cli.options import SPACES
from warpline.cli.start import landmark_tables, surface_pairs
from warpline.errors import UsageError
from warpline.io.images import read_grid
from warpline.io.points import SPACES as ALL_SPACES
from warpline.io.transform_files import read_transform

QUICK = ("--recipe", "rigid", "--set", "linear=off", "--backend", "numpy")


def test_the_spaces_are_those_of_tables():
    assert tuple(ALL_SPACES) == SPACES


@pytest.mark.parametrize("text", ["a.csv", "a.csv,", "a.csv,b.csv,c.csv", ""])
def test_landmarks_are_two_tables(text):
    with pytest.raises(UsageError, match=r"written FIXED\.csv,MOVING\.csv"):
        landmark_tables(text)
    assert landmark_tables(None) is None and landmark_tables("a.csv,b.csv") == ("a.csv", "b.csv")


@pytest.fixture
def tables(pair, tmp_path):
    """Tables of points in the middle of the fixed image and 3 mm from there, LPS."""
    centre = read_grid(pair["fixed"]).centre
    points = (centre + [[0, 0, 0], [9, 0, 0], [0, 9, 0], [0, 0, 9]]) * [-1, -1, 1]
    for name, shift in (("fixed", 0), ("moving", 3)):
        rows = [f"{x + shift},{y},{z},{name}" for (x, y, z), name in zip(points.tolist(), "abcd", strict=True)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["x,y,z,name", *rows]) + "\n")
    return tmp_path


def test_landmarks_are_the_start_and_are_reported(pair, call, tables):
    both = f"{tables}/fixed.csv,{tables}/moving.csv"
    made = ("-o", f"{tables}/a_", "--landmarks", both, "--space", "lps")
    record = call("register", pair["fixed"], pair["moving"], *made, *QUICK)
    affine = read_transform(tables / "a_0GenericAffine.mat")
    np.testing.assert_allclose(affine.matrix[:3, 3], [-3, 0, 0], atol=1e-5)
    landmarks = record["landmarks"]
    assert landmarks["files"] == both.split(",") and landmarks["names"] == list("abcd")
    assert (landmarks["model"], landmarks["count"]) == ("rigid", 4) and landmarks["result"]["max"] < 1e-5
    assert "Landmarks</h2>" in (tables / "a_report.html").read_text()
    assert json.loads((tables / "a_report.json").read_text())["landmarks"] == landmarks


def test_surfaces_are_pairs_with_options():
    first, second = surface_pairs(["a.gii,b.gii", "c.csv,d.csv,reach=8,weight=0.5"])
    assert (first.fixed, first.moving, first.weight, first.reach) == ("a.gii", "b.gii", 1.0, None)
    assert (second.paths, second.weight, second.reach) == (("c.csv", "d.csv"), 0.5, 8.0)
    for text in ("a.gii", "a.gii,", "a,b,weight", "a,b,weight=x", "a,b,width=3", "a,b,reach=1,reach=2"):
        with pytest.raises(UsageError, match=r"written FIXED,MOVING\[,weight=W\]\[,reach=MM\]"):
            surface_pairs([text])


def test_surfaces_are_the_start_and_are_reported(pair, call, tables):
    both = f"{tables}/fixed.csv,{tables}/moving.csv"
    given = ("--space", "lps", "--set", "initialise.rotations=false")
    made = ("-o", f"{tables}/c_", "--surfaces", f"{both},weight=2", *given)
    record = call("register", pair["fixed"], pair["moving"], *made, *QUICK)
    (surfaces,) = record["surfaces"]["pairs"]
    assert surfaces["files"] == both.split(",") and surfaces["points"] == [4, 4] and surfaces["weight"] == 2
    assert record["surfaces"]["model"] == "rigid" and surfaces["result"] == surfaces["start"]
    assert "Surfaces</h2>" in (tables / "c_report.html").read_text()
    again = ("-o", f"{tables}/d_", "--surfaces", both, *given, "--set", "initialise.surfaces=off")
    assert call("register", pair["fixed"], pair["moving"], *again, *QUICK)["surfaces"]["model"] is None


def test_surfaces_that_cannot_be_read_are_refused_in_a_line(pair, refused, tables):
    (tables / "moving.csv").write_text("x,y,z\n1,2,here\n")
    before = sorted(tables.iterdir())
    arguments = ("-o", f"{tables}/out/", "--surfaces", f"{tables}/fixed.csv,{tables}/moving.csv", *QUICK)
    assert "moving.csv, line 2" in refused(5, "register", pair["fixed"], pair["moving"], *arguments)
    assert sorted(tables.iterdir()) == before


def test_starts_are_given_one_after_the_other(pair, call, tables):
    made = ("-o", f"{tables}/b_", "--initial", pair["affine"], "--initial", f"[{pair['affine']},1]")
    record = call("register", pair["fixed"], pair["moving"], *made, *QUICK)
    assert record["initial"] == [pair["affine"], f"[{pair['affine']},1]"]
    np.testing.assert_allclose(read_transform(tables / "b_0GenericAffine.mat").matrix, np.eye(4), atol=1e-5)


@pytest.mark.parametrize("lines", ["x,y,z,name\n1,2,3,a\n", "x,y,z,name\n1,2,3,a\n4,5,6,b\n7,8,1,c\n1,1,1,x\n"])
def test_landmarks_that_do_not_fit_are_refused_in_a_line(pair, refused, tables, lines):
    (tables / "moving.csv").write_text(lines)
    before = sorted(tables.iterdir())
    arguments = ("-o", f"{tables}/out/", "--landmarks", f"{tables}/fixed.csv,{tables}/moving.csv", *QUICK)
    assert "landmark" in refused(5, "register", pair["fixed"], pair["moving"], *arguments)
    assert sorted(tables.iterdir()) == before
