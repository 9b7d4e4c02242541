"""SciPy's interpolation on threads must be SciPy's."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import ndimage

import newest_scipy
from warpline.backends import scipy_splines
from warpline.errors import UsageError
from warpline.resampling import affine_transform, map_coordinates

MODES = ("constant", "grid-constant", "nearest", "reflect", "grid-mirror", "mirror", "wrap", "grid-wrap")
OURS = {"affine_transform": affine_transform, "map_coordinates": map_coordinates}
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
    values = np.abs(values) if np.dtype(dtype).kind == "u" else values  # below 2^53, beyond which SciPy rounds
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
    close = {"rtol": 0, "atol": 1e-11 if newest_scipy.is_replaced(order, mode) else 0}
    points = points_for(matrix, offset, BIG[ndim])
    for name, *where in (("affine_transform", matrix, offset, BIG[ndim]), ("map_coordinates", points)):
        found, expected = OURS[name](image, *where, **how), getattr(newest_scipy, name)(image, *where, **how)
        np.testing.assert_allclose(found, expected, **close)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("order", [0, 1, 3])
def test_equals_scipy_for_every_dtype(dtype, order):
    image = random_image(3, dtype)
    matrix, offset = oblique(3)
    points = points_for(matrix, offset, BIG[3]).astype(np.float32)
    ours, theirs = (f(image, points, order=order, mode="nearest") for f in (map_coordinates, ndimage.map_coordinates))
    assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(ours, theirs)
    both = affine_transform, newest_scipy.affine_transform
    ours, theirs = (f(image, matrix, offset, BIG[3], order=order) for f in both)
    assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("count", [5, 40_000])
@pytest.mark.parametrize("dtype", ["int64", ">i8", "uint64"])
def test_labels_of_64_bits_are_exact_however_many_there_are(dtype, count):
    ids = np.array([2**53 + 1, 2**60 + 1, np.iinfo(dtype).max, np.iinfo(dtype).min], dtype)
    places, how = np.arange(count) % 4 + 0.2, {"order": 0, "mode": "nearest"}
    for found in (map_coordinates(ids, places[None], **how), affine_transform(ids, [[1.0]], 0.2, (4,), **how)):
        assert found.dtype == np.dtype(dtype).newbyteorder("=")
        np.testing.assert_array_equal(found, np.resize(ids, len(found)))


def test_ties_fall_as_in_scipy():
    image = np.arange(60.0**2).reshape(60, 60)
    halves = np.array([[0.5, 0.25], [-0.25, 0.5]])
    where = (3.5, 4.25), (200, 200)
    np.testing.assert_array_equal(
        affine_transform(image, halves, *where, order=0), newest_scipy.affine_transform(image, halves, *where, order=0)
    )


def test_small_results_are_parts_of_large_ones():
    image, (matrix, offset) = random_image(2), oblique(2)
    for order in (1, 3):
        large = affine_transform(image, matrix, offset, BIG[2], order=order, mode="mirror")
        small = affine_transform(image, matrix, offset, (40, 30), order=order, mode="mirror")
        np.testing.assert_array_equal(small, large[:40, :30])


def test_fewer_axes_than_the_input():
    image, rows = random_image(3), np.array([[0.9, 0.1], [0.2, 1.1], [0.3, 0.4]])
    for shape in ((4, 5), (200, 190)):
        expected = newest_scipy.affine_transform(image, rows, 0.5, shape, order=1)
        np.testing.assert_array_equal(affine_transform(image, rows, 0.5, shape, order=1), expected)


@pytest.mark.filterwarnings("ignore:The behavior of affine_transform:UserWarning")
@pytest.mark.parametrize("dtype", ["i2", "f4", "f8", "c16"])
@pytest.mark.parametrize("order", [2, 5])
def test_short_reflected_lines_where_scipy_is_wrong(dtype, order, monkeypatch):
    """Voxels keep their values; before 1.18 SciPy misses them by up to a hundredth."""
    monkeypatch.setattr(scipy_splines, "_reflects_exactly", lambda: False)
    image = random_image(3)[:2, :3, :5] * (1 + 1j if dtype == "c16" else 1)
    image = image.astype(dtype)
    how = {"order": order, "mode": "reflect"}
    voxels = np.indices(image.shape)
    for found in (
        map_coordinates(image, voxels, **how),
        affine_transform(image, np.eye(3), **how),
        affine_transform(image, np.ones(3), **how),
        affine_transform(image, np.eye(3), output=np.zeros(image.shape, dtype), **how),
    ):
        assert found.dtype == image.dtype
        np.testing.assert_allclose(found, image, rtol=1e-6)


@pytest.mark.parametrize("extra_row", [False, True])
def test_homogeneous_matrix_overrides_the_offset(extra_row):
    image = random_image(3)
    matrix, offset = oblique(3)
    homogeneous = np.vstack([np.column_stack([matrix, offset]), [0, 0, 0, 1]])[: 4 if extra_row else 3]
    np.testing.assert_array_equal(
        affine_transform(image, homogeneous, 99.0, BIG[3], order=1),
        newest_scipy.affine_transform(image, homogeneous, 99.0, BIG[3], order=1),
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
