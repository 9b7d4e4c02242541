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


def test_a_pair_of_one_image_with_itself_is_named(tmp_path, caplog):
    (tmp_path / "c.tsv").write_text("id\tmoving\tfixed\nown\tin/../f.nii\tf.nii\nother\ta.nii\tf.nii\n")
    assert len(load_pairs(tmp_path / "c.tsv", Options())) == 2
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == ["own"]


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


def test_participants_are_those_of_the_dataset_or_given(tmp_path, caplog):
    for id in ("sub-01", "sub-02"):
        (tmp_path / "bids" / id / "anat").mkdir(parents=True)
        (tmp_path / "bids" / id / "anat" / f"{id}_T1w.nii").touch()
    options = Options(fixed="f.nii")
    assert [pair.columns for pair in load_pairs(tmp_path / "bids", options)] == [{}, {}]
    (tmp_path / "bids" / "participants.tsv").write_text("participant_id\tage\nsub-01\t30\nsub-02\tn/a\n")
    assert [pair.columns for pair in load_pairs(tmp_path / "bids", options)] == [{"age": "30"}, {}]
    (tmp_path / "other.tsv").write_text("participant_id\tgroup\n01\tA\n02\tB\n")
    given = replace(options, participants_table=tmp_path / "other.tsv")
    assert [pair.columns for pair in load_pairs(tmp_path / "bids", given)] == [{"group": "A"}, {"group": "B"}]


def test_a_damaged_table_of_a_dataset_is_named_and_left_out(tmp_path, caplog):
    (tmp_path / "sub-01" / "anat").mkdir(parents=True)
    (tmp_path / "sub-01" / "anat" / "sub-01_T1w.nii").touch()
    (tmp_path / "participants.tsv").write_text("name\nx\n")
    assert load_pairs(tmp_path, Options(fixed="f.nii"))[0].columns == {}
    assert "participant_id is needed" in caplog.text and "the results have no columns of it" in caplog.text
    with pytest.raises(InputError, match="participant_id is needed"):
        load_pairs(tmp_path, Options(fixed="f.nii", participants_table=tmp_path / "participants.tsv"))
