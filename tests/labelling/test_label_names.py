"""Names of labels."""

from __future__ import annotations

import pytest

from warpline.errors import InputError
from warpline.labelling.label_names import read_label_names


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("dseg.tsv", "index\tname\tcolor\n17\tleft hippocampus\t#fff\n0\t\t\n"),
        ("dseg.csv", "name,index\nleft hippocampus,17\n"),
        ("colours.txt", "# No. Label\n\n17  left_hippocampus 220 216 20 0\n"),
    ],
)
def test_tables_of_every_kind_are_read(file, text, tmp_path):
    (tmp_path / file).write_text(text)
    names, described = read_label_names(tmp_path / file)
    assert {number: name.replace("_", " ") for number, name in names.items()} == {17: "left hippocampus"}
    assert described["label_names"]["path"] == str(tmp_path / file)


def test_names_may_be_given(tmp_path):
    assert read_label_names({"3": "three"}) == ({3: "three"}, {})


@pytest.mark.parametrize(("text", "message"), [("label\tvalue\n", "names no label"), ("\xff\x00", "cannot be read")])
def test_other_tables_are_refused(text, message, tmp_path):
    (tmp_path / "names.tsv").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=message):
        read_label_names(tmp_path / "names.tsv")


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.tsv"):
        read_label_names(tmp_path / "none.tsv")
