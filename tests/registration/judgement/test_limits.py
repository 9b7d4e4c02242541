"""Which values of a sign are a reason for doubt, and what is said of them."""

from __future__ import annotations

import math

import pytest

from warpline.registration.inverse_consistency import MEAN_LIMIT, P99_LIMIT, Quality
from warpline.registration.judgement import LIMITS, judge, quality_signs

GOOD = {"above_chance": 4.0, "affine_gain": 2.0, "object_overlap": 0.95, "least_stretch": 0.9, "most_stretch": 1.1}


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


def test_good_values_are_fine_and_kept():
    found = judge(GOOD)
    assert (found.outcome, found.reasons, found.signs) == ("fine", (), GOOD)


def test_a_sign_that_does_not_apply_says_nothing():
    assert judge(dict.fromkeys(LIMITS)).outcome == "fine"


@pytest.mark.parametrize(
    ("sign", "value", "outcome"),
    [
        ("above_chance", 1.2, "doubtful"),
        ("agreement_turned", 2.4, "doubtful"),
        ("affine_gain", 0.5, "doubtful"),
        ("warp_gain", 0.9, "doubtful"),
        ("object_overlap", 0.5, "doubtful"),
        ("object_overlap", 0.1, "failed"),
        ("coverage", 0.05, "doubtful"),
        ("least_stretch", 1e-5, "failed"),
        ("most_stretch", 3.0, "doubtful"),
        ("distortion", 9.0, "failed"),
        ("better_nearby", 1.5, "doubtful"),
        ("farthest", 1.0, "doubtful"),
        ("jacobian_max", 100.0, "doubtful"),
        ("above_chance", math.nan, "doubtful"),
    ],
)
def test_a_value_out_of_range_is_told(sign, value, outcome):
    found = judge({**GOOD, sign: value})
    assert found.outcome == outcome
    assert len(found.reasons) == 1
    assert "{" not in found.reasons[0]


def test_the_gravest_reason_comes_first():
    found = judge({"above_chance": 1.0, "least_stretch": 0.0})
    assert found.outcome == "failed"
    assert "shrinks" in found.reasons[0]
    assert len(found.reasons) == 2


def test_a_warp_on_the_bars_of_invertibility_is_fine():
    assert judge(quality_signs(quality())).outcome == "fine"


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
    (sentence,) = judge(quality_signs(quality(**changes))).reasons
    assert word in sentence
    assert "syn.total_sigma" in sentence
