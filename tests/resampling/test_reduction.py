"""Images, masks and labels on coarser grids: means, shares and majorities of whole blocks."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK

from made_images import grid_of
from warpline.images import Image
from warpline.resampling import reduction
from warpline.resampling.reduction import reduce_image, reduce_labels, reduce_mask, reduced_grid
from warpline.space.grid import Grid, apply_affine


@pytest.mark.parametrize("orientation", ["axes", "flipped", "oblique"])
def test_a_voxel_lies_in_the_middle_of_its_block(orientation):
    grid = grid_of(orientation, (6, 8, 4))
    coarse = reduced_grid(grid, (2, 4, 1))
    assert coarse.shape == (3, 2, 4)
    block = np.stack(np.meshgrid([2, 3], [4, 5, 6, 7], [1], indexing="ij"), -1).reshape(-1, 3)
    middle = apply_affine(grid.affine, block).mean(axis=0)
    np.testing.assert_allclose(apply_affine(coarse.affine, [1, 1, 1]), middle, atol=1e-12)


def test_blocks_cover_every_voxel_and_2d_images_stay_2d():
    grid = Grid((7, 5, 1), np.eye(4), flat=True)
    coarse = reduced_grid(grid, (2, 2, 1))
    assert coarse.shape == (4, 3, 1) and coarse.flat
    assert coarse.contains(apply_affine(grid.affine, np.argwhere(np.ones(grid.shape)))).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32, np.float64])
def test_means_are_those_of_itks_bin_shrink(dtype, monkeypatch):
    monkeypatch.setattr(reduction, "BLOCK_HELD", 200)  # several slabs
    values = np.random.default_rng(0).integers(0, 200, (12, 8, 6)).astype(dtype)
    reduced = reduce_image(Image.from_array(values), (3, 2, 1))
    theirs = SimpleITK.BinShrink(SimpleITK.GetImageFromArray(values.T.astype(np.float64)), [3, 2, 1])
    assert reduced.data.dtype == np.float32
    np.testing.assert_allclose(reduced.data, SimpleITK.GetArrayFromImage(theirs).T, rtol=1e-6)
    np.testing.assert_allclose(reduced.affine[:3, 3], theirs.GetOrigin())


def test_a_block_that_is_cut_off_is_the_mean_of_what_there_is():
    reduced = reduce_image(Image.from_array(np.array([[0.0, 2, 10], [4, 6, 30]])), (2, 2, 1))
    assert reduced.data.ravel().tolist() == [3.0, 20.0]


def test_blocks_of_one_voxel_leave_an_image_as_it_is():
    image = Image.from_array(np.eye(4, dtype=np.uint8))
    for reduce in (reduce_image, reduce_mask, reduce_labels):
        assert reduce(image, (1, 1, 1)) is image


@pytest.mark.parametrize(("marked", "expected"), [([4, 2, 1, 0], [1, 1, 0, 0]), ([1, 1, 0, 0], [1, 1, 0, 0])])
def test_masks_keep_half_marked_blocks_or_else_the_fullest(marked, expected):
    mask = np.zeros((2, 8), np.int16)
    for block, count in enumerate(marked):
        mask[:, 2 * block : 2 * block + 2].reshape(-1)[:count] = 7
        mask[[0, 0, 1, 1][:count], [2 * block, 2 * block + 1, 2 * block, 2 * block + 1][:count]] = 7
    reduced = reduce_mask(Image.from_array(mask), (2, 2, 1))
    assert reduced.data.dtype == np.uint8 and reduced.data.ravel().tolist() == expected


def test_labels_are_those_of_most_voxels_and_keep_their_type():
    labels = np.array([[5, 5, 900], [5, 0, 900], [2, 2, 0]], np.uint16)
    reduced = reduce_labels(Image.from_array(labels), (2, 2, 1))
    assert reduced.data.dtype == np.uint16
    assert reduced.data[:, :, 0].tolist() == [[5, 900], [2, 0]]
