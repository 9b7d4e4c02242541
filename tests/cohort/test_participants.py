"""Tables of participants joined to pairs."""

from __future__ import annotations

import pytest

from warpline.cohort.manifest import Pair, read_manifest, write_manifest
from warpline.cohort.participants import join_participants, participant_of
from warpline.errors import InputError

PAIRS = [Pair("sub-01_ses-1", "/a.nii", "/f.nii", columns={"site": "x"}), Pair("sub-02", "/b.nii", "/f.nii")]


def joined(tmp_path, text, pairs=PAIRS, name="participants.tsv"):
    (tmp_path / name).write_text(text)
    return [pair.columns for pair in join_participants(pairs, tmp_path / name)]


def test_the_participant_of_an_id_is_its_subject():
    assert [participant_of(id) for id in ("sub-01_ses-1", "sub-01", "kept as it is")] == [
        "sub-01",
        "sub-01",
        "kept as it is",
    ]


def test_columns_are_appended_whatever_the_order_of_the_rows(tmp_path):
    columns = joined(tmp_path, "participant_id\tage\tsex\n02\t41\tn/a\nsub-01\t30\tF\n")
    assert columns == [{"site": "x", "age": "30", "sex": "F"}, {"age": "41"}]


def test_commas_are_read_too(tmp_path):
    assert joined(tmp_path, 'participant_id,note\n02,"a, b"\nsub-01,\n', name="p.csv")[1] == {"note": "a, b"}


def test_pairs_without_a_row_are_named(tmp_path, caplog):
    assert joined(tmp_path, "participant_id\tage\nsub-02\t41\n") == [{"site": "x"}, {"age": "41"}]
    assert "has no row for sub-01_ses-1" in caplog.text


@pytest.mark.parametrize("name", ["site", "dice", "sessions", "fixed"])
def test_names_that_are_taken_are_changed_and_named(tmp_path, caplog, name):
    columns = joined(tmp_path, f"participant_id\t{name}\nsub-01\ta\nsub-02\tb\n")
    assert [found[f"participants_{name}"] for found in columns] == ["a", "b"]
    assert f"column '{name}' is called 'participants_{name}'" in caplog.text
    pairs = [Pair(pair.id, pair.moving, pair.fixed, columns=own) for pair, own in zip(PAIRS, columns, strict=True)]
    write_manifest(pairs, tmp_path / "m.tsv")
    assert [pair.columns for pair in read_manifest(tmp_path / "m.tsv")] == columns


def test_the_same_table_twice_changes_nothing(tmp_path, caplog):
    text = "participant_id\tage\nsub-01\t30\nsub-02\t41\n"
    (tmp_path / "p.tsv").write_text(text)
    once = join_participants(PAIRS, tmp_path / "p.tsv")
    assert join_participants(once, tmp_path / "p.tsv") == once and caplog.text == ""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id\tage\nsub-01\t3\n", "participant_id is needed"),
        ("participant_id\tage\tage\nsub-01\t3\t4\n", "every column with a name of its own"),
        ("participant_id\tage\nsub-01\n", "row 2: 1 cells where the header has 2"),
        ("participant_id\tage\nsub-01\t3\n01\t4\n", "'01' stands in two rows"),
        ("participant_id\tage\nsub-09\t3\n", "no row for any pair: it has 09, the pairs are sub-01_ses-1, sub-02"),
        ("", "is empty; a table with a column participant_id is needed"),
    ],
)
def test_tables_that_cannot_be_joined_are_refused(tmp_path, text, words):
    with pytest.raises(InputError) as caught:
        joined(tmp_path, text)
    assert words in str(caught.value)


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(InputError, match="cannot be read as a table of participants: No such file"):
        join_participants(PAIRS, tmp_path / "none.tsv")
