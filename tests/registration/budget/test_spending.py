"""What was asked of a deformation, and reached, as reports tell it."""

from __future__ import annotations

import json

import pytest

from warpline.recipe import Budget, Syn
from warpline.registration.budget import Spending, Usage
from warpline.registration.judgement import budget_signs, judge

BUDGET = Budget(jacobian=(0.25, 4.0), max_strain=1.0)
FREE = Usage(jacobian_min=0.1, jacobian_max=8.0, strain=2.0)


def made(strain=0.9, **more):
    usage = Usage(jacobian_min=0.5, jacobian_max=2.0, strain=strain)
    return Spending(BUDGET, usage, usage, before=(FREE, FREE), **more)


def test_the_report_says_asked_and_reached_per_limit():
    report = made(rerun=Syn(total_sigma=0.7)).as_report()
    assert report["kept"] and report["used"] == pytest.approx(0.9)
    assert report["max_bending"] is None
    assert report["max_strain"] == {
        "asked": 1.0, "forward": 0.9, "inverse": 0.9, "forward_before": 2.0, "inverse_before": 2.0,
        "worst": 0.9, "worst_before": 2.0,
    }  # fmt: skip
    assert report["jacobian"]["asked"] == (0.25, 4.0) and report["jacobian"]["forward_before"] == [0.1, 8.0]
    assert report["rerun"] == {"total_sigma": 0.7, "update_weights": (2.0, 3.0)}
    json.dumps(report)


def test_a_budget_that_is_exceeded_is_not_kept():
    spending = made(strain=1.01)
    assert not spending.is_kept and not spending.as_report()["kept"]
    assert spending.used == pytest.approx(1.01)


def test_determinants_of_the_inverse_count_as_forward_ones():
    usages = Usage(jacobian_min=0.5, jacobian_max=1.6), Usage(jacobian_min=0.4, jacobian_max=1.25)
    report = Spending(Budget(jacobian=(0.25, 4.0)), *usages, before=usages).as_report()
    assert report["jacobian"]["worst"] == report["jacobian"]["worst_before"] == [0.5, 2.5]


@pytest.mark.parametrize("scale", [0.25, 0.0])
def test_displacements_scaled_down_are_a_reason_for_doubt(scale):
    judgement = judge(budget_signs(made(scale=scale)))
    assert judgement.outcome == "doubtful"
    assert f"scaled down to {scale:.3g} of their length" in judgement.reasons[0]
    assert judge(budget_signs(made())).outcome == "fine"
