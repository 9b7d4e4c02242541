"""Pairs of a source, completed by the options of a run, or refused."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from cohort_files import asked, pairs_in
from warpline.cohort import Options, Pair, run
from warpline.cohort.options import load_pairs, tasks_of
from warpline.errors import InputError, UsageError


def test_pairs_get_the_fixed_image_and_label_of_the_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = [Pair("a", "a.nii"), Pair("b", "b.nii", "own.nii", space="own")]
    first, second = load_pairs(given, Options(fixed="f.nii", space="MNI"))
    assert (first.moving, first.fixed, first.space) == (str(tmp_path / "a.nii"), str(tmp_path / "f.nii"), "MNI")
    assert (second.fixed, second.space) == (str(tmp_path / "own.nii"), "own")


def test_a_pair_without_a_fixed_image_is_refused():
    with pytest.raises(UsageError, match="pair 'a' has no fixed image"):
        load_pairs([Pair("a", "a.nii")], Options())


def test_a_column_that_the_results_have_themselves_is_refused(inputs, tmp_path):
    pair = replace(pairs_in(inputs)[0], columns={"site": "A", "dice": "0.9"})
    with pytest.raises(InputError, match="column 'dice' of the manifest is one of the results; rename it: 'given_"):
        run([pair], tmp_path / "out", asked())


def test_a_recipe_whose_library_is_missing_is_refused(inputs, monkeypatch):
    monkeypatch.setitem(sys.modules, "SimpleITK", None)
    recipe = asked().recipe.with_options("prepare.bias_correction=n4")
    with pytest.raises(UsageError, match=r"prepare\.bias_correction needs SimpleITK"):
        tasks_of(pairs_in(inputs), asked(recipe=recipe))
    assert len(tasks_of(pairs_in(inputs), asked(recipe=recipe, scheduler="tcp://elsewhere:8786"))) == 6
