"""Growth of labels."""

from __future__ import annotations

import numpy as np
import pytest

from made_time_points import GROWTH, ventricle, ventricle_growth
from warpline.images import Image
from warpline.longitudinal.label_growth import growth_report, growth_warnings


def test_growth_is_that_from_each_point_to_the_next(found):
    report = growth_report(found, ventricle(3.0, (1.1, -0.7)), 0)
    (row,) = report["growth"]
    assert (row["from"], row["to"], row["years"], report["unit"]) == (*found.names, 2.0, "mm2")
    assert row["growth_percent"] == pytest.approx(ventricle_growth(GROWTH), abs=1.0)
    assert row["growth_percent_per_year"] == pytest.approx(row["growth_percent"] / 2)
    assert row["volume_from"] == pytest.approx(np.pi * 81, rel=0.05)
    assert list(growth_warnings(report)) == []


def test_labels_of_the_later_point_grew_as_much(found):
    (row,) = growth_report(found, ventricle(-2.0, (-0.8, 0.4)), 1)["growth"]
    (first,) = growth_report(found, ventricle(3.0, (1.1, -0.7)), 0)["growth"]
    assert row["growth_percent"] == pytest.approx(first["growth_percent"], abs=1.0)


def test_three_points_have_the_whole_change_too(found_three):
    rows = growth_report(found_three, ventricle(3.0, (1.1, -0.7)), 0)["growth"]
    assert [(row["from"], row["to"]) for row in rows] == [
        ("point-1", "point-2"), ("point-2", "point-3"), ("point-1", "point-3"),
    ]  # fmt: skip
    steps = [1 + row["growth_percent"] / 100 for row in rows]
    assert steps[0] * steps[1] == pytest.approx(steps[2])


def test_labels_of_another_world_are_not_known(found):
    labels = ventricle()
    affine = labels.affine.copy()
    affine[0, 3] += 500
    away = Image.from_array(labels.data[:, :, 0], affine, "away")
    report = growth_report(found, away, 0)
    assert report["growth"][0]["growth_percent"] is None
    (warning,) = growth_warnings(report)
    assert "label 1" in warning and "point-1" in warning
