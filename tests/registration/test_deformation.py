"""The deformable stage with and without a budget: what it promises about the displacements that are written."""

from __future__ import annotations

import numpy as np
import pytest

from made_registrations import QUICK, made_pair
from warpline import registration
from warpline.backends import select
from warpline.evaluation import bending_energy, folding
from warpline.images import Image
from warpline.registration.judgement import LIMITS

BENT = QUICK.with_options("syn.iterations=[30, 20]", "linear.iterations=[4]", "syn.total_sigma=0.3", "syn.step=0.25")


@pytest.fixture(scope="module")
def fast():
    return select("numba", 1)


@pytest.fixture(scope="module")
def run(fast):
    """A registration of the made pair, or of one slice of it, with some options of its recipe changed."""

    def registered(*settings, flat=False):
        fixed, moving = made_pair()
        if flat:
            fixed, moving = Image.from_array(fixed.data[:, :, 13]), Image.from_array(fixed.data[:, 1:, 13])
        return registration.compute(registration.read(fixed, moving, BENT.with_options(*settings)), fast)

    return registered


@pytest.fixture(scope="module")
def free(run):
    return run()


def bending_of(result):
    """The worse of the map and its inverse, inside the foreground."""
    alignment = result.alignment
    mask = Image((alignment.fixed.data != 0).astype(np.uint8), alignment.fixed.grid)
    return max(bending_energy(warp, mask) for warp in (alignment.warp, alignment.warp.inverse()))


def test_without_a_budget_nothing_is_said(free):
    assert free.alignment.spending is None and free.report["budget"] is None
    assert "budget" not in free.report["seconds"] and "budget_used" not in free.report["judgement"]["signs"]


def test_a_loose_budget_gives_the_same_bits(run, free):
    found = run("budget.max_bending=100", "budget.jacobian=[0.001, 1000]", "budget.max_strain=10")
    for field in ("field", "inverse_field"):
        np.testing.assert_array_equal(*(getattr(one.alignment.warp, field) for one in (free, found)))
    assert found.report["budget"]["kept"] and found.report["budget"]["rerun"] is None
    assert found.report["warnings"] == free.report["warnings"]


@pytest.mark.parametrize("share", [0.8, 0.2])
def test_bending_is_kept_in_files_and_comes_close(run, free, share):
    limit = share * bending_of(free)
    found = run(f"budget.max_bending={limit}")
    told = found.report["budget"]
    assert (told["rerun"] is None) == (share > 0.9)
    assert bending_of(found) <= limit
    assert max(told["max_bending"]["forward"], told["max_bending"]["inverse"]) == pytest.approx(
        bending_of(found), rel=0.01
    )
    assert told["max_bending"]["forward_before"] > limit
    assert found.alignment.quality.is_within_limits
    assert found.report["judgement"]["signs"]["budget_used"] == told["used"] <= 1


def test_determinants_and_strain_are_kept(run):
    found = run("budget.jacobian=[0.7, 1.5]", "budget.max_strain=0.35")
    warp = found.alignment.warp
    mask = Image((found.alignment.fixed.data != 0).astype(np.uint8), warp.grid)
    for one, low, high in ((warp, 0.7, 1.5), (warp.inverse(), 1 / 1.5, 1 / 0.7)):
        assert folding(one, mask, differences="any", backend="numpy").minimum >= low
        assert folding(one, mask, backend="numpy").maximum <= high
    assert found.report["budget"]["kept"] and found.report["budget"]["local_rounds"] > 0


def test_slices_stay_in_their_plane(run):
    found = run("budget.max_bending=0.001", "budget.max_strain=0.2", flat=True)
    assert found.report["budget"]["kept"]
    assert bending_of(found) <= 0.001
    assert not found.alignment.warp.field[2].any()


def test_a_budget_that_is_not_kept_is_a_reason_for_doubt(run, monkeypatch):
    monkeypatch.setattr("warpline.registration.budget.enforcement.SCALES", ())
    monkeypatch.setattr("warpline.registration.budget.enforcement.MOST_PASSES", 0)
    report = run("budget.max_strain=0.2").report
    assert not report["budget"]["kept"]
    assert report["judgement"]["outcome"] == "doubtful"
    sentence = LIMITS["budget_used"].sentence.format(value=report["budget"]["used"])
    assert sentence in report["warnings"]
