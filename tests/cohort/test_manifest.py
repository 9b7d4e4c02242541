"""Manifests: read, written, and made from patterns of file names."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from warpline.cohort import manifest
from warpline.cohort.manifest import PATHS, Pair, find_pairs, format_manifest, read_manifest, write_manifest
from warpline.errors import InputError, UsageError


def written(folder, text, name="cohort.tsv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_paths_are_relative_and_free_columns_stay(tmp_path):
    rows = ("sub-01\ta/b.nii\tt.nii\tn/a\t31", "", "sub-02\t/x/y.nii\tt.nii\tm.nii\tn/a\n")
    text = "\n".join(("\ufeffid\tmoving\tfixed\tmoving_mask\tage", *rows))
    first, second = read_manifest(written(tmp_path, text))
    assert first == Pair("sub-01", f"{tmp_path}/a/b.nii", f"{tmp_path}/t.nii", columns={"age": "31"})
    assert second.moving == "/x/y.nii" and second.moving_mask == f"{tmp_path}/m.nii" and second.columns == {}


def test_commas_and_one_fixed_image(tmp_path):
    path = written(tmp_path, 'id,moving,site\n1,"a, b.nii",X\n', "cohort.csv")
    (pair,) = read_manifest(path, fixed="/t.nii")
    assert pair.moving == f"{tmp_path}/a, b.nii" and pair.fixed == "/t.nii" and pair.columns == {"site": "X"}


def test_what_is_written_is_read_again(tmp_path):
    pairs = [
        Pair("a", f"{tmp_path}/in/a.nii", f"{tmp_path}/t.nii", initial="/far/a.mat", columns={"age": "3"}),
        Pair("b", f"{tmp_path}/in/b.nii", f"{tmp_path}/t.nii", recipe="rigid", columns={"sex": "f"}),
        Pair("c", f"{tmp_path}/in/c.nii", f"{tmp_path}/t.nii", moving_weights=f"{tmp_path}/in/w.nii"),
    ]
    (tmp_path / "deep").mkdir()
    write_manifest(pairs, tmp_path / "deep" / "m.tsv")
    assert [normal(pair) for pair in read_manifest(tmp_path / "deep" / "m.tsv")] == pairs
    assert (
        format_manifest(pairs, tmp_path).splitlines()[0]
        == "id\tmoving\tfixed\tmoving_weights\tinitial\trecipe\tage\tsex"
    )


def normal(pair):
    """The pair, its paths without '..'."""
    paths = {name: os.path.normpath(path) for name in PATHS if (path := getattr(pair, name))}
    return replace(pair, **paths)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "column id and moving and fixed is missing"),
        ("id\tmoving\na\tb\n", "column fixed is missing, or --fixed; the header has id, moving"),
        ("id\tmoving\tfixed\n", "has no rows"),
        ("id\tmoving\tfixed\na\tb\n", "line 2: 2 cells where the header has 3 columns"),
        ("id\tmoving\tfixed\na\tn/a\tc\n", "line 2: no moving; every row needs one"),
        ("id\tmoving\tfixed\na\tb\tc\na\td\tc\n", "id 'a' stands in two rows"),
        ("id\tmoving\tfixed\n../a\tb\tc\n", r"id '\.\./a' cannot name files"),
        ("id\tmoving\tfixed\tmoving_mas\na\tb\tc\td\n", "column 'moving_mas' looks like 'moving_mask'"),
        ("id\tmoving\tfixed\tage\tage\na\tb\tc\td\te\n", "column 'age' stands twice"),
    ],
)
def test_a_bad_table_is_refused_with_its_line(tmp_path, text, message):
    with pytest.raises(InputError, match=rf"cohort\.tsv.*{message}"):
        read_manifest(written(tmp_path, text))


def test_a_file_that_is_no_table_is_refused(tmp_path):
    for name, message in (("c.txt", "is no manifest"), ("c.tsv", "cannot be read as a table: No such")):
        with pytest.raises(InputError, match=message):
            read_manifest(tmp_path / name)


@pytest.fixture
def images(tmp_path):
    for name in ("s1/s1_t1.nii", "s2/s2_t1.nii", "s3/s1_t1.nii"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_ids_are_found_in_names(images):
    pairs = find_pairs(f"{images}/{{id}}/{{id}}_t1.nii", fixed="t.nii", labels=f"{images}/{{id}}/l.nii")
    assert [(pair.id, pair.moving) for pair in pairs] == [(f"s{n}", f"{images}/s{n}/s{n}_t1.nii") for n in (1, 2)]
    assert pairs[1].moving_labels == f"{images}/s2/l.nii" and pairs[0].fixed == os.path.abspath("t.nii")
    every = find_pairs(f"{images}/{{id}}/{{id}}_t1.nii")
    assert [(pair.id, pair.space) for pair in every] == [("s1-to-s2", "s2"), ("s2-to-s1", "s1")]


def test_the_fixed_image_is_not_registered_to_itself(images, caplog):
    (images / "template.nii").symlink_to(images / "s1/s1_t1.nii")
    pattern = f"{images}/{{id}}/{{id}}_t1.nii"
    for fixed in (images / "template.nii", images / "s1/../s1/s1_t1.nii"):
        caplog.clear()
        assert [pair.id for pair in find_pairs(pattern, fixed=str(fixed))] == ["s2"]
        assert caplog.text.count("it is left out, no pair s1") == 1
    with pytest.raises(InputError, match=r"matches the fixed image .* alone"):
        find_pairs(f"{images}/s1/{{id}}_t1.nii", fixed=str(images / "template.nii"))


def test_patterns_that_find_nothing_are_refused(images):
    with pytest.raises(UsageError, match=r"has no \{id\}"):
        find_pairs(f"{images}/*.nii", fixed="t.nii")
    with pytest.raises(InputError, match="matches no file"):
        find_pairs(f"{images}/{{id}}.nii", fixed="t.nii")


def test_two_files_of_one_id_are_refused(images):
    with pytest.raises(InputError, match=r"finds id 's1' twice: .*/s1/s1_t1\.nii and .*/s3/s1_t1\.nii; write \{id\}"):
        find_pairs(f"{images}/*/{{id}}_t1.nii", fixed="t.nii")
    with pytest.raises(InputError, match="finds id 's' twice"):
        find_pairs(f"{images}/*/{{id}}*_t1.nii", fixed="t.nii")


def test_two_stars_go_through_any_number_of_folders(tmp_path):
    for name in ("a_t1.nii", "x/b_t1.nii", "x/y/z/c_t1.nii", "x/.hidden/d_t1.nii"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder_t1.nii").mkdir()
    assert [pair.id for pair in find_pairs(f"{tmp_path}/**/{{id}}_t1.nii", fixed="t.nii")] == ["a", "b", "c"]
    assert [pair.id for pair in find_pairs(f"{tmp_path}/**/{{id}}_t[!2-9].nii", fixed="t.nii")] == ["a", "b", "c"]
    assert [pair.id for pair in find_pairs(f"{tmp_path}/x/{{id}}_t?.nii", fixed="t.nii")] == ["b"]


def test_labels_need_the_id(images):
    with pytest.raises(UsageError, match=r"have no \{id\}: every image would get the same"):
        find_pairs(f"{images}/s2/{{id}}_t1.nii", fixed="t.nii", labels="l.nii")


def test_the_name_says_what_parts_the_cells(tmp_path):
    pairs = [Pair("a", f"{tmp_path}/a, b.nii", f"{tmp_path}/t.nii", columns={"note": 'say "x"'})]
    write_manifest(pairs, tmp_path / "m.csv")
    assert (tmp_path / "m.csv").read_text().startswith("id,moving,fixed,note\n")
    assert [normal(pair) for pair in read_manifest(tmp_path / "m.csv")] == pairs
    with pytest.raises(UsageError, match=r"its name must end in \.tsv or \.csv"):
        write_manifest(pairs, tmp_path / "m.txt")
    with pytest.raises(UsageError, match="holds a tab or a new line"):
        write_manifest([replace(pairs[0], moving=f"{tmp_path}/a\tb.nii")], tmp_path / "m.tsv")


def test_a_manifest_keeps_them(tmp_path):
    pair = Pair("=sub-1", f"{tmp_path}/a.nii", f"{tmp_path}/f.nii", columns={"note": "=1+1", "@x": "-2"})
    write_manifest([pair], tmp_path / "m.tsv")
    assert (tmp_path / "m.tsv").read_text().splitlines()[1].split("\t")[0] == "'=sub-1"
    assert "\t'=1+1" in (tmp_path / "m.tsv").read_text() and "\t'@x" in (tmp_path / "m.tsv").read_text()
    assert read_manifest(tmp_path / "m.tsv") == [pair]


def test_ids_that_only_windows_refuses_are_refused_there(monkeypatch):
    for id in ("a:b", "what?", "sub-01."):
        pairs = [Pair(id, "m.nii", "f.nii")]
        manifest.check_ids(pairs, "table")
        with monkeypatch.context() as windows:
            windows.setattr(os, "name", "nt")
            with pytest.raises(InputError, match="cannot name files"):
                manifest.check_ids(pairs, "table")


def test_patterns_match_paths_of_windows(monkeypatch):
    found = ["data\\sub-01\\t1.nii", "data\\sub-02\\t1.nii"]
    monkeypatch.setattr(os, "sep", "\\")
    monkeypatch.setattr(os.path, "isfile", found.__contains__)
    monkeypatch.setattr(manifest.glob, "glob", lambda *_, **__: found)
    for pattern in ("data/{id}/t1.nii", "data\\{id}\\t1.nii"):
        assert manifest._files_by_id(pattern) == dict(zip(("sub-01", "sub-02"), found, strict=True))
