"""SciPy's interpolation on threads must be SciPy's; images go through transforms in one interpolation."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import ndimage

from warpline.errors import UsageError
from warpline.geometry import Grid, apply_affine
from warpline.image import Image
from warpline.resampling import affine_transform, map_coordinates, resample, warp
from warpline.transforms import Affine, Chain, Displacement

MODES = ("constant", "grid-constant", "nearest", "reflect", "grid-mirror", "mirror", "wrap", "grid-wrap")
INTEGERS = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64")
DTYPES = ("bool", *INTEGERS, "f4", "f8", ">i2", ">f4", "c8")
BIG = {2: (190, 181), 3: (34, 33, 35)}
"""Output shapes above the size at which threads start."""


@pytest.fixture(autouse=True)
def three_threads(monkeypatch):
    monkeypatch.setenv("WARPLINE_THREADS", "3")


def oblique(ndim, seed=0):
    rng = np.random.default_rng(seed)
    return np.eye(ndim) * 0.5 + rng.normal(scale=0.08, size=(ndim, ndim)), rng.normal(scale=3.0, size=ndim)


def random_image(ndim, dtype="f8", seed=1):
    values = np.random.default_rng(seed).normal(size=(23, 19, 17)[:ndim]) * 40 + 50
    return (values > 50) if dtype == "bool" else values.astype(dtype)


def points_for(matrix, offset, shape):
    voxels = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"))
    return np.tensordot(matrix, voxels, axes=1) + offset.reshape(-1, *[1] * len(shape))


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("order", range(6))
def test_equals_scipy_for_every_order_and_mode(ndim, mode, order):
    image = random_image(ndim)
    matrix, offset = oblique(ndim)
    how = {"order": order, "mode": mode, "cval": -7.0}
    np.testing.assert_array_equal(
        affine_transform(image, matrix, offset, BIG[ndim], **how),
        ndimage.affine_transform(image, matrix, offset, BIG[ndim], **how),
    )
    points = points_for(matrix, offset, BIG[ndim])
    np.testing.assert_array_equal(map_coordinates(image, points, **how), ndimage.map_coordinates(image, points, **how))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("order", [0, 1, 3])
def test_equals_scipy_for_every_dtype(dtype, order):
    image = random_image(3, dtype)
    matrix, offset = oblique(3)
    points = points_for(matrix, offset, BIG[3]).astype(np.float32)
    ours, theirs = (f(image, points, order=order, mode="nearest") for f in (map_coordinates, ndimage.map_coordinates))
    assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(ours, theirs)
    ours, theirs = (f(image, matrix, offset, BIG[3], order=order) for f in (affine_transform, ndimage.affine_transform))
    assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(ours, theirs)


def test_ties_fall_as_in_scipy():
    image = np.arange(60.0**2).reshape(60, 60)
    halves = np.array([[0.5, 0.25], [-0.25, 0.5]])
    how = {"offset": (3.5, 4.25), "output_shape": (200, 200), "order": 0}
    np.testing.assert_array_equal(
        affine_transform(image, halves, **how), ndimage.affine_transform(image, halves, **how)
    )


@pytest.mark.parametrize("extra_row", [False, True])
def test_homogeneous_matrix_overrides_the_offset(extra_row):
    image = random_image(3)
    matrix, offset = oblique(3)
    homogeneous = np.vstack([np.column_stack([matrix, offset]), [0, 0, 0, 1]])[: 4 if extra_row else 3]
    np.testing.assert_array_equal(
        affine_transform(image, homogeneous, 99.0, BIG[3], order=1),
        ndimage.affine_transform(image, homogeneous, 99.0, BIG[3], order=1),
    )


def test_diagonal_matrix_and_output_array():
    image = random_image(3)
    out = np.empty(BIG[3], np.int16)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        expected = ndimage.affine_transform(image, [0.6, 0.5, 0.4], 1.0, BIG[3], output=np.int16)
        assert affine_transform(image, [0.6, 0.5, 0.4], 1.0, output=out) is out
    np.testing.assert_array_equal(out, expected)


def test_output_array_is_filled_and_checked():
    image, points = random_image(3), points_for(*oblique(3), BIG[3])
    out = np.zeros(BIG[3], np.float32)
    assert map_coordinates(image, points, out, order=1) is out
    np.testing.assert_array_equal(out, ndimage.map_coordinates(image, points, np.float32, order=1))
    with pytest.raises(UsageError, match=r"output has shape \(2, 3\)"):
        map_coordinates(image, points, np.zeros((2, 3)))


def test_coefficients_given_by_the_caller_are_used_as_they_are():
    image, points = random_image(2), points_for(*oblique(2), BIG[2])
    how = {"order": 4, "prefilter": False}
    np.testing.assert_array_equal(map_coordinates(image, points, **how), ndimage.map_coordinates(image, points, **how))


@pytest.mark.parametrize("bad", [np.eye(5), np.ones((3, 2)), np.eye(4) + np.eye(4, k=-1)])
def test_bad_matrix_is_refused(bad):
    with pytest.raises((RuntimeError, ValueError)):
        affine_transform(np.zeros(BIG[3]), bad)


def test_a_list_of_points_and_an_empty_one():
    image = random_image(3)
    points = np.random.default_rng(5).uniform(-2, 25, (3, 40_000))
    np.testing.assert_array_equal(map_coordinates(image, points), ndimage.map_coordinates(image, points))
    assert map_coordinates(image, np.zeros((3, 0))).shape == (0,)


# -- images ---------------------------------------------------------------------------------------------------

FIXED = Grid((14, 12, 10), np.array([[1.9, 0.1, 0, -13], [-0.1, 2.0, 0.2, -12], [0, -0.2, 2.2, -11], [0, 0, 0, 1]]))
MOVING = Grid((18, 20, 11), np.array([[-1.5, 0, 0.1, 14], [0, 1.4, 0, -14], [0.1, 0, 2.5, -14], [0, 0, 0, 1]]))
TURN = Affine(np.array([[0.98, -0.1, 0, 1.0], [0.1, 1.02, 0, -0.5], [0, 0.05, 0.99, 0.7], [0, 0, 0, 1]]))


def smooth_image(grid, seed=3):
    data = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=grid.shape), 1.5).astype(np.float32)
    return Image(100 * data, grid)


def smooth_field(grid, size=2.0, seed=4):
    noise = np.random.default_rng(seed).normal(size=(3, *grid.shape))
    field = ndimage.gaussian_filter(noise, (0, 2.5, 2.5, 2.5))
    return Displacement((field * size / np.abs(field).max()).astype(np.float32), grid)


def world_points(grid):
    return apply_affine(grid.affine, np.moveaxis(np.indices(grid.shape), 0, -1))


def linear_oracle(image, points):
    """Linear interpolation at world points; NaN where a point is within one voxel of the border or beyond."""
    voxels = np.moveaxis(apply_affine(image.grid.inverse_affine, points), -1, 0)
    return ndimage.map_coordinates(image.data.astype(float), voxels, order=1, cval=np.nan)


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


def test_displacements_on_other_grids_are_composed_and_zero_outside(backend):
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
