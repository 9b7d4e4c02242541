"""Files of a finished template."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np

from template_files import subjects
from warpline import read_image
from warpline.template import LeftOut, read_template
from warpline.template.finishing import PARTIAL


def test_the_record_comes_back(built):
    assert read_template(built.folder) == built
    assert read_template(built.folder / "rounds") is None


def test_the_record_names_everything_by_relative_paths(built, slices):
    record = json.loads((built.folder / "template.json").read_text())
    assert [one["id"] for one in record["subjects"]] == [one.id for one in subjects(slices)]
    assert record["subjects"][0]["inputs"]["moving"] == "../in/sub-0_T1w.nii"
    assert [one.subject(built.folder) for one in built.subjects] == subjects(slices)


def test_labels_lie_on_the_template(built):
    image, labels = read_image(built.image), read_image(built.labels)
    assert labels.grid == image.grid
    assert np.unique(labels.data).tolist() == [0, 1, 2, 3]
    assert image.data[labels.data == 2].mean() > 1.5 * image.data[labels.data == 1].mean()


def test_subjects_that_were_left_out_show_in_the_exit_code(built):
    assert built.exit_code == 0
    assert replace(built, left_out=(LeftOut("a", "b"),)).exit_code == PARTIAL
