"""What the report says."""

from __future__ import annotations

import numpy as np
import pytest

from warpline.images import Image
from warpline.longitudinal.summary import correlation


def test_points_are_in_the_order_given_with_their_quality(found_three):
    rows = found_three.report["points"]
    assert [row["name"] for row in rows] == found_three.names
    assert all(row["correlation"] > 0.98 and row["quality"]["folded_voxels"] == 0 for row in rows)
    for row, point in zip(rows, found_three.points, strict=True):
        np.testing.assert_array_equal(row["rigid"], point.rigid.matrix)


def test_changes_are_those_of_consecutive_points(found, found_three):
    assert [(row["from"], row["to"]) for row in found_three.report["changes"]] == [
        ("point-1", "point-2"),
        ("point-2", "point-3"),
    ]
    (change,) = found.report["changes"]
    assert change["years"] == 2 and change["log_jacobian"]["p99"] > 0.03
    assert len(found_three.report["pairs"]) == 3
    assert found.report["warnings"] == []


def test_correlation_is_that_within_the_mask():
    values = np.arange(8.0).reshape(2, 2, 2)
    inside = values < 4
    other = np.where(inside, 2 * values, 0)
    assert correlation(Image.from_array(values), Image.from_array(other), inside) == pytest.approx(1)
