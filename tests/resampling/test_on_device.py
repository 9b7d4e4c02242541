"""`map_coordinates` and `affine_transform` on a GPU: where they run, what goes up and comes back, SciPy's results."""

from __future__ import annotations

import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

import newest_scipy
from conftest import emulated_backend, parameters
from cuda_on_cpu.pretended import Tensor
from cuda_on_cpu.two_worlds import DeviceArray, TwoWorldsRuntime
from warpline import affine_transform, map_coordinates, resample
from warpline.backends import gpu_works, select
from warpline.backends.cuda_backend import CudaBackend
from warpline.errors import DeviceMemoryError, UsageError
from warpline.images import Image
from warpline.resampling import on_device
from warpline.space.grid import Grid

MATRIX, OFFSET = np.array([[0.6, 0.2], [-0.1, 0.7]]), np.array([1.5, 2.0])
IMAGE = np.random.default_rng(0).normal(size=(19, 17)) * 40 + 50
PLACES = np.random.default_rng(1).uniform(-4, 22, (2, 12, 31))


class Peeking(TwoWorldsRuntime):
    """Remembers the largest upload."""

    largest = 0

    def __init__(self):
        super().__init__()
        plain = type(self).xp
        self.xp = type(plain)(**vars(plain) | {"array": self._seen})

    def _seen(self, array, order="C"):
        self.largest = max(self.largest, np.asarray(array).nbytes)
        return TwoWorldsRuntime.xp.array(array, order=order)


@pytest.fixture(params=parameters("cuda-on-cpu", "cuda"))
def gpu(request):
    """A GPU backend, emulated with arrays that refuse to meet the host's."""
    if request.param == "cuda":
        return select("cuda")
    emulated_backend()  # skips without a compiler
    return CudaBackend(Peeking())


@pytest.fixture
def small_slabs(monkeypatch):
    monkeypatch.setattr(on_device, "SLAB", 70)


def host(gpu, array):
    assert on_device.is_on_gpu(array)
    with gpu.session():
        return gpu.download(array)


def up(gpu, array):
    with gpu.session():
        return gpu.upload(np.ascontiguousarray(array))


@pytest.mark.parametrize("order", [0, 1, 3])
def test_arrays_of_the_host_go_up_and_come_back_in_slabs(gpu, order, small_slabs):
    for mode in ("grid-constant", "mirror"):
        how = {"order": order, "mode": mode, "cval": -7.0}
        found = map_coordinates(IMAGE, PLACES, **how, backend=gpu)
        assert isinstance(found, np.ndarray)
        np.testing.assert_allclose(found, ndimage.map_coordinates(IMAGE, PLACES, **how), rtol=0, atol=1e-11)
        found = affine_transform(IMAGE, MATRIX, OFFSET, (40, 6), **how, backend=gpu)
        np.testing.assert_allclose(
            found, newest_scipy.affine_transform(IMAGE, MATRIX, OFFSET, (40, 6), **how), rtol=0, atol=1e-11
        )


def test_no_more_than_a_slab_of_coordinates_goes_up_at_once(small_slabs):
    emulated_backend()
    runtime = Peeking()
    map_coordinates(np.zeros((3, 3)), np.zeros((2, 5000)), order=1, backend=CudaBackend(runtime))
    assert runtime.largest == 2 * 70 * 8


@pytest.mark.parametrize("order", [0, 1, 3])
def test_arrays_of_the_gpu_give_arrays_of_the_gpu(gpu, order):
    image, places = up(gpu, IMAGE.astype("f4")), up(gpu, PLACES.astype("f4"))
    expected = ndimage.map_coordinates(IMAGE.astype("f4"), PLACES.astype("f4"), order=order, mode="reflect")
    for source, at in ((image, places), (image, PLACES.astype("f4")), (IMAGE.astype("f4"), places)):
        found = host(gpu, map_coordinates(source, at, order=order, mode="reflect", backend=gpu))
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    found = host(gpu, affine_transform(image, MATRIX, OFFSET, (40, 6), order=order, backend=gpu))
    expected = newest_scipy.affine_transform(IMAGE.astype("f4"), MATRIX, OFFSET, (40, 6), order=order)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_matrix_of_the_gpu_and_a_homogeneous_one(gpu):
    homogeneous = np.vstack([np.column_stack([MATRIX, OFFSET]), [0, 0, 1]])
    expected = newest_scipy.affine_transform(IMAGE, MATRIX, OFFSET, order=1)
    for matrix in (homogeneous, homogeneous[:2], up(gpu, homogeneous)):
        np.testing.assert_array_equal(affine_transform(IMAGE, matrix, 99.0, order=1, backend=gpu), expected)
    with pytest.raises(ValueError, match=r"\[0.0, 1.0, 1.0\]; \[0, 0, 1\] is needed"):
        affine_transform(IMAGE, homogeneous + np.eye(3, k=-1), backend=gpu)


def test_fewer_axes_than_the_input(gpu):
    volume, rows = np.random.default_rng(2).normal(size=(5, 6, 7)), np.array([[0.9, 0.1], [0.2, 1.1], [0.3, 0.4]])
    expected = newest_scipy.affine_transform(volume, rows, 0.5, (4, 5), order=1, cval=3)
    np.testing.assert_array_equal(affine_transform(volume, rows, 0.5, (4, 5), None, 1, cval=3, backend=gpu), expected)
    with pytest.raises(RuntimeError, match="wrong number of columns"):
        affine_transform(volume, rows, 0.5, (3, 4, 5), order=1, backend=gpu)


@pytest.mark.filterwarnings("ignore:The behavior of affine_transform:UserWarning")
def test_a_diagonal(gpu):
    expected = ndimage.affine_transform(IMAGE, [0.4, 0.9], 1.0, (9, 9), order=1)
    np.testing.assert_array_equal(affine_transform(IMAGE, [0.4, 0.9], 1.0, (9, 9), order=1, backend=gpu), expected)


@pytest.mark.parametrize("dtype", ["bool", ">i2", "c8"])
def test_dtypes_byte_orders_and_complex_numbers(gpu, dtype, small_slabs):
    image = (IMAGE > 50) if dtype == "bool" else IMAGE.astype(dtype)
    cval = -1.0
    if np.dtype(dtype).kind == "c":
        image, cval = image + 1j * image[::-1], 2.0 - 3.0j
    for order in (0, 3):
        how = {"order": order, "mode": "constant", "cval": cval}
        expected = ndimage.map_coordinates(image[:, ::-1], PLACES, **how)
        found = map_coordinates(image[:, ::-1], PLACES, **how, backend=gpu)
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-5)
        there = map_coordinates(up(gpu, image.astype(image.dtype.newbyteorder("="))), PLACES, **how, backend=gpu)
        np.testing.assert_allclose(
            host(gpu, there), ndimage.map_coordinates(image, PLACES, **how), rtol=1e-6, atol=1e-5
        )


@pytest.mark.parametrize("dtype", ["f4", ">f8", "i2"])
def test_outputs_that_are_given(gpu, dtype, small_slabs):
    expected = ndimage.map_coordinates(IMAGE, PLACES, np.dtype(dtype), 1)
    for out in (np.zeros(PLACES.shape[1:], dtype), np.zeros((31, 24), dtype).T[::2]):
        assert map_coordinates(IMAGE, PLACES, out, 1, backend=gpu) is out
        np.testing.assert_array_equal(out, expected)
        out[...] = 0
        assert map_coordinates(up(gpu, IMAGE), PLACES, out, 1, backend=gpu) is out
        np.testing.assert_array_equal(out, expected)
    found = map_coordinates(IMAGE, PLACES, dtype, 1, backend=gpu)
    assert found.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(found, expected)


def test_an_output_of_the_gpu(gpu):
    expected = ndimage.map_coordinates(IMAGE, PLACES, np.float32, 1)
    for shape, key in (((12, 31), ...), ((12, 62), (slice(None), slice(None, None, 2)))):
        whole = up(gpu, np.zeros(shape, np.float32))
        out = whole[key] if key is not ... else whole
        assert map_coordinates(IMAGE, PLACES, out, 1, backend=gpu) is out
        np.testing.assert_array_equal(host(gpu, whole)[key], expected)


def test_coefficients_given_by_the_caller_are_used_as_they_are(gpu):
    how = {"order": 3, "mode": "nearest", "prefilter": False}
    expected = ndimage.map_coordinates(IMAGE, PLACES, **how)
    np.testing.assert_allclose(map_coordinates(IMAGE, PLACES, **how, backend=gpu), expected, rtol=0, atol=1e-11)


@settings(max_examples=15)
@given(shape=st.lists(st.integers(0, 5), min_size=1, max_size=3), order=st.sampled_from([0, 1, 3]))
def test_places_of_any_shape(shape, order):
    places = np.random.default_rng(3).uniform(-3, 20, (2, *shape))
    expected = ndimage.map_coordinates(IMAGE, places, order=order, mode="wrap")
    found = map_coordinates(IMAGE, places, order=order, mode="wrap", backend=emulated_backend())
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"order": 6}, "spline order not supported"),
        ({"mode": "edge"}, "boundary mode not supported"),
        ({"coordinates": np.zeros((3, 4))}, "invalid shape for coordinate array"),
        ({"input": np.ones((3, 3), np.float16)}, "type .*not supported"),
        ({"coordinates": np.zeros((2, 4)) * 1j}, "Complex type not supported"),
        ({"cval": 1j}, "must be real number"),
        ({"output": np.zeros(5)}, r"output has shape \(5,\); \(12, 31\) is needed"),
        ({"input": np.zeros((0, 3))}, "no elements to interpolate"),
    ],
)
def test_mistakes_are_told_in_scipys_words(gpu, options, error):
    given = {"input": IMAGE, "coordinates": PLACES} | options
    with pytest.raises((RuntimeError, TypeError, UsageError), match=error):
        map_coordinates(**given, backend=gpu)


# -- which backend ----------------------------------------------------------------------------------------------------


class Elsewhere(DeviceArray):
    """On the second GPU."""

    device = type("Device", (), {"id": 1})


@pytest.fixture
def chosen(monkeypatch):
    """What is selected, without a GPU to select."""
    asked = []
    monkeypatch.setattr(on_device, "select", lambda name: asked.append(name) or name)
    monkeypatch.setattr(on_device, "gpu_works", lambda: True)
    monkeypatch.delenv("WARPLINE_BACKEND", raising=False)
    return asked


def test_the_device_follows_arrays_and_size_of_the_result(chosen, monkeypatch):
    here, there, other = np.zeros(3), DeviceArray(np.zeros(3)), Elsewhere(np.zeros(3))
    large = on_device.LEAST_ELEMENTS
    assert on_device.gpu_for(None, large - 1, input=here, output=None) is None
    assert on_device.gpu_for(None, large, input=here) == "cuda"
    assert on_device.gpu_for("auto", 1, input=here, coordinates=other) == "cuda:1"
    assert on_device.gpu_for("cuda", 1, input=here) == "cuda"
    assert on_device.gpu_for("cuda", 1, input=other) == "cuda:1"
    assert on_device.gpu_for("cuda:1", 1, input=other) == "cuda:1"
    assert on_device.gpu_for("numba", large, input=here) is None
    monkeypatch.setenv("WARPLINE_BACKEND", "numpy")
    assert on_device.gpu_for(None, large, input=here) is None
    for named, arrays in (("cuda:0", {"input": other}), ("numba", {"input": there}), (None, {"input": there})):
        with pytest.raises(UsageError, match=r"input on cuda:\d cannot be read with backend='.*'; leave backend out"):
            on_device.gpu_for(named, 1, **arrays)
    with pytest.raises(UsageError, match="input on cuda:0, output on cuda:1 cannot be read"):
        on_device.gpu_for("cuda", 1, input=there, output=other)


class JaxArray(Tensor):
    """An array of JAX on a GPU, whose device has a number too."""

    device, __cuda_array_interface__ = SimpleNamespace(id=0), None


@pytest.mark.parametrize("kind", [DeviceArray, JaxArray])
def test_arrays_of_other_libraries_are_taken_through_cupy(kind, pretended_cupy):
    emulated_backend()
    given, places, matrix, out = (np.array(array) for array in (IMAGE, PLACES, MATRIX, np.zeros(PLACES.shape[1:])))
    gpu = CudaBackend(TwoWorldsRuntime())
    found = map_coordinates(kind(given), kind(places), kind(out), order=1, backend=gpu)
    assert isinstance(found, DeviceArray) and np.shares_memory(found.held, out)
    np.testing.assert_array_equal(out, ndimage.map_coordinates(IMAGE, PLACES, order=1))
    np.testing.assert_array_equal(given, IMAGE)
    found = affine_transform(kind(given), kind(matrix), OFFSET, order=1, backend=gpu)
    np.testing.assert_array_equal(found.held, newest_scipy.affine_transform(IMAGE, MATRIX, OFFSET, order=1))


def test_a_large_result_stays_on_the_cpu_where_no_gpu_works(chosen, monkeypatch):
    monkeypatch.setattr(on_device, "gpu_works", lambda: False)
    assert on_device.gpu_for(None, on_device.LEAST_ELEMENTS, input=np.zeros(3)) is None
    assert chosen == []


def test_an_unknown_backend_is_refused():
    with pytest.raises(UsageError, match="backend 'tpu' is unknown; choose from auto, numpy"):
        map_coordinates(IMAGE, PLACES, backend="tpu")


def test_a_backend_of_the_cpu_is_scipy(numpy_backend):
    expected = ndimage.map_coordinates(IMAGE, PLACES)
    for backend in (numpy_backend, "numpy", "numba"):
        np.testing.assert_array_equal(map_coordinates(IMAGE, PLACES, backend=backend), expected)


def test_looking_for_a_gpu_says_why_there_is_none(monkeypatch, caplog):
    from warpline.backends import cuda_device

    monkeypatch.setattr(cuda_device, "count_gpus", lambda: 1)
    monkeypatch.setattr(cuda_device, "why_unusable", lambda: "no CuPy")
    gpu_works.cache_clear()
    assert not gpu_works()
    gpu_works.cache_clear()
    assert [record.message for record in caplog.records] == ["running on the CPU: no CuPy"]


@pytest.mark.parametrize("call", ["coordinates", "matrix"])
def test_a_full_gpu_that_was_not_requested_leaves_it_to_the_cpu(call, monkeypatch, caplog):
    emulated_backend()
    runtime = Counting()
    runtime.fails = 1
    monkeypatch.setattr(on_device, "select", lambda name: CudaBackend(runtime))
    monkeypatch.setattr(on_device, "gpu_works", lambda: True)
    monkeypatch.setattr(on_device, "LEAST_ELEMENTS", 1)
    monkeypatch.delenv("WARPLINE_BACKEND", raising=False)
    function, given = (map_coordinates, (PLACES,)) if call == "coordinates" else (affine_transform, (MATRIX, OFFSET))
    found = function(IMAGE, *given)
    np.testing.assert_array_equal(found, getattr(newest_scipy, function.__name__)(IMAGE, *given))
    assert [record.message for record in caplog.records] == ["interpolating on the CPU: out of memory"]
    runtime.uploads = 0
    with pytest.raises(DeviceMemoryError, match="out of memory"):
        function(IMAGE, *given, backend="cuda")


def test_what_slabs_share_is_waited_for_within_a_session(gpu, monkeypatch, small_slabs):
    seen, download = [], type(gpu).download
    monkeypatch.setattr(type(gpu), "download", lambda *given: seen.append(given[1].shape) or download(*given))
    with gpu.session():
        map_coordinates(IMAGE, PLACES, backend=gpu)
    assert seen[0] == (1,)


# -- time series ------------------------------------------------------------------------------------------------------


class Counting(Peeking):
    """Counts uploads, and fails at one of them if told to."""

    fails = uploads = 0

    def _seen(self, array, order="C"):
        self.uploads += 1
        if self.uploads == self.fails:
            raise DeviceMemoryError("out of memory")
        return super()._seen(array, order)


def bold(count=7):
    data = np.random.default_rng(5).integers(-300, 3000, (6, 7, 8, count)).astype(np.int16)
    return Image(data, Grid((6, 7, 8), np.diag([3.0, 3.0, 4.0, 1.0])), "bold")


STRUCTURAL = Grid((9, 10, 11), np.diag([2.0, 2.0, 2.5, 1.0]))


@pytest.mark.parametrize("order", [0, 1, 3])
def test_a_series_is_streamed_volume_by_volume(order, numpy_backend):
    emulated_backend()
    runtime, series = Counting(), bold()
    found = resample(series, like=STRUCTURAL, order=order, backend=CudaBackend(runtime))
    expected = resample(series, like=STRUCTURAL, order=order, backend=numpy_backend)
    assert found.data.dtype == (np.int16 if order == 0 else np.float32)
    assert found.data.flags.c_contiguous
    np.testing.assert_allclose(found.data, expected.data, rtol=1e-5, atol=1e-2)
    assert runtime.uploads == 7
    assert runtime.largest <= 6 * 7 * 8 * 4  # never more than a volume


def test_a_series_that_does_not_fit_is_a_device_error():
    emulated_backend()
    runtime = Counting()
    runtime.fails = 3
    with pytest.raises(DeviceMemoryError, match="out of memory"):
        resample(bold(), like=STRUCTURAL, backend=CudaBackend(runtime))


def test_no_warning_of_ours_is_raised(gpu):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        map_coordinates(IMAGE, PLACES, backend=gpu)
