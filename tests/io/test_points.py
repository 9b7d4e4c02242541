"""Tables of points: coordinates are read, everything else is kept."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warpline.errors import InputError, OutputError, UsageError
from warpline.io.points import read_point_table, read_points, write_point_table

NUMBERS = st.floats(-1e4, 1e4, allow_nan=False)


@settings(max_examples=50)
@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=20), st.sampled_from(["ras", "lps"]))
def test_what_is_written_is_read(tmp_path_factory, points, space):
    path = tmp_path_factory.getbasetemp() / "points.csv"
    path.write_text("x,y,z\n" + "0,0,0\n" * len(points), encoding="utf-8")
    write_point_table(read_point_table(path).with_points(np.array(points)), path, space)
    np.testing.assert_allclose(read_point_table(path, space).points, points, atol=5.1e-7)


def test_other_columns_and_their_order_are_kept(tmp_path):
    text = 'name,Z,label,X,y\n"left, front",3,17,1,2\nright,6.5,18,4,5\n'
    (tmp_path / "points.csv").write_text(text, encoding="utf-8")
    table = read_point_table(tmp_path / "points.csv")
    np.testing.assert_array_equal(table.points, [[1, 2, 3], [4, 5, 6.5]])
    write_point_table(table.with_points(table.points + 1), tmp_path / "moved.csv")
    assert (tmp_path / "moved.csv").read_text(encoding="utf-8") == (
        'name,Z,label,X,y\n"left, front",4.000000,17,2.000000,3.000000\nright,7.500000,18,5.000000,6.000000\n'
    )


def test_lps_is_ras_with_x_and_y_turned(tmp_path):
    (tmp_path / "points.csv").write_text("1,2,3\n", encoding="utf-8")
    np.testing.assert_array_equal(read_point_table(tmp_path / "points.csv", "lps").points, [[-1, -2, 3]])
    write_point_table(read_point_table(tmp_path / "points.csv"), tmp_path / "lps.csv", "lps")
    assert (tmp_path / "lps.csv").read_text(encoding="utf-8") == "-1.000000,-2.000000,3.000000\n"


def test_tables_of_tabs_stay_tables_of_tabs(tmp_path):
    (tmp_path / "points.tsv").write_text("x\ty\tz\tt\n1\t2\t3\t0\n", encoding="utf-8")
    table = read_point_table(tmp_path / "points.tsv")
    write_point_table(table, tmp_path / "again.tsv")
    assert (tmp_path / "again.tsv").read_text(encoding="utf-8") == "x\ty\tz\tt\n1.000000\t2.000000\t3.000000\t0\n"


@pytest.mark.parametrize("cell", ["nan", "inf", "-inf"])
def test_coordinates_that_are_not_finite_are_refused_by_line(tmp_path, cell):
    (tmp_path / "points.csv").write_text(f"x,y,z\n1,2,3\n4,{cell},6\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"points\.csv, line 3 holds a coordinate that is not finite"):
        read_points(tmp_path / "points.csv")


@settings(max_examples=60)
@given(st.binary(max_size=200))
def test_any_bytes_give_points_or_a_clear_error(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "bytes.csv"
    path.write_bytes(content)
    try:
        assert np.isfinite(read_points(path)).all()
    except InputError as error:
        assert "bytes.csv" in str(error)


def test_unknown_space_and_missing_folder(tmp_path):
    (tmp_path / "points.csv").write_text("1,2,3\n", encoding="utf-8")
    with pytest.raises(UsageError, match="choose from ras, lps"):
        read_point_table(tmp_path / "points.csv", "mni")
    with pytest.raises(OutputError, match="absent"):
        write_point_table(read_point_table(tmp_path / "points.csv"), tmp_path / "absent" / "points.csv")


@pytest.mark.parametrize("text", ["x,y,z\n1,2,3\n\n4,5,6,left\n", "1,2,3\r\n4,5,6\r\n", "\ufeff1,2,3\n4,5,6"])
def test_points_are_read(tmp_path, text):
    (tmp_path / "points.csv").write_text(text, encoding="utf-8")
    np.testing.assert_array_equal(read_points(str(tmp_path / "points.csv")), [[1, 2, 3], [4, 5, 6]])


@pytest.mark.parametrize("text", ["", "x,y,z\n", "1,2\n", "1,2,3\n4,five,6\n", "1,2,3\n4,5\n"])
def test_points_that_cannot_be_read_are_refused(tmp_path, text):
    (tmp_path / "points.csv").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"points\.csv"):
        read_points(str(tmp_path / "points.csv"))


def test_a_missing_table_is_refused(tmp_path):
    with pytest.raises(InputError, match="absent"):
        read_points(str(tmp_path / "absent.csv"))


@pytest.mark.parametrize(("heading", "order"), [("x,y\n", 1), ("Y, X\n", -1)])
def test_points_of_slices_have_two_columns(tmp_path, heading, order):
    cells = np.array([[1.5, -2.0], [3.0, 4.0]])
    body = "".join(",".join(map(str, row[::order])) + "\n" for row in cells)
    (tmp_path / "flat.csv").write_text(heading + body, encoding="utf-8")
    table = read_point_table(tmp_path / "flat.csv", "lps")
    np.testing.assert_array_equal(table.points, np.column_stack([-cells, np.zeros(2)]))
    write_point_table(table.with_points(table.points + (1, 0, 0)), tmp_path / "moved.csv", "lps")
    moved = read_point_table(tmp_path / "moved.csv", "lps").points
    np.testing.assert_allclose(moved, table.points + (1, 0, 0))
    with pytest.raises(InputError, match=r"out\.csv: points of two coordinates leave their plane"):
        write_point_table(table.with_points(table.points + (0, 0, 0.1)), tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("name,x,y,z\nAC,1,2,3\nPC,4,5,6\n", ("AC", "PC")),
        ("x,y,z,Label\n1,2,3,a\n4,5,6,b\n", ("a", "b")),
        ("x,y,z,t,label\n1,2,3,0,0\n4,5,6,0,0\n", None),
        ("x,y,z,name\n1,2,3,\n4,5,6,\n", None),
        ("1,2,3\n4,5,6\n", None),
    ],
)
def test_points_have_the_names_of_a_column(tmp_path, text, names):
    (tmp_path / "points.csv").write_text(text, encoding="utf-8")
    assert read_point_table(tmp_path / "points.csv").names() == names


def test_a_name_that_stands_twice_is_refused(tmp_path):
    (tmp_path / "points.csv").write_text("name,x,y,z\nAC,1,2,3\nAC,4,5,6\n", encoding="utf-8")
    with pytest.raises(InputError, match="'AC' stands twice"):
        read_point_table(tmp_path / "points.csv").names()
