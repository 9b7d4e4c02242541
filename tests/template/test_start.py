"""The grid of a template and its first mean."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from template_files import subjects, write
from warpline.backends import select
from warpline.errors import InputError, UsageError
from warpline.images import Image
from warpline.space.grid import Grid
from warpline.template.start import (
    check_further,
    check_kinds,
    coarse_grid,
    extent_of,
    factors_of,
    mean_of_centred,
    middle_of,
    read_normalised,
    template_grid,
)


def block(start, shape=(30, 30, 30), affine=None):
    data = np.zeros(shape, np.float32)
    data[tuple(slice(a, a + 10) for a in start)] = 5
    return Image.from_array(data, np.diag([2.0, 2.0, 2.0, 1.0]) if affine is None else affine)


def test_an_extent_is_in_millimetres_around_the_object():
    found = extent_of(block((4, 8, 12)))
    assert np.allclose(found.centre, [17, 25, 33]) and np.allclose(found.high, 9) and np.allclose(found.low, -9)
    assert (found.voxel, found.flat) == (2.0, False)


def test_extents_do_not_depend_on_the_order_of_axes():
    turned = np.array([[0, 2.0, 0, 0], [0, 0, 2.0, 0], [2.0, 0, 0, 0], [0, 0, 0, 1]])
    image = Image.from_array(np.transpose(block((4, 8, 12)).data, (2, 0, 1)), turned)
    assert np.allclose(extent_of(image).centre, extent_of(block((4, 8, 12))).centre)


def test_a_grid_holds_all_objects_with_a_margin_in_its_middle():
    extents = [extent_of(block((4, 8, 12))), extent_of(block((8, 8, 8)))]
    grid = template_grid(extents, None)
    assert np.allclose(grid.centre, [21, 25, 29])
    assert all(18 * 1.24 <= n * 2.0 < 18 * 1.24 + 8 for n in grid.shape)
    assert template_grid(extents, 1.0).voxel_size.tolist() == [1, 1, 1]


def test_flat_and_solid_images_make_no_template(slices):
    with pytest.raises(InputError, match="those of b have two axes, the others three; leave them out"):
        check_kinds({"a": False, "b": True, "c": False})
    with pytest.raises(InputError, match="those of a have three axes, the others two"):
        check_kinds({"a": False, "b": True, "c": True})
    check_kinds({"a": True, "b": True})
    solid = Grid((32, 32, 32), np.eye(4))
    with pytest.raises(InputError, match="and the subjects are not of one kind"):
        mean_of_centred([subjects(slices, 1)[0].moving], np.zeros(3), solid, None, backend=select("numpy"))
    assert template_grid([extent_of(Image.from_array(np.eye(32)))], None).flat


@pytest.mark.parametrize(("spacing", "message"), [(0.001, "voxels; choose a larger"), (20.0, "axis; choose a smaller")])
def test_a_spacing_that_makes_no_grid_is_named(spacing, message):
    with pytest.raises(UsageError, match=message):
        template_grid([extent_of(block((4, 8, 12)))], spacing)


def test_labels_and_channels_are_read_before_anything_runs(slices, tmp_path):
    (one,) = subjects(slices, 1)
    check_further(one, None, flat=True)
    with pytest.raises(InputError, match=r"sub-0_dseg.nii has two axes, the image of sub-0 three"):
        check_further(one, None, flat=False)
    write(np.full((8, 8), np.nan, np.float32), tmp_path / "nan.nii")
    with pytest.raises(InputError, match="NaN or infinite values"):
        check_further(replace(one, columns={"T2w": str(tmp_path / "nan.nii")}), None, flat=True)
    with pytest.raises(InputError, match="labels are whole numbers"):
        check_further(replace(one, moving_labels=one.moving), None, flat=True)


def test_coarse_grids_span_the_same_box():
    grid = Grid((128, 96, 64), np.diag([1.0, 1.0, 1.0, 1.0]))
    assert factors_of(grid) == [4, 2, 1]
    assert factors_of(Grid((64, 48, 1), np.eye(4), flat=True)) == [2, 1]
    coarse = coarse_grid(grid, 4)
    assert coarse.shape == (32, 24, 16) and np.allclose(coarse.centre, grid.centre)
    assert coarse_grid(Grid((64, 48, 1), np.eye(4), flat=True), 2).flat


def test_the_first_mean_brings_centres_together(slices):
    backend, names = select("numpy"), [one.moving for one in subjects(slices)]
    extents = [extent_of(read_normalised(name, None, backend)) for name in names]
    grid = template_grid(extents, None)
    middle = middle_of(extents)
    mean = mean_of_centred(names, middle, grid, None, backend=backend)
    assert np.abs(extent_of(mean).centre - middle)[:2].max() < 1.0
    assert 0.9 < mean.data.max() < 1.1
