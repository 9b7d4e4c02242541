"""The signs between RAS and LPS."""

from __future__ import annotations

import numpy as np

from warpline.io.lps import LPS, SIGNS, flip_components


def test_x_and_y_change_their_sign():
    np.testing.assert_array_equal(LPS @ [1, 2, 3, 1], [-1, -2, 3, 1])
    np.testing.assert_array_equal(SIGNS * [1, 2, 3], [-1, -2, 3])


def test_components_of_a_field_flip_and_stay_float32():
    field = np.arange(24, dtype=np.float32).reshape(3, 2, 2, 2)
    flipped = flip_components(field)
    assert flipped.dtype == np.float32
    np.testing.assert_array_equal(flipped, [-field[0], -field[1], field[2]])
    np.testing.assert_array_equal(flip_components(flipped), field)
