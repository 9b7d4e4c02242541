"""Rows of unlike contrasts are kept as they come, and a distortion is what it is said to be."""

from __future__ import annotations

import json

import numpy as np
from scipy.ndimage import map_coordinates

import cases
import contrasts
from made_heads import lattice, scan


def test_a_row_that_is_made_again_replaces_the_first(tmp_path):
    path = tmp_path / "contrasts.json"
    for dice in (0.1, 0.2):
        for tool in ("a", "b"):
            contrasts.Results(path, "made").add({"pair": "01,02", "contrast": "same", "tool": tool, "dice": dice})
    found = json.loads(path.read_text())
    assert [(row["tool"], row["dice"]) for row in found["made"]] == [("a", 0.2), ("b", 0.2)]
    assert found["machine"]["cores"] > 0


def test_a_distortion_moves_along_j_as_far_as_it_says():
    head = scan(lattice())
    case = cases.Case("brains 01,02", head, head, head, head)
    pair, truth = contrasts.distorted(case, "same", 6.0)
    assert pair.name == "01" and np.abs(truth).max() == 6.0
    places = np.indices(truth.shape) + np.stack([np.zeros_like(truth), truth / head.grid.voxel_size[1], 0 * truth])
    back = map_coordinates(pair.moving_labels.data.astype(float), places, order=0)
    before, after = (np.mean(one != head.data) for one in (pair.moving_labels.data, back))
    assert after < 0.5 * before
