"""Files of a finished template."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from warpline import read_image
from warpline.template.finishing import _warnings


def test_labels_lie_on_the_template(built):
    image, labels = read_image(built.image), read_image(built.labels)
    assert labels.grid == image.grid
    assert np.unique(labels.data).tolist() == [0, 1, 2, 3]
    assert image.data[labels.data == 2].mean() > 1.5 * image.data[labels.data == 1].mean()


def test_who_is_undecided_is_named(built):
    rounds = [replace(built.rounds[-1], sides={"sub-0": 0.4, "sub-1": 0.05, "removed": 0.0})]
    told = list(_warnings(built.subjects, True, rounds))
    assert told == ["whether left and right are exchanged is undecided in sub-1: compare by eye"]
