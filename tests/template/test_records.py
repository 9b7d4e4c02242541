"""Records of rounds."""

from __future__ import annotations

import json
from dataclasses import replace

from template_files import subjects
from warpline.cohort.json_files import write_json
from warpline.template import LeftOut, RoundRecord, read_template
from warpline.template.records import PARTIAL

RECORD = RoundRecord(2, "k", "deformable", 2.0, 0.4, None, 0.1, 0.2, {"a": 0.9}, {"a": 1.0})


def test_a_record_comes_back_and_damage_is_no_record(tmp_path):
    path = tmp_path / "round.json"
    assert RoundRecord.read(path) is None
    write_json(path, RECORD.as_record())
    assert RoundRecord.read(path) == RECORD
    path.write_text(path.read_text()[:40])
    assert RoundRecord.read(path) is None


def test_the_record_comes_back(built):
    assert read_template(built.folder) == built
    assert read_template(built.folder / "rounds") is None


def test_the_record_names_everything_by_relative_paths(built, slices):
    record = json.loads((built.folder / "template.json").read_text())
    assert [one["id"] for one in record["subjects"]] == [one.id for one in subjects(slices)]
    assert record["subjects"][0]["inputs"]["moving"] == "../in/sub-0_T1w.nii"
    assert [one.subject(built.folder) for one in built.subjects] == subjects(slices)


def test_subjects_that_were_left_out_show_in_the_exit_code(built):
    assert built.exit_code == 0
    assert replace(built, left_out=(LeftOut("a", "b"),)).exit_code == PARTIAL


def test_images_are_named_by_what_they_are(built):
    assert built.images == {"template": built.image, "labels": built.labels}
    with_channel = replace(built, options={**built.options, "channels": ["T2w"]})
    assert with_channel.images["T2w"] == built.folder / "template_T2w.nii.gz"
