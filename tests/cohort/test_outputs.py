"""Outputs that were cut, deleted or changed after their run are noticed."""

from __future__ import annotations

import hashlib

import pytest

from warpline.cohort.manifest import Pair
from warpline.cohort.outputs import Folders, sizes_in
from warpline.cohort.rows import Row
from warpline.cohort.tasks import make_tasks
from warpline.recipe import Recipe

CONTENTS = {"affine": b"affine", "warp": b"the warp"}


@pytest.fixture
def written(tmp_path):
    """A task whose outputs lie there, and its sidecar."""
    (task,) = make_tasks([Pair("sub-01", "/x/sub-01_T1w.nii", "/x/fixed.nii")], recipe=Recipe(), warps="full")
    (tmp_path / task.place.folder).mkdir(parents=True)
    for kind, content in CONTENTS.items():
        (tmp_path / task.place.names()[kind]).write_bytes(content)
    stamps = {k: {"bytes": len(b), "sha256": hashlib.sha256(b).hexdigest()} for k, b in CONTENTS.items()}
    return task, tmp_path / task.place.names()["warp"], {"files": stamps}


def test_whole_outputs_are_whole(written, tmp_path):
    task, _, report = written
    assert Folders(tmp_path).damage(task, sizes_in(report)) == Folders(tmp_path).changed(task, report) == ""
    assert Folders(tmp_path).damage(task, Row.of({"sizes": sizes_in(report)}).sizes) == ""


def test_sizes_tell_of_missing_and_cut_files(written, tmp_path):
    task, warp, report = written
    warp.write_bytes(b"the")
    assert Folders(tmp_path).damage(task, sizes_in(report)) == f"{warp.name} holds 3 of 8 bytes"
    warp.unlink()
    assert Folders(tmp_path).damage(task, sizes_in(report)) == f"{warp.name} is missing"
    assert Folders(tmp_path / "gone").damage(task, sizes_in(report)).endswith(".mat is missing")


def test_checksums_tell_of_changes_that_keep_the_size(written, tmp_path):
    task, warp, report = written
    warp.write_bytes(b"the w\0rp")
    assert Folders(tmp_path).damage(task, sizes_in(report)) == ""
    assert Folders(tmp_path).changed(task, report) == f"{warp.name} has changed since it was written"
    warp.unlink()
    assert "cannot be read" in Folders(tmp_path).changed(task, report)


def test_sidecars_without_sizes_are_taken_at_their_word(written, tmp_path):
    task, _, _ = written
    assert Folders(tmp_path).damage(task, sizes_in({})) == Folders(tmp_path).changed(task, {}) == ""
