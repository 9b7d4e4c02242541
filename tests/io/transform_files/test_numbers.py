"""Numbers in text files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from warpline.errors import InputError
from warpline.io.transform_files import numbers

FILE = Path("a.mat")
SQUARE = "1 0 0 5\n0 1 0 6\n0 0 1 7\n0 0 0 1\n"


def test_rows_pass_over_comments_and_empty_lines():
    assert numbers.rows("# a\n1 2\n\n3e0\t-4\n") == [[1, 2], [3, -4]]
    with pytest.raises(ValueError, match="could not convert"):
        numbers.rows("1 two\n")


@pytest.mark.parametrize(
    ("text", "square"),
    [(SQUARE, True), (SQUARE.replace("0 0 0 1", "1e-7 0 0 0.9999999"), True), (SQUARE[8:], False), ("a b\n", False)],
)
def test_a_square_matrix_ends_in_0_0_0_1(text, square):
    assert numbers.looks_square(text) == square


def test_the_last_row_becomes_exact():
    found = numbers.square(SQUARE.replace("0 0 0 1", "1e-7 0 0 0.9999999"), FILE)
    np.testing.assert_array_equal(found[3], [0, 0, 0, 1])
    with pytest.raises(InputError, match=r"a\.mat is no 4x4 matrix in text form"):
        numbers.square("1 2 3\n", FILE)


def test_a_singular_matrix_is_named():
    with pytest.raises(InputError, match=r"a\.mat holds a matrix that is singular or not finite"):
        numbers.affine(np.zeros((4, 4)), FILE)


def test_a_line_keeps_every_digit_and_no_negative_zero():
    values = np.array([0.1, -0.0, 1 / 3, 1e-300])
    assert numbers.line(values).split()[1] == "0.0"
    np.testing.assert_array_equal([float(word) for word in numbers.line(values).split()], values)
