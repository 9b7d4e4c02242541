"""Which values of a sign are a reason for doubt, and what is said of them."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

from warpline.registration.judgement import LIMITS, judge, signs_in_words
from warpline.registration.quality import MEAN_LIMIT, P99_LIMIT
from warpline.report.measures import QUALITY

GOOD = {"above_chance": 4.0, "affine_gain": 2.0, "object_overlap": 0.95, "least_stretch": 0.9, "most_stretch": 1.1}


def test_good_values_are_fine():
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
def test_a_value_out_of_range_has_one_reason(sign, value, outcome):
    found = judge({**GOOD, sign: value})
    assert found.outcome == outcome
    assert len(found.reasons) == 1
    assert "{" not in found.reasons[0]


@pytest.mark.parametrize("sign", LIMITS)
@pytest.mark.parametrize("nearly", [1e-3, 1e-9])
def test_reasons_state_value_and_limit_which_differ(sign, nearly):
    limit = LIMITS[sign]
    low, high = limit.doubtful
    value = low * (1 - nearly) if high is None else high * (1 + nearly) + nearly
    written = limit.written(value)
    assert written["value"] != written["limit"]
    reason = limit.warning(value)
    assert written["value"] in reason and written["limit"] in reason


@pytest.mark.parametrize(
    ("sign", "value", "words"),
    [
        (
            "above_chance",
            1.74,
            "agree only 1.74 times as well as under maps that are wrong on purpose (right ones: 1.8",
        ),
        ("above_chance", 1.7996, "agree only 1.7996 times"),
        ("above_chance", math.nan, "agree only nan times"),
        ("object_overlap", 0.123, "12% of the smaller one lies on the other (right ones: 60% or more)"),
        ("folded_voxels", 123456, "at 123456 voxels, where it turns space inside out (allowed: 0)"),
        ("jacobian_max", 31.26, "31.3-fold (usual: at most 30-fold)"),
        ("most_stretch", 1e5, "to 100000 times its size"),
    ],
)
def test_reasons_say_what_a_value_means(sign, value, words):
    assert words in LIMITS[sign].warning(value)


@pytest.mark.parametrize("sign", LIMITS)
def test_values_at_their_limit_have_words(sign):
    limit = LIMITS[sign].limit
    for value in (limit, math.nextafter(limit, math.inf), math.nextafter(limit, -math.inf), math.inf, -math.inf):
        assert set(LIMITS[sign].written(value)) == {"value", "limit"}


def test_every_sign_is_shown_beside_its_limit():
    shown = signs_in_words({"object_overlap": 0.1, "above_chance": 2.5, "warp_gain": None, "jacobian_max": 10.4})
    words = [(sign.name, sign.value, sign.allowed, sign.outcome) for sign in shown]
    assert words == [
        ("above_chance", "2.5", "1.8 or more", "fine"),
        ("object_overlap", "10%", "60% or more", "failed"),
        ("jacobian_max", "10.4", "at most 30", "fine"),
    ]
    assert [sign.outcome for sign in signs_in_words(dict.fromkeys(LIMITS, math.nan))] == ["doubtful"] * len(LIMITS)


def test_names_on_the_pages_are_in_the_document():
    text = (Path(__file__).parents[3] / "docs" / "quality.md").read_text(encoding="utf-8")
    for name, limit in LIMITS.items():
        assert re.search(rf"^\| [^|]*`{name}`[^|]* \| [^|]*{re.escape(limit.title)}[;, ][^|]*\|", text, re.MULTILINE), (
            name
        )
    for name, measure in QUALITY.items():
        assert f"| `{name}` | {measure.title} | {measure.allowed} | {measure.meaning} |" in text


def test_the_gravest_reason_comes_first():
    found = judge({"above_chance": 1.0, "least_stretch": 0.0})
    assert found.outcome == "failed"
    assert "shrinks" in found.reasons[0]
    assert len(found.reasons) == 2


INVERTIBLE = {"folded_voxels": 0.0, "inverse_error_mean": MEAN_LIMIT, "inverse_error_p99": P99_LIMIT}


def test_a_warp_at_the_limits_of_invertibility_is_fine():
    assert judge(INVERTIBLE).outcome == "fine"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"folded_voxels": 12}, "12 voxels"),
        ({"inverse_error_mean": MEAN_LIMIT * 1.1}, "inverse error"),
        ({"inverse_error_p99": P99_LIMIT * 1.1}, "inverse error"),
        ({"inverse_error_mean": math.nan}, "inverse error"),
    ],
)
def test_a_warp_beyond_a_limit_is_doubtful_with_a_remedy(changes, words):
    (sentence,) = judge(INVERTIBLE | changes).reasons
    assert words in sentence
    assert "syn.total_sigma" in sentence
