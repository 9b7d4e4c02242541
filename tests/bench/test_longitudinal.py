"""The made time points of the bench."""

from __future__ import annotations

import numpy as np
import pytest

import longitudinal


def test_made_ventricles_grow_by_what_was_asked():
    labels = np.zeros((48, 48), int)
    labels[6:42, 6:42] = 1
    labels[19:29, 17:31] = longitudinal.VENTRICLES[0]
    image = np.where(labels == 1, 100.0, 20.0 * (labels > 0))
    made = longitudinal.made_points(image, labels, 0.05, seed=0)
    assert made.truth == pytest.approx(5, abs=0.2)
    still = longitudinal.made_points(image, labels, 0.0, seed=0)
    assert still.truth == 0
    dark = [(one < 60)[10:38, 10:38].sum() for one in (made.first, made.second, still.second)]
    assert dark[1] > 1.02 * dark[0] and dark[2] == pytest.approx(dark[0], rel=0.02)


def test_ventricles_end_where_fluid_does():
    labels = np.full((40, 40), longitudinal.WHITE_MATTER)
    labels[14:20, 14:20] = longitudinal.VENTRICLES[1]
    image = np.full(labels.shape, 100.0)
    image[16:24, 14:20] = 20.0
    seen = np.isin(longitudinal._visible(image, labels), longitudinal.VENTRICLES)
    np.testing.assert_array_equal(seen, image < 60)


def test_errors_are_summed_up_for_each_tool():
    row = {"data": "slices", "every": 1, "growth": 0.05, "swapped_mm_mean": 0.1, "swapped_mm_max": 0.2, "seconds": 1.0}
    rows = [{**row, "tool": tool, "error": error} for tool, error in (("a", 1.0), ("a", 3.0), ("b", 5.0))]
    first, second = longitudinal.summed_up(rows)
    assert (first["runs"], first["mean_error"], first["spread"]) == (2, 2.0, 1.0)
    assert second["tool"] == "b"
    (once,) = longitudinal.summed_up([{**rows[0], "swapped_mm_mean": None, "swapped_mm_max": None}])
    assert once["swapped_mm_max"] is None
