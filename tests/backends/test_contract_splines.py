"""`spline_coefficients` and `interpolate` of every backend against SciPy: orders, modes, dtypes, borders, ties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

import newest_scipy
import oracles
from warpline.backends import scipy_splines
from warpline.backends.splines import AffineCoordinates, SplineOptions
from warpline.errors import DeviceError

ORDERS = range(6)
MODES = ("constant", "grid-constant", "nearest", "reflect", "grid-mirror", "mirror", "wrap", "grid-wrap")
DTYPES = ("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64")
NEAREST = ("uint8", "int64", "float32")
"""Those of whose nearest elements every conversion is tried; the others differ in reading them only."""
CVAL = -3.3
# Rounding of sums of doubles of about 1; orders 0 and 1 are SciPy's own sums.
CLOSE = {0: 0.0, 1: 0.0, **dict.fromkeys(range(2, 6), 2e-13)}


def interpolated(backend, array, places, order=1, mode="constant", cval=CVAL, *, dtype=None, prefilter=True):
    """Result on the host, by both operations where there are coefficients to find."""
    spline, there = SplineOptions.of(order, mode, cval, prefilter), backend.upload(array)
    if prefilter and order > 1:
        there = backend.spline_coefficients(there, spline)
    shape = places.shape if isinstance(places, AffineCoordinates) else places.shape[1:]
    out = backend.empty(shape, array.dtype if dtype is None else dtype)
    at = places if isinstance(places, AffineCoordinates) else backend.upload(places)
    assert backend.interpolate(there, at, spline, out=out) is out
    return backend.download(out)


def noise(shape, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, shape)


def points(shape, count=160, seed=1):
    """Within and around an array: voxels, half-way, just outside, far away, NaN."""
    draw = np.random.default_rng(seed)
    places = draw.uniform(-1.5 * np.array(shape) - 2, 2.5 * np.array(shape) + 2, (count, len(shape))).T
    places[:, 10:30] = np.round(places[:, 10:30])
    places[:, 30:50] = np.floor(places[:, 30:50]) + 0.5
    places[:, 50:90] = (draw.uniform(-0.6, 0.6, (40, len(shape))) + draw.integers(0, shape, (40, len(shape)))).T
    places[0, :6] = -1e-17, -1.0, shape[0] - 1, shape[0] - 1 + 1e-9, shape[0], np.nan
    return np.ascontiguousarray(places)


def assert_like_scipy(backend, array, places, order, mode, **options):
    expected = newest_scipy.map_coordinates(array, places, None, order, mode, CVAL, **options)
    found = interpolated(backend, array, places, order, mode, **options)
    np.testing.assert_allclose(found, expected, rtol=0, atol=CLOSE[order], err_msg=f"{order} {mode} {array.shape}")


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("shape", [(23,), (9, 13)])
def test_every_order_and_mode(backend, shape, order):
    for mode in MODES:
        assert_like_scipy(backend, noise(shape), points(shape), order, mode)


@pytest.mark.parametrize(("shape", "order"), [((5, 7, 8), 1), ((5, 7, 8), 3), ((3, 4, 5, 6), 1), ((3, 4, 5, 6), 2)])
def test_three_and_four_axes(backend, shape, order):
    for mode in MODES if order < 2 or len(shape) < 4 else ("constant", "reflect", "mirror", "grid-wrap"):
        assert_like_scipy(backend, noise(shape), points(shape, 100), order, mode)


@settings(max_examples=40)
@given(
    shape=st.lists(st.integers(1, 11), min_size=1, max_size=2),
    order=st.sampled_from(ORDERS),
    mode=st.sampled_from(MODES),
    prefilter=st.booleans(),
    seed=st.integers(0, 10_000),
)
def test_any_shape(backend, shape, order, mode, prefilter, seed):
    assert_like_scipy(backend, noise(shape, seed), points(shape, 100, seed), order, mode, prefilter=prefilter)


def coefficients(backend, array, order, mode):
    return backend.download(backend.spline_coefficients(backend.upload(array), SplineOptions(order, mode)))


@pytest.mark.parametrize("order", range(2, 6))
def test_coefficients_of_lines_in_one_piece_and_in_several(backend, order):
    for mode in MODES:
        for shape in ((26,), (70,), (700,)):
            expected = ndimage.spline_filter(noise(shape), order, mode=mode)
            found = coefficients(backend, noise(shape), order, mode)
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12, err_msg=f"{mode} {shape}")


@pytest.mark.parametrize("order", range(2, 6))
def test_the_spline_of_coefficients_passes_through_all_elements(backend, order):
    for mode in MODES:
        for shape in ((2,), (3,), (5, 24), (25,), (70,), (3, 90)):
            expected = oracles.spline_coefficients(noise(shape), order, mode)
            found = coefficients(backend, noise(shape), order, mode)
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12, err_msg=f"{mode} {shape}")


@pytest.mark.parametrize("dtype", ["uint8", "float32", "complex64"])
def test_coefficients_where_the_sums_of_scipy_are_wrong(numpy_backend, dtype, monkeypatch):
    """As they are before SciPy 1.18."""
    monkeypatch.setattr(scipy_splines, "_reflects_exactly", lambda: False)
    array = (noise((2, 7, 24)) * 100 * (1 + 1j if dtype == "complex64" else 1)).astype(dtype)
    for order in range(2, 6):
        found = scipy_splines.spline_coefficients(array, SplineOptions(order, "reflect"), 2)
        for part in (np.real, np.imag):
            expected = oracles.spline_coefficients(part(array), order, "reflect")
            np.testing.assert_allclose(part(found), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_and_what_it_is_stored_as(backend, dtype):
    """Values beyond what the output holds, halves, and the NaN of a place that is none."""
    wide = np.array([-3.5, -2.5, -0.5, 0.49, 0.5, 1.5, 300.7, -70000.2, 5e9, 1e17, -1e17])
    array = (wide > 0) if dtype == "bool" else wide.clip(*limits(dtype)).astype(dtype)
    places = np.array([[*np.arange(11), 0.5, 2.5, 6.25, 8.5, -0.25, 3.3]])
    for out in DTYPES:
        values = np.clip(array, 0, 100).astype(dtype) if out == "bool" else array  # SciPy's bool is the lowest byte
        for order, mode in ((0, "nearest"), (1, "constant")) if dtype in NEAREST else ((1, "constant"),):
            expected = ndimage.map_coordinates(values, places, np.dtype(out), order, mode, 2.5)
            found = interpolated(backend, values, places, order, mode, 2.5, dtype=out)
            np.testing.assert_array_equal(found, expected.astype(out), err_msg=f"{dtype} -> {out}, order {order}")


def limits(dtype):
    """The numbers that both the dtype and a double hold."""
    if np.dtype(dtype).kind == "f":
        return -np.inf, np.inf
    return max(np.iinfo(dtype).min, -(2**53)), min(np.iinfo(dtype).max, 2**53)


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
@pytest.mark.parametrize("mode", ["constant", "grid-constant", "mirror"])
def test_labels_of_64_bits_are_exact(backend, dtype, mode):
    ids = np.array([0, 2**53 + 1, np.iinfo(dtype).max, np.iinfo(dtype).min + 3, np.iinfo(dtype).max - 1], dtype)
    found = interpolated(backend, ids, np.array([[4, 3.2, 2.4, 0.6, 1.1, 60.0]]), 0, mode, 7)
    assert found[:5].tolist() == ids[[4, 3, 2, 1, 1]].tolist()
    assert found[5] == (ids[4] if mode == "mirror" else 7)


def test_nan_becomes_what_scipy_makes_of_it(backend):
    for out in DTYPES:
        where = np.array([[np.nan, 1.0]])
        expected = ndimage.map_coordinates(noise(4), where, np.dtype(out), 1, "nearest")
        np.testing.assert_array_equal(interpolated(backend, noise(4), where, 1, "nearest", dtype=out), expected)


@pytest.mark.parametrize("order", [0, 1, 3])
def test_a_lattice_is_its_points(backend, order):
    matrix, offset, shape = np.array([[0.5, 0.25], [-0.25, 0.5]]), np.array([2.5, 3.25]), (14, 17)
    array = noise((9, 13))
    expected = newest_scipy.affine_transform(array, matrix, offset, shape, order=order, cval=CVAL)
    lattice = AffineCoordinates.of(matrix, offset, shape)
    np.testing.assert_allclose(interpolated(backend, array, lattice, order), expected, rtol=0, atol=CLOSE[order])
    whole = interpolated(backend, array, lattice, order)
    np.testing.assert_array_equal(interpolated(backend, array, lattice.slab(slice(3, 9)), order), whole[3:9])
    np.testing.assert_array_equal(interpolated(backend, array, lattice.points(), order), whole)


@pytest.mark.filterwarnings("ignore:The behavior of affine_transform:UserWarning")
def test_a_diagonal_is_counted_as_scipy_counts_it(backend):
    array, zoom, shift = noise((9, 13)), np.array([0.3, 0.7]), np.array([1.1, -0.7])
    expected = ndimage.affine_transform(array, zoom, shift, (20, 20), order=1, cval=CVAL)
    np.testing.assert_array_equal(interpolated(backend, array, AffineCoordinates.of(zoom, shift, (20, 20))), expected)


def test_places_in_single_precision(backend):
    array, places = noise((9, 13)), points((9, 13)).astype(np.float32)
    for order in (1, 3):
        assert_like_scipy(backend, array, places, order, "mirror")


def test_more_axes_than_kernels_count_are_refused():
    from conftest import emulated_backend

    with pytest.raises(DeviceError, match=r"at most 8 axes .* use backend='numba'"):
        interpolated(emulated_backend(), np.zeros((1,) * 9), np.zeros((9, 2)))
