"""Label maps are recognised by what they hold; images and masks are not taken for one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree

from warpline.images import Image
from warpline.images.label_maps import looks_like_labels
from warpline.io.images import read_image

PATCHES = np.kron(np.random.default_rng(0).permutation(100).reshape(5, 5, 4), np.ones((8, 8, 8)))


def image_of(data):
    return Image.from_array(data)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, np.float32])
def test_whole_numbers_in_patches_are_labels(dtype):
    assert looks_like_labels(image_of(PATCHES.astype(dtype)))
    assert looks_like_labels(image_of(PATCHES[:, :, 0].astype(dtype)))
    assert looks_like_labels(image_of(PATCHES[:1].astype(dtype)))


@pytest.mark.parametrize("mm", [1, 2, 3])
def test_labels_are_recognised_in_coarse_voxels(mm):
    rng = np.random.default_rng(0)
    shape = (48, 48, 24)
    seeds, places = rng.uniform(0, 1, (120, 3)) * shape, np.stack(np.indices(shape), -1)
    fine = cKDTree(seeds).query(places)[1] + 1
    fine[np.linalg.norm(places / shape - 0.5, axis=-1) > 0.5] = 0
    assert looks_like_labels(image_of(fine[::mm, ::mm, ::mm].astype(np.int16)))


def test_touching_objects_numbered_in_a_row_are_labels():
    data = np.zeros((60, 90, 30), np.uint8)
    for number in range(18):
        data[20:40, 5 * number : 5 * number + 4 + number % 2, 8:22] = number + 1
    assert looks_like_labels(image_of(data))


@pytest.mark.parametrize("levels", [30, 100, 140, 180, 250])
@pytest.mark.parametrize("gap", [1, 3])
def test_smooth_images_are_no_labels(levels, gap):
    x, y = np.indices((256, 256)) / 256
    shapes = (x, (x + y) / 2, np.exp(-6 * ((x - 0.5) ** 2 + (y - 0.5) ** 2)), (np.sin(12 * x) * np.cos(9 * y) + 1) / 2)
    for smooth in shapes:
        assert not looks_like_labels(image_of((gap * np.rint(smooth * levels)).astype(np.int16)))


def test_masks_and_tissue_maps():
    assert not looks_like_labels(image_of((PATCHES > 50).astype(np.uint8)))
    assert not looks_like_labels(image_of(np.ones((8, 8, 8), np.uint8)))
    assert looks_like_labels(image_of((PATCHES // 25).astype(np.uint8)))


def test_fractions_and_many_values_are_no_labels():
    assert not looks_like_labels(image_of(PATCHES + 0.5))
    assert not looks_like_labels(image_of(np.full((8, 8, 8), np.nan)))
    assert not looks_like_labels(image_of(np.kron(np.arange(512).reshape(8, 8, 8), np.ones((8, 8, 8)))))


@pytest.mark.parametrize("levels", [256, 64, 16])
def test_few_grey_values_are_no_labels(levels):
    x, y, z = np.indices((40, 40, 40)) / 40 - 0.5
    smooth = np.exp(-6 * (x**2 + y**2 + z**2)) * (1 + 0.3 * np.sin(25 * x) * np.cos(20 * y + 10 * z))
    noisy = smooth + np.random.default_rng(1).normal(0, 0.03, smooth.shape)
    assert not looks_like_labels(image_of((noisy.clip(0, 1) * (levels - 1)).astype(np.uint8)))


def test_real_slices_and_their_labels(data_folder):
    for name in ("sub-01", "sub-02"):
        folder = data_folder / "oasis-trt-20-slices"
        assert looks_like_labels(read_image(folder / f"{name}_labels.nii.gz"))
        brain = read_image(folder / f"{name}_t1.nii.gz")
        assert not looks_like_labels(brain)
        for levels in (255, 63, 15):
            assert not looks_like_labels(image_of((brain.data / brain.data.max() * levels).astype(np.uint8)))


@pytest.mark.parametrize("step", [1, 2, 3, 4])
def test_real_labels_in_coarse_voxels(step, data_folder):
    labels = read_image(data_folder / "oasis-trt-20" / "sub-02" / "labels.nii.gz")
    assert looks_like_labels(image_of(labels.data[::step, ::step, ::step]))
