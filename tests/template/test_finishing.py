"""Files of a finished template."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np

from warpline import read_image
from warpline.cohort import read_manifest
from warpline.template.finishing import _warnings


def test_labels_lie_on_the_template(built):
    image, labels = read_image(built.image), read_image(built.labels)
    assert labels.grid == image.grid
    assert np.unique(labels.data).tolist() == [0, 1, 2, 3]
    assert image.data[labels.data == 2].mean() > 1.5 * image.data[labels.data == 1].mean()


def test_who_is_undecided_is_named(built):
    rounds = [replace(built.rounds[-1], sides={"sub-0": 0.4, "sub-1": 0.05, "removed": 0.0})]
    told = list(_warnings(built.subjects, True, rounds))
    assert told[0].startswith("whether left and right are exchanged is undecided in sub-1: look at the pictures")
    assert len(told) == 1 and told[0].endswith(str(built.page.relative_to(built.folder)))


def test_the_table_registers_the_subjects_to_the_template(built):
    pairs = read_manifest(built.table)
    assert [pair.id for pair in pairs] == [one.id for one in built.subjects]
    assert {os.path.normpath(pair.fixed) for pair in pairs} == {str(built.image)}
    assert {os.path.normpath(pair.fixed_labels) for pair in pairs} == {str(built.labels)}
    assert all(os.path.isfile(path) for pair in pairs for path in (pair.moving, pair.moving_labels))
    text = built.table.read_text(encoding="utf-8")
    assert str(built.folder) not in text
