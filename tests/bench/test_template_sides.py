"""How surely mirrored subjects are found, by the size of groups."""

from __future__ import annotations

import numpy as np

import template_sides as bench


def test_who_disagrees_with_all_others_is_left_out():
    alike = np.full((6, 6), 0.5) + np.eye(6) / 2
    signs = np.array([1, 1, 1, 1, 1, -1])
    sound = bench.row_of([alike] * 3, 5)
    assert (sound["groups"], sound["sound_left_out"], sound["mirrored_found"]) == (6, 0, 1)
    assert bench.row_of([alike * np.outer(signs, signs)] * 3, 5)["sound_left_out"] == 5 / 6
