"""Names of outputs, and whether outputs are as they were written."""

from __future__ import annotations

import hashlib
import re

import pytest

from warpline.cohort.layout import (
    IGNORED,
    OutputCheck,
    check_output_paths,
    describe_dataset,
    fingerprint,
    output_paths,
    sizes_in,
)
from warpline.cohort.manifest import Pair
from warpline.errors import InputError, UsageError


@pytest.mark.parametrize(
    ("pair", "sidecar"),
    [
        (
            Pair("sub-01", "x/sub-01_T1w.nii.gz", "tpl-MNI152NLin2009cAsym_res-01_T1w.nii.gz"),
            "sub-01/anat/sub-01_space-MNI152NLin2009cAsym_desc-registration_qc.json",
        ),
        (
            Pair("sub-02_ses-b_run-1", "sub-02_ses-b_run-1_FLAIR.nii", "MNI152_T1_2mm.nii.gz"),
            "sub-02/ses-b/anat/sub-02_ses-b_run-1_space-MNI152T12mm_desc-registration_qc.json",
        ),
        (
            Pair("1234", "brain.mgz", "t.nii", session="2"),
            "sub-1234/ses-2/anat/sub-1234_ses-2_space-t_desc-registration_qc.json",
        ),
        (
            Pair("sub-01-to-02", "a.nii", "b.nii", space="x y"),
            "sub-01to02/anat/sub-01to02_space-xy_desc-registration_qc.json",
        ),
    ],
)
def test_places_are_bids_names(pair, sidecar):
    assert output_paths(pair).sidecar == sidecar


def test_two_pairs_of_one_name_are_refused():
    pairs = [Pair("a-1", "m", "f"), Pair("A1", "m", "f")]
    with pytest.raises(UsageError, match=r"ids 'a-1' and 'A1' would both write sub-A1/anat/sub-A1_\*; rename one"):
        check_output_paths(pairs, [output_paths(pair) for pair in pairs])


def test_ids_of_every_alphabet_get_labels_of_their_own():
    labels = [
        output_paths(Pair(id, "m", "f")).folder for id in ("日本", "東京", "Мария", "Maria", "Ünal", "Unal", "sub-é")
    ]
    assert len(set(labels)) == len(labels)
    assert all(re.fullmatch(r"sub-[A-Za-z0-9]+/anat", label) for label in labels)
    assert labels[3] == "sub-Maria/anat" and labels[5] == "sub-Unal/anat"
    composed, decomposed = (output_paths(Pair(id, "m", "f")).folder for id in ("caf\u00e9", "cafe\u0301"))
    assert composed == decomposed  # and two such ids are refused
    assert output_paths(Pair("sub-", "m", "f")).folder == "sub-sub/anat"


@pytest.mark.parametrize("id", ["x" * 200, "日" * 90])
def test_an_id_that_is_too_long_is_refused_before_anything_runs(id):
    pair = Pair(id, "m", "f")
    with pytest.raises(InputError, match=rf"\({len(id)} letters\) would give files names of more than 255 bytes"):
        check_output_paths([pair], [output_paths(pair)])


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("sub-01_t1.nii.gz", "T1w"), ("a_T2.nii", "T2w"), ("flair.mgz", "FLAIR"), ("x_brain.nii", "brain")],
)
def test_suffixes_are_those_of_bids_where_there_is_one(name, suffix):
    assert output_paths(Pair("a", name, "f")).source == suffix


CONTENTS = {"affine": b"affine", "warp": b"the warp"}


@pytest.fixture
def written(tmp_path):
    """The place of a pair whose outputs lie there, and its sidecar."""
    paths = output_paths(Pair("sub-01", "/x/sub-01_T1w.nii", "/x/fixed.nii"))
    (tmp_path / paths.folder).mkdir(parents=True)
    for kind, content in CONTENTS.items():
        (tmp_path / paths.names()[kind]).write_bytes(content)
    stamps = {k: {"bytes": len(b), "sha256": hashlib.sha256(b).hexdigest()} for k, b in CONTENTS.items()}
    return paths, tmp_path / paths.names()["warp"], {"files": stamps}


def test_whole_outputs_are_whole(written, tmp_path):
    paths, _, report = written
    assert OutputCheck(tmp_path).damage(paths, sizes_in(report)) == OutputCheck(tmp_path).changed(paths, report) == ""


def test_sizes_tell_of_missing_and_cut_files(written, tmp_path):
    paths, warp, report = written
    warp.write_bytes(b"the")
    assert OutputCheck(tmp_path).damage(paths, sizes_in(report)) == f"{warp.name} holds 3 of 8 bytes"
    warp.unlink()
    assert OutputCheck(tmp_path).damage(paths, sizes_in(report)) == f"{warp.name} is missing"
    assert OutputCheck(tmp_path / "gone").damage(paths, sizes_in(report)).endswith(".mat is missing")


def test_checksums_tell_of_changes_that_keep_the_size(written, tmp_path):
    paths, warp, report = written
    warp.write_bytes(b"the w\0rp")
    assert OutputCheck(tmp_path).damage(paths, sizes_in(report)) == ""
    assert OutputCheck(tmp_path).changed(paths, report) == f"{warp.name} has changed since it was written"
    warp.unlink()
    assert "cannot be read" in OutputCheck(tmp_path).changed(paths, report)


def test_sidecars_without_sizes_are_taken_at_their_word(written, tmp_path):
    paths, _, _ = written
    assert OutputCheck(tmp_path).damage(paths, sizes_in({})) == OutputCheck(tmp_path).changed(paths, {}) == ""


def test_a_list_of_ignored_files_in_another_encoding_is_kept(tmp_path):
    (tmp_path / IGNORED).write_bytes(b"\xe9t\xe9/\n")
    describe_dataset(tmp_path, ["odd"])
    assert (tmp_path / IGNORED).read_bytes().startswith(b"\xe9t\xe9/\n")
    assert b"*_desc-registered_odd.*" in (tmp_path / IGNORED).read_bytes()


def test_the_fingerprint_of_a_folder_is_that_of_all_in_it(tmp_path):
    store = tmp_path / "a.ome.zarr"
    (store / "0").mkdir(parents=True)
    (store / "0" / "chunk").write_bytes(b"1234")
    before = fingerprint(f"{store}:1")
    assert before == fingerprint(str(store)) and before[0] >= 4
    (store / "0" / "chunk").write_bytes(b"12345")
    assert fingerprint(str(store))[0] == before[0] + 1
    assert fingerprint(f"{tmp_path}/absent.ome.zarr") == (-1, 0)
