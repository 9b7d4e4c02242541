"""Every made fault of a header is found and mended; right headers are left alone."""

from __future__ import annotations

import numpy as np
import pytest

from faulty_headers import coarse_heads, flipped, scaled, shifted, swapped
from made_heads import lattice, scan
from warpline.errors import InputError
from warpline.images import Image
from warpline.io.images import read_image
from warpline.registration import check_headers
from warpline.space.grid import Grid


def check(image, reference=None, **options):
    return check_headers(
        coarse_heads()[0] if reference is None else reference, image, backend="numba", threads=1, **options
    )


FAULTS = {
    "mirrored": (lambda image: flipped(image, 0), "handedness"),
    "upside down": (lambda image: flipped(image, 2), "handedness"),
    "axes exchanged": (swapped, "handedness"),
    "metres": (lambda image: scaled(image, 0.001), "spacing"),
    "tenfold": (lambda image: scaled(image, 10.0), "spacing"),
    "far off": (lambda image: shifted(image, (0, 200.0, 0)), "origin"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_and_mended(fault):
    image = coarse_heads()[1]
    make, kind = FAULTS[fault]
    broken = make(image)
    found = check(broken)
    assert found.outcome == "doubtful" and [one.kind for one in found.findings] == [kind]
    axis, right = {"mirrored": 0, "upside down": 2}.get(fault), image.grid.affine.copy()
    if axis is not None:
        right[:3, 3] += right[:3, axis] * (image.grid.shape[axis] - 1)
        right[:3, axis] *= -1
    if fault == "axes exchanged":
        right = right[:, [1, 0, 2, 3]]
    np.testing.assert_allclose(found.proposed.affine[:3, :3], right[:3, :3], atol=1e-9)
    apart = found.proposed.corners() - Grid(broken.grid.shape, right).corners()
    assert np.abs(apart).max() < (20.0 if fault == "far off" else 10.0)


def test_a_right_header_is_left_alone():
    found = check(coarse_heads()[1])
    assert found.outcome == "consistent" and found.proposed is None and found.undecided == ()


def test_voxel_sizes_that_were_lost_are_measured():
    thick = scan(lattice(size=(4.0, 4.0, 8.0), shape=(33, 40, 16)), name="thick")
    found = check(scaled(thick, (0.25, 0.25, 0.125), origin=False))
    (finding,) = found.findings
    assert finding.kind == "spacing" and "no sizes of its own" in finding.sentence
    np.testing.assert_allclose(found.proposed.voxel_size, [4.0, 4.0, 8.0], rtol=0.05)


def test_a_symmetric_object_leaves_its_hand_undecided():
    image = coarse_heads()[0]
    noise = np.random.default_rng(2).normal(0, 12, (2, *image.data.shape))
    symmetric = image.data + np.flip(image.data, 0)
    noisy = [Image(np.where(symmetric > 0, symmetric + one, 0).astype(np.float32), image.grid) for one in noise]
    found = check(*noisy)
    assert found.outcome == "consistent" and "handedness cannot be told" in found.undecided[0]


@pytest.mark.parametrize("size", [None, 8.0])
def test_noise_is_undecided(size):
    """In voxels like those of the reference, and in large ones, whose fits have any size."""
    grid = coarse_heads()[1].grid
    if size is not None:
        grid = Grid(
            (round(160 / size),) * 3, np.array([(size, 0, 0, -80), (0, size, 0, -80), (0, 0, size, -80), (0, 0, 0, 1)])
        )
    noise = np.random.default_rng(0).normal(size=grid.shape).astype(np.float32)
    found = check(Image(noise, grid, "noise"))
    assert found.outcome == "undecided" and found.findings == () and "by chance" in found.undecided[0]


def test_slices_are_checked_in_their_plane():
    texture = np.random.default_rng(1).normal(5, 1, (16, 16)).repeat(3, axis=0).repeat(3, axis=1)
    x, y = np.indices((48, 48)) - 23.5
    disc = np.where(x**2 + 2 * y**2 < 400, texture, 0)
    assert check(disc, disc).outcome == "consistent"
    found = check(disc.T.copy(), disc)
    assert [one.kind for one in found.findings] == ["handedness"] and found.proposed.flat


def test_a_slice_and_a_volume_are_refused():
    with pytest.raises(InputError, match="is 2-D"):
        check(np.eye(20))


def test_a_mask_is_checked_too():
    image = coarse_heads()[1]
    mask = Image((image.data > 0).astype(np.uint8), image.grid, "mask")
    assert check(image, mask=mask).outcome == "consistent"
    found = check(image, mask=shifted(mask, (50.0, 0, 0)))
    assert {one.kind for one in found.findings} == {"mask grid", "mask orientation"} and found.proposed is None


def test_the_mask_of_a_slice_follows_it_to_the_plane():
    texture = np.random.default_rng(1).normal(5, 1, (16, 16)).repeat(3, axis=0).repeat(3, axis=1)
    x, y = np.indices((48, 48)) - 23.5
    disc = Image.from_array(np.where(x**2 + 2 * y**2 < 400, texture, 0))
    raised = np.eye(4)
    raised[2, 3] = 7
    grid = Grid(disc.grid.shape, raised, disc.grid.flat)
    found = check(Image(disc.data, grid), disc, mask=Image((disc.data > 0).astype(np.uint8), grid, "mask"))
    assert found.outcome == "consistent"


def test_a_mask_of_several_volumes_is_refused():
    image = coarse_heads()[1]
    with pytest.raises(InputError, match="is 4-D"):
        check(image, mask=Image(np.ones((*image.grid.shape, 2), np.uint8), image.grid, "mask"))


@pytest.mark.parametrize("mirrored", [False, True])
def test_two_brains_and_a_mirrored_one(mirrored, data_folder):
    reference = read_image(data_folder / "seed" / "mni_icbm152_t1_tal_nlin_asym_09a_masked_222.nii")
    image = read_image(data_folder / "seed" / "ds114_sub009_highres_brain_222.nii")
    found = check(flipped(image, 0) if mirrored else image, reference)
    assert [one.kind for one in found.findings] == ["handedness"] * mirrored
