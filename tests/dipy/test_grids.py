"""Arrays and matrices between DIPY's shapes and ours."""

from __future__ import annotations

import numpy as np
import pytest

from warpline import dipy as ours
from warpline.dipy import grids
from warpline.errors import UsageError

theirs = pytest.importorskip("dipy.align.imwarp")
affines = pytest.importorskip("dipy.align.imaffine")
TURNED = np.array([[0.0, -2, 0, 5], [3, 0, 0, 6], [0, 0, 1, 7], [0, 0, 0, 1]])


@pytest.mark.parametrize("pair", [(None, None), (None, TURNED), (TURNED, None), (TURNED, 2 * np.eye(4))])
def test_products_are_dipys(pair):
    found, expected = ours.mult_aff(*pair), theirs.mult_aff(*pair)
    assert (found is None) == (expected is None)
    assert found is None or np.array_equal(found, expected)


@pytest.mark.parametrize(("matrix", "dim"), [(None, 2), (TURNED, 3)])
def test_directions_and_spacings_are_dipys(matrix, dim):
    expected = theirs.get_direction_and_spacings(matrix, dim)
    for one, other in zip(ours.get_direction_and_spacings(matrix, dim), expected, strict=True):
        np.testing.assert_allclose(one, other)


def test_matrices_of_a_plane_act_on_its_axes():
    flat = np.array([[1.0, 2, 3], [4, 5, 6], [0, 0, 1]])
    image = grids.image_of(np.zeros((4, 5)), flat, "static")
    assert image.grid.shape == (4, 5, 1)
    np.testing.assert_array_equal(grids.flatten(image.affine, 2), flat)


def test_a_matrix_of_another_dimension_is_refused():
    with pytest.raises(UsageError, match=r"static_grid2world has shape \(4, 4\); \(3, 3\) is needed"):
        grids.image_of(np.zeros((4, 5)), np.eye(4), "static")


def test_a_mask_lies_on_the_grid_of_its_image():
    image = grids.image_of(np.zeros((4, 5)), None, "static")
    assert grids.mask_of(None, image) is None
    assert grids.mask_of(np.ones((4, 5)), image).grid is image.grid


@pytest.mark.parametrize(("dim", "shape"), [(3, (4, 5, 6, 3)), (2, (4, 5, 2))])
def test_fields_get_their_components_last(dim, shape):
    field = np.random.default_rng(0).normal(size=(3, 4, 5, 6 if dim == 3 else 1)).astype(np.float32)
    found = grids.field_of(field, dim)
    assert found.shape == shape and found.flags.c_contiguous
    np.testing.assert_array_equal(found[1, 2, ..., 0].ravel(), field[0, 1, 2])
