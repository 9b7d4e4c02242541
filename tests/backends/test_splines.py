"""Splines and affine coordinates as SciPy's arguments describe them."""

from __future__ import annotations

import numpy as np
import pytest

from warpline.backends.splines import AffineCoordinates, SplineOptions

MATRIX, OFFSET = np.array([[2.0, 0.5], [0.25, -1.0]]), np.array([1.0, 3.0])


@pytest.mark.parametrize(
    ("order", "mode", "prefilter", "pad"),
    [(3, "nearest", True, 12), (3, "grid-constant", True, 12), (3, "mirror", True, 0), (1, "nearest", True, 0)]
    + [(3, "nearest", False, 0)],
)
def test_only_modes_without_an_exact_prefilter_are_padded(order, mode, prefilter, pad):
    assert SplineOptions.of(order, mode, 0.5, prefilter) == SplineOptions(order, mode, 0.5, pad)


def test_points_are_the_affine_map_of_every_index():
    points = AffineCoordinates.of(MATRIX, OFFSET, (3, 4)).points()
    expected = np.einsum("ab,bij->aij", MATRIX, np.indices((3, 4))) + OFFSET[:, None, None]
    np.testing.assert_allclose(points, expected, rtol=1e-15)


def test_the_offset_is_added_first_as_in_scipy():
    points = AffineCoordinates.of(np.array([[0.6, 0.2], [-0.1, 0.7]]), np.array([1.5, 2.0]), (28, 2)).points()
    assert points[1, 27, 1] == (2.0 - 0.1 * 27) + 0.7  # just below 0, outside; 0 where the offset comes last
    assert points[1, 27, 1] < 0


def test_a_slab_holds_the_coordinates_of_its_part():
    whole = AffineCoordinates.of(MATRIX, OFFSET, (7, 4))
    part = whole.slab(slice(2, 6)).slab(slice(1, 3))
    np.testing.assert_array_equal(part.points(), whole.points()[:, 3:5])


def test_a_vector_is_a_diagonal_matrix():
    diagonal = AffineCoordinates.of(np.array([2.0, 4.0]), OFFSET, (3, 4))
    np.testing.assert_allclose(diagonal.points(), AffineCoordinates.of(np.diag([2.0, 4.0]), OFFSET, (3, 4)).points())
