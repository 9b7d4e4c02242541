"""`DiffeomorphicMap` on the same arrays as DIPY's own, and mapping files read by either."""

from __future__ import annotations

import numpy as np
import pytest
from nibabel.streamlines import ArraySequence

from dipy_maps import MOVING, STATIC, image, pair, prealign
from warpline import dipy as ours
from warpline.errors import InputError, UsageError


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("is_inverse", [False, True])
@pytest.mark.parametrize("linear", [False, True])
def test_images_are_warped_as_by_dipy(dim, is_inverse, linear):
    mine, real = pair(dim, is_inverse, linear)
    onto_static, onto_moving = ("transform", "transform_inverse")[:: 1 if is_inverse else -1]
    for method, source in ((onto_static, image(MOVING[dim][0])), (onto_moving, image(STATIC[dim][0]))):
        expected, warped = getattr(real, method)(source), getattr(mine, method)(source)
        assert warped.dtype == expected.dtype == np.float32
        np.testing.assert_allclose(warped, expected, atol=2e-4)
        expected = getattr(real, method)(source.astype(np.int32), interpolation="nearest")
        warped = getattr(mine, method)(source.astype(np.int32), "nearest")
        assert warped.dtype == expected.dtype
        np.testing.assert_array_equal(warped, expected)
        assert warped.any()


@pytest.mark.parametrize("dim", [2, 3])
def test_other_grids(dim):
    mine, real = pair(dim)
    shape, matrix = (9, 8, 7)[:dim], prealign(dim) @ np.diag([2.0] * dim + [1])
    source = image((12, 11, 10)[:dim])
    how = {"image_world2grid": np.linalg.inv(prealign(dim)), "out_shape": shape, "out_grid2world": matrix}
    np.testing.assert_allclose(mine.transform(source, **how), real.transform(source, **how), atol=2e-4)
    how = {"image_world2grid": "identity", "out_shape": shape, "out_grid2world": "identity"}
    np.testing.assert_allclose(mine.transform_inverse(source, **how), real.transform_inverse(source, **how), atol=2e-4)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64"])
def test_labels_stay_exact(dtype):
    mine, _ = pair(3)
    top = {"bool": 2, "uint8": 256, "int64": 2**40}[dtype]
    labels = np.random.default_rng(0).integers(0, top, MOVING[3][0]).astype(dtype)
    warped = mine.transform(labels, "nearest")
    assert warped.dtype == labels.dtype and warped.any()
    assert set(np.unique(warped).tolist()) <= {*np.unique(labels).tolist(), 0}


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("is_inverse", [False, True])
def test_points_are_mapped_as_by_dipy(dim, is_inverse):
    mine, real = pair(dim, is_inverse)
    points = np.random.default_rng(3).uniform(-25, 25, (200, dim))
    how = {"coord2world": prealign(dim), "world2coord": STATIC[dim][1]}
    for method in ("transform_points", "transform_points_inverse"):
        for options in ({}, how):
            np.testing.assert_allclose(
                getattr(mine, method)(points, **options), getattr(real, method)(points, **options), atol=1e-6
            )


def test_streamlines_keep_their_type():
    mine, real = pair(3)
    lines = ArraySequence([np.random.default_rng(n).uniform(-5, 5, (n + 2, 3)).astype(np.float32) for n in range(3)])
    moved, expected = mine.transform_points(lines), real.transform_points(lines)
    assert isinstance(moved, ArraySequence) and len(moved) == 3
    for a, b in zip(moved, expected, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_static_points_go_where_transform_samples():
    mapping, _ = pair(3)
    ramp = np.indices(MOVING[3][0])[0].astype(float)
    voxel = (7, 8, 5)
    world = STATIC[3][1] @ [*voxel, 1]
    landed = np.linalg.inv(MOVING[3][1]) @ [*mapping.transform_points(world[None, :3])[0], 1]
    assert mapping.transform(ramp)[voxel] == pytest.approx(landed[0], abs=1e-4)


@pytest.mark.parametrize("dim", [2, 3])
def test_inversion_error_as_dipy(dim):
    mine, real = pair(dim)
    (residual, stats), (expected, expected_stats) = mine.compute_inversion_error(), real.compute_inversion_error()
    np.testing.assert_allclose(residual, expected, atol=1e-5)
    np.testing.assert_allclose(stats, expected_stats, rtol=1e-5)


def test_fields_and_inverses():
    mapping, _ = pair(2, is_inverse=False)
    source = image(MOVING[2][0])
    inverted = mapping.inverse()
    assert inverted.is_inverse and inverted.forward is mapping.forward
    assert mapping.get_forward_field() is mapping.forward is inverted.get_backward_field()
    assert mapping.get_backward_field() is mapping.backward is inverted.get_forward_field()
    np.testing.assert_array_equal(inverted.transform(source), mapping.transform_inverse(source))
    np.testing.assert_array_equal(inverted.inverse().transform(source), mapping.transform(source))


def test_an_allocated_map_moves_nothing():
    mapping = ours.DiffeomorphicMap(2, (6, 5))
    with pytest.raises(InputError, match="no forward field"):
        mapping.transform(np.eye(6)[:, :5])
    mapping.allocate()
    picture = image((6, 5), "f4")
    np.testing.assert_array_equal(mapping.transform(picture), picture)
    np.testing.assert_array_equal(mapping.transform_inverse(picture), picture)


def test_wrong_calls_are_refused():
    mapping, _ = pair(3)
    with pytest.raises(UsageError, match="warp a series volume by volume"):
        mapping.transform(np.zeros((3, 3, 3, 2)))
    with pytest.raises(UsageError, match="choose from linear, nearest"):
        mapping.transform(np.zeros(MOVING[3][0]), "cubic")
    with pytest.raises(UsageError, match="'identity'"):
        mapping.transform(np.zeros(MOVING[3][0]), image_world2grid="unit")
