"""Subjects from files, tables, folders."""

from __future__ import annotations

import pytest

from warpline.cohort import Pair
from warpline.errors import InputError
from warpline.template import Options
from warpline.template.subjects import checksums_of, decided, digest, inputs_of, label_of, load_subjects


def ids(source, **options):
    return [one.id for one in load_subjects(source, Options(**options))]


def test_files_are_called_by_what_they_differ_in():
    assert ids(["b/sub-2_T1w.nii.gz", "b/sub-1_T1w.nii.gz"]) == ["sub-1", "sub-2"]
    assert ids(["b/brain.nii.gz", "a/brain.nii.gz"]) == ["a", "b"]
    assert ids(["x_1.nii", "y_2.nii"]) == ["x_1", "y_2"]
    assert ids(["sub-3_t1.nii.gz"]) == ["sub-3"] and ids(["sub-3_left.nii.gz"]) == ["sub-3_left"]


def test_files_of_one_name_are_refused():
    with pytest.raises(InputError, match="'brain' stands in two rows"):
        ids(["1/a/brain.nii", "2/a/brain.nii"])


def test_tables_have_channels_in_their_own_folder(tmp_path):
    (tmp_path / "s.tsv").write_text("id\tmoving\tT2w\nb\tb.nii\tb2.nii\na\ta.nii\ta2.nii\n")
    first, second = load_subjects(tmp_path / "s.tsv", Options(channels=("T2w",)))
    assert (first.id, second.columns["T2w"]) == ("a", str(tmp_path / "b2.nii"))
    assert inputs_of(first) == {"moving": str(tmp_path / "a.nii"), "channel T2w": str(tmp_path / "a2.nii")}
    with pytest.raises(InputError, match="b has no PD"):
        ids(tmp_path / "s.tsv", channels=("PD",))


def test_folders_are_read_as_bids(tmp_path):
    for name in ("sub-02", "sub-01"):
        (tmp_path / name / "anat").mkdir(parents=True)
        (tmp_path / name / "anat" / f"{name}_T1w.nii.gz").touch()
    assert ids(tmp_path) == ["sub-01", "sub-02"]


def test_fixed_images_and_starts_of_pairs_do_not_count():
    (one,) = load_subjects([Pair("a", "a.nii", "f.nii", initial="a.mat", recipe="rigid")], Options())
    assert (one.fixed, one.initial, one.recipe) == ("", "", "")
    assert label_of(one) == "sub-a"


def test_checksums_follow_the_content(tmp_path):
    path = tmp_path / "a.nii"
    path.write_bytes(b"1")
    before = checksums_of(Pair("a", str(path)))
    path.write_bytes(b"2")
    assert checksums_of(Pair("a", str(path))) != before
    assert digest(before, 1) == digest(before, 1) != digest(before, 2)
    with pytest.raises(InputError, match=r"a: .*b.nii cannot be read"):
        checksums_of(Pair("a", str(tmp_path / "b.nii")))


def test_an_image_to_start_from_decides_by_its_content(tmp_path):
    path = tmp_path / "a.nii"
    path.write_bytes(b"1")
    before = decided(Options(initial=path))
    path.write_bytes(b"2")
    assert decided(Options(initial=path)) != before
