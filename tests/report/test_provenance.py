from __future__ import annotations

import math

import numpy as np
import pytest

from warpline.backends import select
from warpline.evaluation import similarity
from warpline.image import Image
from warpline.report.provenance import describe, likeness, plain, shortcomings
from warpline.resampling import resample
from warpline.solvers.invertibility import MEAN_LIMIT, P99_LIMIT, Quality


def quality(**changes):
    met = {
        "folds": 0.0,
        "folded_voxels": 0,
        "jacobian_min": 0.2,
        "jacobian_max": 3.0,
        "inverse_error_mean": MEAN_LIMIT,
        "inverse_error_p99": P99_LIMIT,
        "inverse_error_max": 2.0,
        "rounds": 3,
    }
    return Quality(**met | changes)


def test_a_map_on_the_bars_has_no_shortcoming():
    assert shortcomings(quality()) == []
    assert shortcomings(None) == []


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"folded_voxels": 12, "folds": 0.01}, "12 voxels"),
        ({"inverse_error_mean": MEAN_LIMIT * 1.1}, "inverse error"),
        ({"inverse_error_p99": P99_LIMIT * 1.1}, "inverse error"),
        ({"inverse_error_mean": math.nan}, "inverse error"),
    ],
)
def test_every_missed_bar_is_told_with_a_remedy(changes, word):
    (sentence,) = shortcomings(quality(**changes))
    assert word in sentence
    assert "syn.total_sigma" in sentence


def test_likeness_compares_what_the_headers_say_with_the_result(phantom):
    backend = select("numpy")
    found = likeness(phantom.fixed, phantom.moving, phantom.fixed, backend=backend)
    by_headers = resample(phantom.moving, like=phantom.fixed, backend=backend)
    inside = Image(phantom.fixed.data > phantom.fixed.data.min(), phantom.fixed.grid)
    expected = similarity(phantom.fixed, by_headers, inside, backend=backend)
    assert found["before"] == {"ncc": expected.ncc, "local_ncc": expected.local_ncc}
    assert found["after"]["ncc"] == pytest.approx(1)
    assert found["after"]["local_ncc"] > found["before"]["local_ncc"]


def test_likeness_needs_no_positive_intensities(phantom):
    shifted = Image(phantom.fixed.data - np.float32(5000), phantom.fixed.grid)
    assert likeness(shifted, shifted, shifted, backend=select("numpy"))["after"]["ncc"] == pytest.approx(1, abs=1e-3)


def test_likeness_counts_negative_mask_values(phantom):
    mask = Image(-(phantom.fixed_labels.data > 0).astype(np.int8), phantom.fixed.grid)
    found = likeness(phantom.fixed, phantom.moving, phantom.fixed, mask, backend=select("numpy"))
    assert found["after"]["ncc"] == pytest.approx(1)


def test_an_array_is_described_without_a_path(phantom):
    record = describe(phantom.fixed, phantom.fixed.data)
    assert record["path"] is None
    assert record["shape"] == list(phantom.fixed.data.shape)
    assert len(record["sha256"]) == 64


def test_plain_values_are_json():
    assert plain({1: (np.float32(0.5), math.inf, np.int64(3)), "a": None}) == {"1": [0.5, None, 3], "a": None}
