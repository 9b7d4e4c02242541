"""Coarser grids and volumes."""

from __future__ import annotations

import numpy as np
import pytest

from made_levels import level_of, levels_of
from synthetic import ellipsoid, smooth_volume
from warpline.images import Image
from warpline.registration.pyramid import SMALLEST_AXIS, coarse_grid, coarse_image, factors_for_spacing
from warpline.space.grid import Grid


def grid_of(shape, sizes):
    return Grid(shape, np.diag([-sizes[0], sizes[1], sizes[2], 1.0]))


def test_factors_reach_the_spacing_and_spare_thick_voxels():
    assert factors_for_spacing(grid_of((100, 100, 30), (1, 1.5, 5)), 3.0) == pytest.approx((3.0, 2.0, 1.0))


def test_no_axis_gets_too_short():
    factors = factors_for_spacing(grid_of((100, 20, 1), (1, 1, 1)), 10.0)
    assert factors == pytest.approx((10.0, 20 / SMALLEST_AXIS, 1.0))


@pytest.mark.parametrize("factors", [(2.0, 2.0, 2.0), (1.7, 3.0, 1.0), (4.0, 1.0, 2.5)])
def test_coarse_grid_shares_the_centre_and_scales_the_voxels(factors):
    grid = grid_of((41, 36, 30), (1, 2, 3))
    coarse = coarse_grid(grid, factors)
    np.testing.assert_allclose(coarse.centre, grid.centre)
    np.testing.assert_allclose(coarse.voxel_size, grid.voxel_size * factors)
    assert coarse.shape == tuple(round(n / f) for n, f in zip(grid.shape, factors, strict=True))


def test_factors_of_one_return_the_volume_itself(backend):
    volume, grid = np.zeros((5, 6, 7), np.float32), grid_of((5, 6, 7), (1, 1, 1))
    same, same_grid = coarse_image(volume, grid, (1.0, 1.0, 1.0), backend)
    assert same is volume
    assert same_grid is grid


def test_values_stay_at_their_place_in_the_world(backend):
    grid = grid_of((32, 30, 28), (1, 1, 2))
    ramp = sum(w * x for w, x in zip((1.0, 2.0, -1.0), np.indices(grid.shape), strict=True)).astype(np.float32)
    coarse, coarser = coarse_image(backend.upload(ramp), grid, (2.0, 2.5, 2.0), backend)
    inner = (slice(3, -3),) * 3
    voxels = np.stack(np.indices(coarser.shape), -1)[inner] @ coarser.affine[:3, :3].T + coarser.affine[:3, 3]
    fine = (voxels - grid.affine[:3, 3]) @ np.linalg.inv(grid.affine[:3, :3]).T
    np.testing.assert_allclose(backend.download(coarse)[inner], fine @ [1.0, 2.0, -1.0], atol=2e-3)


def test_foreground_is_what_differs_from_a_constant_background():
    volume = np.where(ellipsoid((16, 15, 14), 0.6), 5.0, 2.0).astype(np.float32)
    np.testing.assert_array_equal(level_of(volume).foreground, volume > 2)
    assert level_of(smooth_volume((16, 15, 14))).foreground.all()
    assert level_of(np.full((4, 4, 4), 3, np.float32)).foreground.all()
    mask = np.zeros(volume.shape, np.uint8)
    mask[:8] = 1
    np.testing.assert_array_equal(level_of(volume, mask=mask).foreground, (volume > 2) & (mask > 0))


def test_masked_levels_average_within_the_mask(backend):
    grid = Grid((16, 16, 16), np.eye(4))
    left = np.indices(grid.shape)[0] < 8
    image = Image(np.where(left, 7.0, 100.0).astype(np.float32), grid, "image")
    level = levels_of(image, (2.0,), backend, Image(left.astype(np.uint8), grid, "mask"))[0]
    volume, inside = backend.download(level.array), backend.download(level.inside)
    assert level.mask.dtype == np.uint8
    assert np.ptp(volume[inside]) < 1e-6
    assert not volume[~inside].any()
    assert inside[:4].all()
    assert not inside[5:].any()
