from dataclasses import asdict

import numpy as np
import pytest
import SimpleITK

from warpline.errors import InputError, UsageError
from warpline.evaluation import (
    bending_energy,
    folding,
    inverse_error,
    landmark_error,
    similarity,
)
from warpline.images import Image
from warpline.space import Affine, Chain, Displacement
from warpline.space.grid import Grid

OBLIQUE = np.array(
    ((-1.2, 0.3, 0.1, 20.0), (0.2, 0.1, 2.1, -7.0), (-0.1, 1.4, 0.2, 3.0), (0.0, 0.0, 0.0, 1.0)),
)


def labels_of(array):
    return Image.from_array(array, OBLIQUE)


def smooth_field(grid, size, seed=0):
    draw = np.random.default_rng(seed)
    where = np.indices(grid.shape) / np.reshape(grid.shape, (3, 1, 1, 1))
    waves = draw.uniform(2, 6, (3, 3)) @ where.reshape(3, -1)
    return (size * np.sin(waves)).reshape(3, *grid.shape).astype(np.float32)


# -- displacements --------------------------------------------------------------------------------------------------


def test_jacobian_of_a_linear_map_is_its_determinant(backend):
    grid = Grid((7, 8, 9), OBLIQUE)
    matrix = np.array(((0.9, 0.2, 0.0), (-0.1, 1.1, 0.3), (0.05, 0.0, 0.7)))
    world = np.einsum("ab,bijk->aijk", OBLIQUE[:3, :3], np.indices(grid.shape)) + OBLIQUE[:3, 3, None, None, None]
    warp = Displacement(np.einsum("ab,bijk->aijk", matrix - np.eye(3), world).astype(np.float32), grid)
    result = folding(warp, backend=backend)
    assert result.minimum == pytest.approx(np.linalg.det(matrix), abs=1e-4)
    assert result.maximum == pytest.approx(np.linalg.det(matrix), abs=1e-4)
    assert (result.count, result.share, result.voxels) == (0, 0.0, 7 * 8 * 9)


def test_any_differences_see_what_central_ones_miss(backend):
    field = np.zeros((3, 7, 6, 5), np.float32)
    field[:, 3, 3, 2] = OBLIQUE[:3, 0] * 1.5  # a voxel moved beyond its neighbour
    warp = Displacement(field, Grid((7, 6, 5), OBLIQUE))
    central, strict = folding(warp, backend=backend), folding(warp, differences="any", backend=backend)
    assert central.minimum == pytest.approx(0.25, abs=1e-4) and central.count == 0
    assert strict.minimum == pytest.approx(-0.5, abs=1e-4) and strict.count >= 2


def test_differences_that_there_are_not_are_told():
    warp = Displacement(np.zeros((3, 4, 4, 4), np.float32), Grid((4, 4, 4), np.eye(4)))
    with pytest.raises(UsageError, match="'central' or 'any'"):
        folding(warp, differences="forward")


def test_folds_are_those_of_simpleitk(backend):
    grid = Grid((20, 18, 16), np.diag((2.0, 1.5, 1.0, 1.0)))
    field = smooth_field(grid, 9.0)
    peer = SimpleITK.GetImageFromArray(
        np.moveaxis(field, 0, -1).transpose(2, 1, 0, 3).astype(np.float64), isVector=True
    )
    peer.SetSpacing((2.0, 1.5, 1.0))
    determinant = SimpleITK.GetArrayFromImage(SimpleITK.DisplacementFieldJacobianDeterminant(peer)).T
    inside = np.zeros(grid.shape, np.uint8)
    inside[1:-1, 1:-1, 1:-1] = 1
    expected = determinant[inside > 0]
    result = folding(Displacement(field, grid), Image(inside, grid, "mask"), backend=backend)
    assert result.count == np.count_nonzero(expected <= 0) > 0
    assert result.share == pytest.approx(result.count / expected.size)
    assert result.minimum == pytest.approx(expected.min(), abs=1e-3)
    assert result.median == pytest.approx(np.median(expected), abs=1e-3)


def test_bending_energy_of_a_parabola_on_an_oblique_grid():
    grid = Grid((12, 12, 12), OBLIQUE)
    x, y, _ = np.einsum("ab,bijk->aijk", OBLIQUE[:3, :3], np.indices(grid.shape))
    field = np.stack((0.05 * x * x, 0.02 * x * y, np.zeros_like(x))).astype(np.float32)
    inside = np.zeros(grid.shape)
    inside[2:-2, 2:-2, 2:-2] = 1
    energy = bending_energy(Displacement(field, grid), Image(inside, grid))
    assert energy == pytest.approx(0.1**2 + 2 * 0.02**2, rel=1e-3)


def test_linear_maps_do_not_bend_not_even_in_one_slice():
    grid = Grid((9, 8, 1), OBLIQUE)
    field = np.stack([np.indices(grid.shape)[0] * 0.25] * 3).astype(np.float32)
    assert bending_energy(Displacement(field, grid)) == pytest.approx(0, abs=1e-12)


def test_inverse_error_is_in_voxels_of_the_grid():
    grid = Grid((6, 5, 4), OBLIQUE)
    shift, back = np.eye(4), np.eye(4)
    shift[:3, 3], back[:3, 3] = (3, -2, 1), (-3, 2, -1) + OBLIQUE[:3, 1] / 2
    result = inverse_error(Affine(shift), Chain((Affine(back),)), grid)
    assert asdict(result) == pytest.approx({"mean": 0.5, "p99": 0.5, "largest": 0.5}, abs=1e-6)


def test_inverse_error_looks_inside_the_mask_only():
    grid = Grid((8, 8, 8), np.eye(4))
    field = np.zeros((3, 8, 8, 8), np.float32)
    field[0, 5] = 0.25
    inside = np.zeros(grid.shape, bool)
    inside[:4] = True
    warp, still = Displacement(field, grid), Affine.identity()
    assert inverse_error(warp, still, grid).largest == pytest.approx(0.25)
    assert inverse_error(warp, still, grid, Image(inside, grid)).largest == 0


def test_empty_and_misplaced_masks_are_refused():
    grid = Grid((4, 4, 4), np.eye(4))
    warp = Displacement(np.zeros((3, 4, 4, 4), np.float32), grid)
    with pytest.raises(InputError, match="nothing is empty"):
        folding(warp, Image(np.zeros(grid.shape), grid, "nothing"))
    with pytest.raises(InputError, match="not on the grid"):
        bending_energy(warp, Image(np.ones(grid.shape), Grid(grid.shape, 2 * np.eye(4) - np.diag((0, 0, 0, 1)))))


# -- landmarks and intensities --------------------------------------------------------------------------------------


def test_landmark_error_is_the_distance_in_mm():
    fixed = np.array([(0.0, 0.0, 0.0), (10.0, 0.0, 0.0), (0.0, 5.0, 5.0)])
    shift = np.eye(4)
    shift[:3, 3] = (1, 2, 2)
    moving = fixed + np.array([(1, 2, 2), (4, 6, 2), (1, 2, 3)])
    assert asdict(landmark_error(fixed, moving, Affine(shift))) == {
        "mean": 2.0,
        "median": 1.0,
        "maximum": 5.0,
        "landmarks": 3,
    }


@pytest.mark.parametrize("moving", [np.zeros((3, 3)), np.full((2, 3), np.inf), np.zeros((2, 2))])
def test_landmarks_that_do_not_pair_up_are_refused(moving):
    with pytest.raises(InputError, match="landmarks"):
        landmark_error(np.zeros((2, 3)), moving, Chain())


def test_similarity_is_one_for_equal_contrast_and_low_for_noise(backend):
    draw = np.random.default_rng(1)
    fixed = draw.uniform(100, 3000, (14, 13, 12)).astype(np.float32)
    same = similarity(labels_of(fixed), labels_of(5 - 0.25 * fixed), backend=backend)
    noise = similarity(labels_of(fixed), labels_of(draw.random(fixed.shape)), backend=backend)
    assert same.ncc == pytest.approx(-1, abs=1e-5)
    assert same.local_ncc == pytest.approx(1, abs=1e-3)
    assert abs(noise.ncc) < 0.1
    assert noise.local_ncc < 0.1


def test_similarity_is_pearsons_inside_the_mask(backend):
    draw = np.random.default_rng(2)
    fixed, warped = draw.random((2, 10, 11, 12))
    inside = draw.random(fixed.shape) > 0.4
    result = similarity(labels_of(fixed), labels_of(warped), labels_of(inside), backend=backend)
    assert result.ncc == pytest.approx(np.corrcoef(fixed[inside], warped[inside])[0, 1], abs=1e-6)


def test_constant_images_have_no_correlation(backend):
    flat = labels_of(np.ones((8, 8, 8)))
    assert asdict(similarity(flat, flat, backend=backend)) == {"ncc": 0.0, "local_ncc": 0.0}
