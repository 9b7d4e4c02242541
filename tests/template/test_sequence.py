"""Rounds, one after the other."""

from __future__ import annotations

import numpy as np

from template_files import asked, subjects
from warpline import read_image
from warpline.backends import select
from warpline.template.layout import round_folder
from warpline.template.sequence import LIMIT, Group, described, run_rounds
from warpline.template.start import extent_of, read_normalised
from warpline.template.subjects import checksums_of


def group_of(folder, slices, **more):
    chosen = subjects(slices)
    members = {one.id: checksums_of(one) for one in chosen}
    extents = [extent_of(read_normalised(one.moving, None, select("numpy"))) for one in chosen]
    return Group.of(folder, chosen, extents, asked(**more), select("numpy"), members=members)


def test_rounds_that_are_done_are_only_read(built, slices):
    times = {path: path.stat().st_mtime_ns for path in built.folder.rglob("*.nii.gz")}
    said = []
    ended = run_rounds(group_of(built.folder, slices), said.append)
    assert ended.records == built.rounds and not ended.left_out
    assert said == [described(one) for one in built.rounds]
    assert {path: path.stat().st_mtime_ns for path in built.folder.rglob("*.nii.gz")} == times


def test_early_templates_are_symmetric_to_the_bit(built):
    for number in (0, 1):
        data = read_image(round_folder(built.folder, number) / "template.nii.gz").data
        assert np.array_equal(data, data[::-1])


def test_a_round_follows_from_subjects_and_options(slices, tmp_path):
    group = group_of(tmp_path, slices)
    stage = group.stages[1]
    assert group.key(stage) == group_of(tmp_path / "other", slices).key(stage)
    assert group.key(stage) != group_of(tmp_path, slices, step=0.5).key(stage)
    assert group.limit == LIMIT * 2.0 and group_of(tmp_path, slices, limit=3.0).limit == 3.0


def test_only_the_last_round_keeps_its_maps(built):
    kept = [path.name for path in (built.folder / "rounds").iterdir() if list(path.glob("sub-*"))]
    assert kept == [f"{built.rounds[-1].number:02d}"]
