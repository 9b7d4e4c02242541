"""Whole templates: who is left out, what is done again, what a kill leaves. Judged by bytes."""

from __future__ import annotations

import gzip
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from template_files import asked, subjects, write
from warpline import read_image, template
from warpline.cohort import Pair
from warpline.errors import InputError, UsageError
from warpline.template import sequence
from warpline.template.averages import sharpness


def files_of(folder):
    """The bytes of everything that a template is."""
    return {path.name: path.read_bytes() for path in folder.glob("template*")}


def test_what_does_not_belong_leaves_no_trace(built, built_among_strangers):
    made, said = built_among_strangers
    assert {one.id for one in made.left_out} == {"mirrored", "noise"} and made.exit_code == 3
    assert sum("is left out, the rounds begin anew without it" in line for line in said) == 2
    names = ("template.nii.gz", "template_labels.nii.gz")
    assert [files_of(made.folder)[name] for name in names] == [files_of(built.folder)[name] for name in names]
    assert made.subjects == built.subjects and [one.shape_mm for one in made.rounds] == [
        one.shape_mm for one in built.rounds
    ]


def test_the_order_of_subjects_does_not_matter(built, slices):
    again = template.build(subjects(slices)[::-1], built.folder, asked())
    assert again == built


def test_a_finished_template_of_others_is_not_replaced_unasked(out, slices):
    with pytest.raises(UsageError, match="holds a template of other subjects or options; choose another folder"):
        template.build(subjects(slices)[:3], out, asked())
    before = files_of(out)
    made = template.build(subjects(slices, 3), out, asked(recipe="rigid", redo=True))
    assert len(made.subjects) == 3 and files_of(out) != before


class KilledError(BaseException):
    """Stands for the end of the process."""


def test_a_build_killed_again_and_again_ends_in_the_same_bytes(built, slices, monkeypatch):
    """Killed in every round, between its registrations and its record."""
    folder = built.folder.parent / "killed"
    write_round, writes = sequence._write, []

    def killed(*arguments):
        writes.append(arguments)
        if len(writes) % 2:
            raise KilledError
        write_round(*arguments)

    monkeypatch.setattr(sequence, "_write", killed)
    for _ in built.rounds:
        with pytest.raises(KilledError):
            template.build(subjects(slices), folder, asked())
    template.build(subjects(slices), folder, asked())
    assert files_of(folder) == files_of(built.folder)
    shutil.rmtree(folder)


def test_a_file_in_place_of_the_folder_is_refused(slices):
    *images, last = [one.moving for one in subjects(slices)]
    with pytest.raises(UsageError, match=r"sub-4_T1w\.nii is a file; the folder of the template is needed"):
        template.build(images, last, asked())


def test_symmetric_templates_are_their_own_mirror_images(built, slices, tmp_path):
    options = asked(recipe="rigid", rounds=1, symmetric=True, initial=built.image)
    made = template.build(subjects(slices, 3, labels=False), tmp_path, options)
    data = read_image(made.image).data
    assert np.array_equal(data, data[::-1]) and made.labels is None
    assert made.rounds[0].sharpness > 0.8 * sharpness(read_image(built.image))


def test_further_channels_are_averaged_by_the_same_maps(slices, tmp_path):
    rows = ["id\tmoving\tT2w"]
    for one in subjects(slices, 3):
        image = read_image(one.moving)
        write(np.square(image.data[:, :, 0]), tmp_path / f"{one.id}_T2w.nii")
        rows.append(f"{one.id}\t{one.moving}\t{one.id}_T2w.nii")
    (tmp_path / "s.tsv").write_text("\n".join(rows))
    made = template.build(tmp_path / "s.tsv", tmp_path / "out", asked(recipe="rigid", channels=("T2w",)))
    first, second = (read_image(path).data.ravel() for path in (made.image, tmp_path / "out" / "template_T2w.nii.gz"))
    assert np.corrcoef(first**2, second)[0, 1] > 0.98


def test_an_image_that_cannot_be_used_is_left_out(slices, tmp_path):
    write(np.full((40, 36), np.nan, np.float32), tmp_path / "nan.nii")
    chosen = [*subjects(slices, 2, labels=False), Pair("nan", str(tmp_path / "nan.nii"))]
    made = template.build(chosen, tmp_path / "out", asked(recipe="rigid", rounds=1))
    assert [one.id for one in made.left_out] == ["nan"] and "NaN or infinite values" in made.left_out[0].reason
    assert made.warnings[-1] == "left and right were not compared: that takes 5 subjects, these are 2"


def test_fewer_than_two_that_fit_are_refused(slices, tmp_path):
    with pytest.raises(InputError, match="a template takes 2 subjects at least, 1 is given"):
        template.build(subjects(slices, 1), tmp_path / "one", asked())
    assert not (tmp_path / "one").exists()
    write(np.zeros((40, 36), np.float32), tmp_path / "zero.nii")
    with pytest.raises(InputError, match=r"1 of 2 subjects fit together, .*: zero cannot be used: .*constant"):
        template.build([*subjects(slices, 1), Pair("zero", str(tmp_path / "zero.nii"))], tmp_path, asked())


def test_labels_that_cannot_be_read_are_found_before_the_rounds(slices, tmp_path):
    chosen = subjects(slices, 3)
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(gzip.compress(Path(chosen[2].moving_labels).read_bytes())[:100])
    chosen[2] = replace(chosen[2], moving_labels=str(broken))
    made = template.build(chosen, tmp_path / "out", asked(recipe="rigid", rounds=1))
    assert [one.id for one in made.left_out] == ["sub-2"] and "damaged or truncated" in made.left_out[0].reason


def test_images_that_count_twice_are_named(slices, tmp_path):
    (one,) = subjects(slices, 1, labels=False)
    made = template.build([one, replace(one, id="again")], tmp_path, asked(recipe="rigid", rounds=1))
    assert made.warnings[-1] == "again and sub-0 are the same image: it counts 2 times"
    assert made.residual < 1e-3
