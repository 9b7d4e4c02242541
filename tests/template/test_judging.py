"""Who does not belong to a template."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from template_files import COUNT, QUICK, asked, strangers, subjects
from warpline.backends import select
from warpline.cohort.failures import Failure
from warpline.template.fit import CLEAR
from warpline.template.judging import handedness, judge
from warpline.template.layout import round_folder
from warpline.template.rounds import register_all
from warpline.template.schedule import Stage, recipe_of


@pytest.fixture(scope="module")
def registered(built, slices, tmp_path_factory):
    """All subjects and one that is mirrored, registered linearly to a symmetric template."""
    fixed = round_folder(built.folder, 1) / "template.nii.gz"
    everyone, recipe = [*subjects(slices), strangers(slices)[0]], recipe_of(Stage(1, "linear", 1, True), QUICK)
    folder = tmp_path_factory.mktemp("registered")
    return register_all(everyone, fixed, folder, recipe, options=asked(), starts=None)


def test_sides_of_a_mirrored_subject_disagree_with_the_others(registered):
    alike = handedness(registered, "both", asked(), select("numpy"))
    assert alike[:COUNT].min() > 0.3 and alike[COUNT] < -0.3


def test_who_was_compared_before_is_not_accused_again(registered, monkeypatch):
    monkeypatch.setattr("warpline.template.fit.LEAST_SPREAD", 1.0)
    found = judge(registered, asked(), select("numpy"), sides="grey", compared=frozenset({"mirrored"}))
    assert found.left_out == () and found.sides["mirrored"] < -CLEAR


def test_fits_are_compared_with_usual_ones(registered):
    found = judge(registered, asked(), select("numpy"), sides=None)
    assert [one.id for one in found.left_out] == ["mirrored"]
    assert "its correlation with the mean of the others is" in found.left_out[0].reason
    assert np.all(found.fits.weight > 0) and len(found.registered.subjects) == COUNT


def test_mirrored_subjects_are_named_where_fits_do_not_tell(registered, monkeypatch):
    monkeypatch.setattr("warpline.template.fit.LEAST_SPREAD", 1.0)
    found = judge(registered, asked(), select("numpy"), sides="grey")
    assert [(one.id, one.reason.partition(":")[0]) for one in found.left_out] == [
        ("mirrored", "left and right are exchanged")
    ]


def test_few_subjects_are_not_compared_by_sides(registered, monkeypatch):
    monkeypatch.setattr("warpline.template.fit.LEAST_SPREAD", 1.0)
    few = registered.without({"sub-0", "sub-1"})
    assert judge(few, asked(), select("numpy"), sides="grey").left_out == ()


def test_what_could_not_be_registered_is_left_out(registered):
    broken = replace(
        registered.results["sub-1"], failure=Failure("input_error", "x", "sub-1.nii is truncated"), status="failed"
    )
    found = judge(
        replace(registered, results={**registered.results, "sub-1": broken}), asked(), select("numpy"), sides=None
    )
    assert found.left_out[0].reason == "could not be registered: sub-1.nii is truncated"


def test_what_lies_the_wrong_way_round_is_left_out(registered, monkeypatch):
    monkeypatch.setattr("warpline.template.judging.MOST_TURNED", -1.0)
    found = judge(registered.without({"mirrored"}), asked(), select("numpy"), sides=None)
    assert all("lies turned by" in one.reason for one in found.left_out) and len(found.left_out) == COUNT


def test_how_sides_agree_is_recorded_of_everyone(registered, monkeypatch):
    monkeypatch.setattr("warpline.template.fit.LEAST_SPREAD", 1.0)
    found = judge(registered, asked(), select("numpy"), sides="grey")
    assert set(found.sides) == {one.id for one in registered.subjects} and found.sides["mirrored"] < -CLEAR
    assert all(alike > CLEAR for id, alike in found.sides.items() if id != "mirrored")
