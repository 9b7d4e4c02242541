"""Subjects added to a finished template, and removed."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest

from template_files import COUNT, asked, strangers, subjects
from warpline import read_image, template, write_image
from warpline.cohort import Pair
from warpline.errors import InputError, UsageError

RUNNING = asked(recipe=None)


def image_of(folder):
    return (folder / "template.nii.gz").read_bytes()


def test_who_is_removed_and_added_again_leaves_the_same_bytes(out, slices):
    before = image_of(out)
    fewer = template.remove(out, ["sub-2"], RUNNING)
    assert len(fewer.subjects) == COUNT - 1 and image_of(out) != before
    again = template.add(out, [subjects(slices)[2]], RUNNING)
    assert image_of(out) == before and again.rounds == fewer.rounds


def test_new_subjects_alone_are_registered(out, slices):
    template.remove(out, ["sub-4"], RUNNING)
    folder = max((out / "rounds").glob("0*"))
    shutil.rmtree(folder / "sub-4")
    times = {path: path.stat().st_mtime_ns for path in folder.glob("sub-*/**/*.mat")}
    made = template.add(out, [subjects(slices)[4]], RUNNING)
    assert [one.id for one in made.subjects] == [f"sub-{n}" for n in range(COUNT)]
    assert (folder / "sub-4").exists() and {path: path.stat().st_mtime_ns for path in times} == times
    assert min(one.fit for one in made.subjects) > 0.95


def test_a_stranger_changes_the_list_of_those_left_out_alone(out, slices):
    before, said = image_of(out), []
    made = template.add(out, [strangers(slices)[1]], RUNNING, say=said.append)
    assert [one.id for one in made.left_out] == ["noise"] and made.exit_code == 3
    assert image_of(out) == before and said[0].startswith("noise is left out: does not fit")


def test_members_stay_and_undecided_new_ones_are_named(out, slices, tmp_path, monkeypatch):
    image = read_image(subjects(slices)[0].moving)
    write_image(replace(image, data=image.data * 1.01), tmp_path / "new.nii")
    found = np.array([0.05, -0.9, 0.5, 0.5, 0.5, 0.5])  # of new, then of the members: by grey values alone
    monkeypatch.setattr("warpline.template.judging.handedness", lambda *_: found)
    made = template.add(out, [Pair("new", str(tmp_path / "new.nii"))], RUNNING)
    assert len(made.subjects) == COUNT + 1 and made.left_out == ()
    (warning,) = (one for one in made.warnings if "undecided" in one)
    assert warning.startswith("whether left and right are exchanged is undecided in new:")
    assert template.remove(out, ["sub-1"], RUNNING).warnings == made.warnings


def test_ids_are_checked(out, slices):
    with pytest.raises(InputError, match="sub-0 is in the template already"):
        template.add(out, subjects(slices, 1), RUNNING)
    with pytest.raises(InputError, match="the image of again is in the template already, as sub-0; leave it out"):
        template.add(out, [replace(subjects(slices, 1)[0], id="again")], RUNNING)
    with pytest.raises(UsageError, match="'sub-9' is not in the template; its subjects are sub-0"):
        template.remove(out, ["sub-9"], RUNNING)
    with pytest.raises(UsageError, match="1 subjects would stay"):
        template.remove(out, [f"sub-{n}" for n in range(COUNT - 1)], RUNNING)


def test_labels_of_new_subjects_are_checked(out, slices):
    template.remove(out, ["sub-1"], RUNNING)
    before, (one,) = image_of(out), subjects(slices)[1:2]
    with pytest.raises(InputError, match="labels are whole numbers"):
        template.add(out, [replace(one, moving_labels=one.moving)], RUNNING)
    assert image_of(out) == before


def test_without_a_template_there_is_nothing_to_change(tmp_path):
    with pytest.raises(InputError, match="holds no finished template"):
        template.remove(tmp_path, ["a"])
    assert list(tmp_path.iterdir()) == []


def test_another_image_under_an_id_begins_from_its_own_start(out, slices, tmp_path):
    template.remove(out, ["sub-1"], RUNNING)
    (starts,) = (out / "rounds").glob("*/starts")
    before = {path.name: path.read_bytes() for path in starts.glob("sub-1*")}
    shutil.copy(subjects(slices)[3].moving, tmp_path / "other.nii")
    template.remove(out, ["sub-3"], RUNNING)
    template.add(out, [Pair("sub-1", str(tmp_path / "other.nii"))], RUNNING)
    assert before and all((starts / name).read_bytes() != content for name, content in before.items())


def test_labels_go_with_the_last_subject_that_has_some(out, slices, tmp_path):
    for number in (0, 1):
        shutil.copy(subjects(slices)[number].moving, tmp_path / f"new-{number}.nii")
    template.remove(out, ["sub-0", "sub-1"], RUNNING)
    template.add(out, [Pair(f"new-{number}", str(tmp_path / f"new-{number}.nii")) for number in (0, 1)], RUNNING)
    assert (out / "template_labels.nii.gz").exists()
    made = template.remove(out, ["sub-2", "sub-3", "sub-4"], RUNNING)
    assert made.labels is None and not (out / "template_labels.nii.gz").exists()
