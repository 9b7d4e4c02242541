"""Time points as given."""

from __future__ import annotations

import re
from datetime import date

import numpy as np
import pytest

from made_time_points import time_point
from warpline.errors import InputError, UsageError
from warpline.images import Image
from warpline.io.images import write_image
from warpline.longitudinal.points import canonical_order, labels_on, names_of, read_points, years_of
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


def test_one_file_twice_is_refused(tmp_path):
    write_image(time_point(), tmp_path / "a.nii")
    (tmp_path / "link.nii").symlink_to(tmp_path / "a.nii")
    with pytest.raises(UsageError, match="points 1 and 2 are one file"):
        read_points([tmp_path / "a.nii", tmp_path / "link.nii"])


def test_copies_are_named():
    image = time_point()
    given = read_points([image, Image(image.data.copy(), image.grid, "copy"), time_point(seed=1)])
    assert [note for note in given.notes if "same voxels" in note] == [
        "point-1 and point-2 have the same voxels, so that nothing changes: is one a copy?"
    ]


def test_nan_around_the_object_is_background():
    image = time_point()
    around = Image(np.where(image.data < 3, np.float32(np.nan), image.data), image.grid, "around")
    given = read_points([image, around])
    assert np.isfinite(given.images[1].data).all() and "taken for background" in given.notes[0]
    spoilt = image.data.copy()
    spoilt[20, 20] = np.nan
    with pytest.raises(InputError, match="1 NaN"):
        read_points([image, Image(spoilt, image.grid)])


@pytest.mark.parametrize(
    ("data", "message"),
    [(np.ones((8, 8)), "constant"), (np.ones((8, 8, 8)), "2-D"), (np.ones((8, 8, 8, 2)), "4-D")],
)
def test_what_is_no_time_point_is_refused(data, message):
    with pytest.raises(InputError, match=message):
        read_points([time_point(), data])


def test_masks_are_those_of_each_point_or_of_all():
    images, size = [time_point(), time_point(seed=1)], time_point().data.shape
    left = Image((np.arange(size[0]) < 20)[:, None, None] * np.ones(size), images[0].grid, "left")
    one, both = read_points(images, [left]), read_points(images, [left, images[1]])
    assert [mask is not None for mask in one.masks] == [True, True]
    assert both.masks[0].data.sum() < both.masks[1].data.sum()
    assert [entry["mask"]["shape"] for entry in both.descriptions] == [list(size)] * 2
    assert read_points(images).masks == [None, None]
    with pytest.raises(UsageError, match="3 files for 2"):
        read_points(images, [left] * 3)
    with pytest.raises(InputError, match="0 everywhere"):
        read_points(images, [Image(0 * left.data, left.grid, "none")])


def test_masks_decide_the_order_of_copies():
    image, other = time_point(), time_point(seed=1)
    masks = [Image(one.data > 40, one.grid) for one in (image, other)]
    order = canonical_order([image, image], masks)
    assert canonical_order([image, image], masks[::-1]) == [1 - place for place in order]


def test_labels_have_no_fractions():
    image = time_point()
    with pytest.raises(InputError, match="whole numbers"):
        labels_on(image, image)
    labels = Image(np.rint(image.data), image.grid)
    assert labels_on(labels, image).data is labels.data
    with pytest.raises(InputError, match="0 everywhere"):
        labels_on(Image(0 * labels.data, image.grid), image)


def test_refusals_name_whole_paths(tmp_path):
    for name, data in (("a", np.eye(16)), ("b", np.ones((16, 16)))):
        write_image(Image.from_array(data), tmp_path / f"{name}.nii")
    paths = [str(tmp_path / f"{name}.nii") for name in "ab"]
    with pytest.raises(InputError, match=re.escape(f"{paths[1]} is constant")):
        read_points(paths)
