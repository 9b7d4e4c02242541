"""What is found of time points."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from made_time_points import ventricle
from warpline.errors import UsageError
from warpline.io.images import read_image
from warpline.io.transform_files import read_transform
from warpline.space import Displacement


def test_maps_lead_through_the_middle(found):
    points = np.array([[5.0, 3.0, 0.0], [-12.0, 8.0, 0.0]])
    to_middle = found.points[0].transform.inverse().map_points(points)
    np.testing.assert_array_equal(
        found.transform(0, 1).map_points(points), found.points[1].transform.map_points(to_middle)
    )
    back = found.transform(1, 0).map_points(found.transform(0, 1).map_points(points))
    np.testing.assert_allclose(back, points, atol=0.01)


def test_log_jacobian_is_above_0_where_tissue_grew(found):
    there = found.log_jacobian(0, 1)
    middle = there.grid.voxels_at([0.0, 0.0, 0.0]).round().astype(int)
    assert there.data[tuple(middle)] > 0.02
    np.testing.assert_allclose(found.log_jacobian(0, 1, per_year=True).data, there.data / 2, rtol=1e-6)


def test_nothing_is_said_where_a_map_folds(found):
    point = found.points[1]
    field = point.warp.field.copy()
    field[0, 40:] = -9 * np.arange(field.shape[1] - 40)[:, None, None]
    folded = replace(found, points=(found.points[0], replace(point, warp=Displacement(field, point.warp.grid, field))))
    assert np.isnan(folded.log_jacobian(0, 1).data[45, 5, 0])


def test_numbers_of_points_are_checked(found):
    with pytest.raises(UsageError, match="from 0 to 1"):
        found.transform(0, 2)
    with pytest.raises(UsageError, match="years"):
        replace(found, years=None).log_jacobian(0, 1, per_year=True)


def test_growth_of_labels_adds_up(found):
    labels = ventricle(3.0, (1.1, -0.7))
    first, last = found.label_growth(labels, 0, 1), found.label_growth(labels.data, 0, 1)
    assert first.keys() == {1} and last.keys() == {1}
    assert found.label_growth(labels, 0, 0) == {1: 0.0}


def test_saved_maps_are_those_that_were_found(found, tmp_path):
    paths = found.save(tmp_path / "out")
    points = np.array([[5.0, 3.0, 0.0], [-12.0, 8.0, 0.0]])
    a, b = found.names
    composite = read_transform(paths[f"{a}_to_{b}"])
    np.testing.assert_allclose(composite.map_points(points), found.transform(0, 1).map_points(points), atol=1e-4)
    parts = [read_transform(paths[f"{b}_{kind}"]) for kind in ("warp", "affine")]
    mapped = parts[1].map_points(parts[0].map_points(points))
    np.testing.assert_allclose(mapped, found.points[1].transform.map_points(points), atol=1e-4)
    np.testing.assert_array_equal(read_image(paths["middle"]).data, found.middle.data)
    assert paths[f"{a}_to_{b}_per_year"].exists() and paths["overlay"].read_bytes().startswith(b"\x89PNG")
