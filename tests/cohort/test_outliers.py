"""Verdicts: who is set apart, who is not, and in which words."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warpline.cohort.outliers import MIN_PAIRS, REVIEW_SCORE, Verdict, judge_cohort, not_compared, spread
from warpline.cohort.quality import COLUMNS, JUDGED, RULES, Rule

GOOD = {
    **{"ncc_after": 0.9, "local_ncc_after": 0.6, "local_ncc_gain": 0.4, "dice": 0.7, "mask_dice": 0.97},
    **{"foreground_dice": 0.96, "coverage": 1.0, "rotation": 6.0, "determinant": 1.05, "displacement_mean": 3.0},
    **{"scale_x": 1.0, "scale_y": 1.02, "scale_z": 0.98, "shear_xy": 0.0, "shear_xz": 0.01, "shear_yz": -0.02},
    **{"log_jacobian_sd": 0.4, "folded_share": 0.0, "inverse_error_p99": 0.2},
    **{"above_chance": 4.0, "affine_gain": 3.0, "warp_gain": 1.5, "object_overlap": 0.95, "better_nearby": 0.98},
    **{"agreement_turned": 4.0, "least_stretch": 0.9, "most_stretch": 1.1, "distortion": 1.2, "farthest": 0.3},
    "spread": 0.015,
    "budget_used": 0.9,
    "budget_scale": 1.0,
}
STILL = ("coverage", "folded_share", "inverse_error_p99", *JUDGED)


def cohort(count=200, seed=0):
    """Pairs that differ as pairs do: each judged measure within a few of its least spreads."""
    draw = np.random.default_rng(seed)
    return [
        {name: v if name in STILL else v + RULES[name].least * float(draw.normal()) for name, v in GOOD.items()}
        for _ in range(count)
    ]


def test_the_table_is_complete_and_names_only_columns():
    assert set(RULES) <= set(COLUMNS)
    assert set(GOOD) == set(RULES)


def test_a_cohort_like_any_other_passes():
    verdicts = judge_cohort(cohort())
    assert [verdict.verdict for verdict in verdicts] == ["pass"] * 200
    assert all(verdict.reasons == () for verdict in verdicts)
    assert np.median([verdict.score for verdict in verdicts]) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(
    ("change", "verdict", "words"),
    [
        ({"dice": 0.55}, "review", "dice 0.55 is far below the cohort's median 0.69"),
        ({"dice": 0.3}, "fail", "dice 0.3 is far below the cohort's median 0.69"),
        ({"dice": 0.04}, "fail", "dice 0.04 is below 0.05"),
        ({"local_ncc_gain": -0.1}, "review", "local correlation gained -0.1 is below -0.02"),
        ({"coverage": 0.8}, "review", "coverage 0.8 is below 0.85"),
        ({"coverage": 0.3}, "fail", "coverage 0.3 is below 0.5"),
        ({"mask_dice": 0.7}, "fail", "dice of masks 0.7 is below 0.75"),
        ({"determinant": 1.9}, "review", "determinant 1.9 is above 1.7"),
        ({"determinant": -1.0}, "fail", "determinant -1 is below 0.3"),
        ({"rotation": 60.0}, "review", "rotation 60 is above 45"),
        ({"scale_x": 1.25}, "review", "scale x 1.25 is far above the cohort's median 1 "),
        ({"scale_x": 0.8}, "review", "scale x 0.8 is far below"),
        ({"folded_share": 1e-4}, "review", "share folded 0.0001 is above 0"),
        ({"folded_share": 0.02}, "fail", "share folded 0.02 is above 0.01"),
        ({"inverse_error_p99": 0.3}, "review", "inverse error, 99 % 0.3 is above 0.25"),
    ],
)
def test_one_bad_measure_is_found_and_told(change, verdict, words):
    rows = cohort()
    rows[17] |= change
    verdicts = judge_cohort(rows)
    assert verdicts[17].verdict == verdict
    assert verdicts[17].reasons[0].startswith(words)
    assert verdicts[17].columns[0] == next(iter(change))
    others = [found for number, found in enumerate(verdicts) if number != 17]
    assert {found.verdict for found in others} == {"pass"}


@pytest.mark.parametrize("change", [{"dice": 0.95}, {"ncc_after": 0.999}, {"rotation": 0.0}, {"log_jacobian_sd": 0.1}])
def test_better_than_the_others_is_no_fault(change):
    rows = cohort()
    rows[3] |= change
    assert judge_cohort(rows)[3].verdict == "pass"


def test_gravest_reason_comes_first():
    rows = cohort()
    rows[0] |= {"scale_x": 1.25, "coverage": 0.3}
    found = judge_cohort(rows)[0]
    assert found.verdict == "fail"
    assert found.columns[:2] == ("coverage", "scale_x")


def test_outliers_do_not_hide_each_other():
    """A third of the cohort is spoilt, and the median and its deviation stay where the others are."""
    rows = cohort(90)
    for row in rows[:28]:
        row["dice"] = 0.2
    verdicts = [found.verdict for found in judge_cohort(rows)]
    assert verdicts == ["fail"] * 28 + ["pass"] * 62


def test_many_small_faults_add_up():
    rows = cohort()
    low = ("dice", "local_ncc_after", "mask_dice", "ncc_after", "foreground_dice")
    high = ("rotation", "shear_xy", "displacement_mean", "log_jacobian_sd")
    rows[9] |= {name: GOOD[name] - 3.8 * RULES[name].least for name in low}
    rows[9] |= {name: GOOD[name] + 3.8 * RULES[name].least for name in high}
    found = judge_cohort(rows)[9]
    assert found.verdict == "review"
    assert found.score > REVIEW_SCORE
    assert found.columns == ()
    assert found.reasons[0].startswith("all measures together lie ")
    assert found.score == max(verdict.score for verdict in judge_cohort(rows))


def test_a_tight_cohort_does_not_cry_wolf():
    rows = [dict(GOOD) for _ in range(50)]
    rows[0]["dice"] -= 0.015
    assert {found.verdict for found in judge_cohort(rows)} == {"pass"}


def test_few_pairs_are_judged_by_fixed_limits_alone():
    rows = cohort(MIN_PAIRS - 1)
    rows[0]["dice"] = 0.3
    rows[1]["coverage"] = 0.3
    verdicts = judge_cohort(rows)
    assert [found.verdict for found in verdicts[:3]] == ["pass", "fail", "pass"]
    assert {found.score for found in verdicts} == {None}


def test_a_line_says_that_few_pairs_are_not_compared():
    assert not_compared(8) == "8 pairs: not compared with each other (that takes 10)"
    assert not_compared(1).startswith("1 pair: ")
    assert not_compared(0) == not_compared(MIN_PAIRS) == ""
    assert {found.score for found in judge_cohort([dict(GOOD) for _ in range(MIN_PAIRS)])} == {0.0}


def test_missing_numbers_are_neither_good_nor_bad():
    rows = cohort()
    for row in rows[:150]:
        row["dice"] = None
        del row["mask_dice"]
    rows[160]["dice"] = 0.2
    verdicts = [found.verdict for found in judge_cohort(rows)]
    assert verdicts == ["pass"] * 160 + ["fail"] + ["pass"] * 39


def test_nothing_to_judge_is_no_error():
    assert judge_cohort([]) == []
    assert [found.verdict for found in judge_cohort([{"id": "a"}, {}])] == ["pass", "pass"]


@given(st.lists(st.floats(-1e3, 1e3), min_size=MIN_PAIRS, max_size=60), st.floats(0.1, 10), st.floats(-50, 50))
def test_spread_follows_scale_and_shift(values, factor, shift):
    array, rule = np.array(values), Rule("low", 1e-9)
    one, other = spread(array, rule), spread(array * factor + shift, rule)
    assert other.median == pytest.approx(one.median * factor + shift, abs=1e-6)
    assert other.scale == pytest.approx(max(one.scale * factor, 1e-9), rel=1e-6, abs=1e-6)


def test_a_reason_in_a_table_names_its_column():
    titles = {COLUMNS[name].title for name in RULES}
    assert len(titles) == len(RULES)
    for name in RULES:
        title = COLUMNS[name].title
        assert Verdict.parse("review", f"{title[0].lower()}{title[1:]} 0.5 is above 0", 1.0).columns == (name,)


def test_a_verdict_in_a_table_is_the_same_again():
    rows = cohort()
    rows[3] |= {"scale_x": 1.25, "coverage": 0.3, "dice": 0.3}
    for verdict in judge_cohort(rows):
        assert Verdict.parse(verdict.verdict, verdict.text, verdict.score) == verdict


@given(st.permutations(range(40)))
def test_order_of_pairs_does_not_matter(order):
    rows = cohort(40, seed=4)
    rows[5]["dice"] = 0.3
    straight, mixed = judge_cohort(rows), judge_cohort([rows[number] for number in order])
    for place, number in enumerate(order):
        assert mixed[place].verdict == straight[number].verdict
        assert mixed[place].score == pytest.approx(straight[number].score, abs=2e-3)
