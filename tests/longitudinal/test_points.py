"""Time points as given."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from made_time_points import time_point
from warpline.errors import InputError
from warpline.images import Image
from warpline.longitudinal.points import canonical_order, names_of, read_points, years_of
from warpline.space.grid import Grid


def test_order_is_that_of_the_content():
    images = [time_point(seed=seed, name=f"{seed}") for seed in range(4)]
    order = [images[number].name for number in canonical_order(images)]
    turned = images[::-1]
    assert [turned[number].name for number in canonical_order(turned)] == order


def test_names_are_those_of_files():
    assert names_of(["in/ses-1.t1.nii.gz", "in/b.mgz"]) == ["ses-1.t1", "b"]
    assert names_of(["ses-1/t1.nii.gz", "ses-2/t1.nii.gz"]) == ["t1-1", "t1-2"]
    assert names_of([np.zeros((4, 4)), np.zeros((4, 4))]) == ["point-1", "point-2"]


def test_years_count_from_the_first_point():
    assert years_of(2, [70.5, 72.0], None) == (0.0, 1.5)
    first, second = years_of(2, None, ["2020-01-01", date(2021, 1, 1)])
    assert first == 0 and second == pytest.approx(366 / 365.25)
    assert years_of(2, None, None) is None


def test_2d_images_lie_in_one_plane():
    image = time_point()
    affine = image.affine.copy()
    affine[2, 3] = 7
    raised = Image(image.data + 1, Grid(image.grid.shape, affine, flat=True), "raised")
    images = read_points([image, raised]).images
    assert images[0].affine[2, 3] == images[1].affine[2, 3]


def test_one_slice_of_a_volume_is_refused():
    grid = Grid((20, 1, 20), np.eye(4))
    with pytest.raises(InputError, match="one slice"):
        read_points([Image(np.ones(grid.shape), grid)] * 2)
