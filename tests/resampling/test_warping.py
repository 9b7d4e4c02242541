"""Images go through transforms in one interpolation."""

from __future__ import annotations

import numpy as np
import pytest

from oblique_pair import FIXED, MOVING, TURN, linear_oracle, smooth_field, smooth_image, world_points
from warpline.errors import UsageError
from warpline.images import Image
from warpline.resampling import resample, warp, warping
from warpline.space import Chain
from warpline.space.grid import Grid, apply_affine


def assert_same_inside(warped, expected):
    inside = np.isfinite(expected)
    assert inside.mean() > 0.25
    np.testing.assert_allclose(warped[inside], expected[inside], atol=2e-3)


@pytest.mark.parametrize(
    "transform",
    [
        TURN,
        Chain(()),
        Chain((TURN, TURN.inverse(), TURN)),
        smooth_field(FIXED),
        Chain((smooth_field(FIXED), TURN)),
        Chain((TURN, smooth_field(FIXED))),
    ],
    ids=["affine", "empty", "affines", "field", "field then affine", "affine then field"],
)
def test_warp_pulls_values_through_the_transform(transform, backend):
    image = smooth_image(MOVING)
    warped = warp(image, transform, FIXED, outside=-1.0, backend=backend)
    assert warped.grid is FIXED and warped.data.dtype == np.float32
    assert_same_inside(warped.data, linear_oracle(image, transform.map_points(world_points(FIXED))))


def test_displacements_elsewhere_are_composed_and_zero_outside(backend):
    wide = Grid((12, 12, 12), np.diag([5.0, 5.0, 5.0, 1.0]) + np.array([[0, 0, 0, -27.0]] * 3 + [[0, 0, 0, 0]]))
    image = smooth_image(MOVING)
    chain = Chain((smooth_field(wide), TURN, smooth_field(FIXED, seed=8), smooth_field(wide, seed=9)))
    warped = warp(image, chain, FIXED, outside=-1.0, backend=backend)
    points = chain.map_points(world_points(FIXED))
    second = Chain(chain.parts[:2]).map_points(world_points(FIXED))
    voxels = apply_affine(FIXED.inverse_affine, second)
    interior = np.all((voxels > 0) & (voxels < np.array(FIXED.shape) - 1), axis=-1)
    assert_same_inside(warped.data, np.where(interior, linear_oracle(image, points), np.nan))
    far = Grid((6, 6, 6), np.array([[1.0, 0, 0, 900], [0, 1, 0, 900], [0, 0, 1, 900], [0, 0, 0, 1]]))
    untouched = warp(image, smooth_field(far), MOVING, backend=backend)
    np.testing.assert_allclose(untouched.data, image.data, atol=1e-4)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", ">i4"])
def test_labels_stay_exact(dtype, backend):
    top = 2 if dtype == "bool" else min(np.iinfo(dtype).max, 2**60)
    labels = np.random.default_rng(2).integers(0, top, MOVING.shape, dtype=np.int64).astype(dtype)
    warped = warp(Image(labels, MOVING), Chain((smooth_field(FIXED), TURN)), FIXED, order=0, backend=backend)
    assert warped.data.dtype == np.dtype(dtype).newbyteorder("=")
    assert set(np.unique(warped.data).tolist()) <= {*np.unique(labels).tolist(), 0}
    assert warped.data.any()


def test_series_go_volume_by_volume(backend):
    series = np.stack([smooth_image(MOVING, seed).data for seed in range(3)], axis=-1)
    warped = warp(Image(series, MOVING), TURN, FIXED, order=3, backend=backend)
    assert warped.data.shape == (*FIXED.shape, 3)
    for t in range(3):
        alone = warp(Image(series[..., t], MOVING), TURN, FIXED, order=3, backend=backend)
        np.testing.assert_array_equal(warped.data[..., t], alone.data)


def test_volumes_of_a_series_are_not_kept(numpy_backend, monkeypatch):
    kept = []
    monkeypatch.setattr(warping, "run_concurrently", lambda run, parts, *_: kept.extend(map(run, parts)))
    resample(Image.from_array(np.ones((4, 5, 6, 3))), voxel_size=2.0, backend=numpy_backend)
    assert kept == [None] * 3


def test_unknown_order_is_refused(backend):
    with pytest.raises(UsageError, match="order is 2; choose from 0, 1, 3"):
        warp(smooth_image(MOVING), TURN, FIXED, order=2, backend=backend)


def test_resample_like_goes_through_world_space(backend):
    image = smooth_image(MOVING)
    expected = linear_oracle(image, world_points(FIXED))
    assert_same_inside(resample(image, like=FIXED, backend=backend).data, expected)
    same = resample(image, like=smooth_image(FIXED), backend=backend)
    assert same.grid is FIXED
    np.testing.assert_array_equal(resample(image, like=MOVING, order=0, backend=backend).data, image.data)


def test_resample_to_a_voxel_size_keeps_the_first_faces(backend):
    image = smooth_image(MOVING)
    finer = resample(image, voxel_size=(1.0, 0.7, 3.0), backend=backend)
    np.testing.assert_allclose(finer.grid.voxel_size, (1.0, 0.7, 3.0))
    face = [-0.5, -0.5, -0.5]
    np.testing.assert_allclose(apply_affine(finer.affine, face), apply_affine(MOVING.affine, face), atol=1e-9)
    extent = np.array(finer.grid.shape) * finer.grid.voxel_size - np.array(MOVING.shape) * MOVING.voxel_size
    assert np.all(extent > -0.01) and np.all(extent < finer.grid.voxel_size)
    assert_same_inside(finer.data, linear_oracle(image, world_points(finer.grid)))


def test_resample_leaves_the_axis_of_a_slice_alone(backend):
    image = Image.from_array(np.arange(30.0).reshape(6, 5))
    assert resample(image, voxel_size=0.5, backend=backend).data.shape == (12, 10, 1)
    np.testing.assert_allclose(resample(image, voxel_size=1.0, backend=backend).data, image.data)


@pytest.mark.parametrize("how", [{}, {"like": FIXED, "voxel_size": 1.0}, {"voxel_size": -1.0}, {"voxel_size": np.nan}])
def test_resample_says_what_it_needs(how):
    with pytest.raises(UsageError, match=r"voxel_size"):
        resample(smooth_image(MOVING), **how)
