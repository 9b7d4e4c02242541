"""Tensors registered and warped on the GPU that holds them, a pretended one; the real one: test_cuda_gpu.py."""

from __future__ import annotations

import threading
from collections import Counter

import numpy as np
import pytest

from conftest import emulated_backend
from cuda_on_cpu import pretended
from cuda_on_cpu.pretended import Tensor
from warpline.backends.cuda_backend import CudaBackend
from warpline.backends.cuda_device import GpuRuntime
from warpline.images import Image
from warpline.images.intensity import normalise
from warpline.operations import apply
from warpline.operations import images as operations
from warpline.phantom import brain_pair
from warpline.recipe import Recipe
from warpline.registration import ImagePair, job, register
from warpline.resampling import resample, warp, warping
from warpline.space import Affine
from warpline.space.grid import Grid

AFFINE = np.diag([9.0, 9.0, 9.0, 1.0])
RECIPE = Recipe.load("syn").with_options(
    "initialise.rotations=false", "linear.refinements=0", "linear.iterations=[3,2,2]", "syn.iterations=[4,3,2]"
)
TURNED = Affine(np.array([[0.9, 0.2, 0, 2.0], [-0.2, 0.9, 0, 1.0], [0, 0, 1, 0.4], [0, 0, 0, 1]]))


@pytest.fixture(scope="session")
def slices():
    """Middle slices of two brains, (20, 23) and (21, 21) float32."""
    pair = brain_pair((20, 23, 20), voxel_size=9.0)
    return tuple(
        np.ascontiguousarray(image.data[:, :, image.data.shape[2] // 2]) for image in (pair.fixed, pair.moving)
    )


@pytest.fixture(scope="module")
def device():
    """The first of two GPUs, with all that is uploaded to it."""
    emulated_backend()  # skips without a compiler
    with pretended.two_gpus():
        backend = CudaBackend(GpuRuntime(0))
        upload, backend.uploads = backend.upload, []
        backend.upload = lambda array: backend.uploads.append(array) or upload(array)
        yield backend


@pytest.fixture(scope="module")
def on_host(device, slices):
    """A registration of arrays of the host, and what it uploads."""
    device.uploads.clear()
    return registered(*slices, device), list(device.uploads)


@pytest.fixture
def gpu(device, on_host):
    """The GPU, to which nothing is uploaded yet."""
    device.uploads.clear()
    return device


def registered(fixed, moving, backend, **options):
    return register(fixed, moving, RECIPE, affine=AFFINE, backend=backend, **options)


def volumes(uploads):
    """Those that may be images: of three axes, and no masks."""
    return [one.shape for one in uploads if one.ndim == 3 and one.dtype == np.float32]


def shared(image):
    """What another library gets of an image by DLPack."""
    return image.__dlpack__(stream=1).held


def tensors(arrays, ordinal=0):
    return tuple(Tensor(array.copy(), ordinal) for array in arrays)


def test_registered_tensors_are_not_uploaded(gpu, slices, on_host):
    expected, uploads = on_host
    assert {(20, 1, 23), (21, 1, 21)} < set(volumes(uploads)), "else nothing is counted"
    given = tensors(slices)
    found = registered(*given, gpu)
    assert volumes(gpu.uploads) == [(20, 23, 1)] * 3, "components of the inverse field, which is on the host"
    for tensor, values in zip(given, slices, strict=True):
        np.testing.assert_array_equal(tensor.held, values)
    for name in ("warped", "inverse_warped"):
        image, other = getattr(found, name), getattr(expected, name)
        assert (image.__dlpack_device__(), other.__dlpack_device__()) == ((2, 0), (1, 0))
        np.testing.assert_array_equal(image.data, other.data)
        np.testing.assert_array_equal(shared(image), other.data)
    unlike = {"seconds": 0, "levels": 0}
    assert found.report | unlike == expected.report | unlike


def test_masks_and_weights_are_read_where_they_are(gpu, slices):
    counts = [(array > 0.1).astype(np.uint8) for array in slices] + [np.sqrt(np.abs(array)) for array in slices]
    names = ("fixed_mask", "moving_mask", "fixed_weights", "moving_weights")
    expected = registered(*slices, gpu, **dict(zip(names, counts, strict=True)))
    uploads = Counter(one.shape for one in gpu.uploads)
    gpu.uploads.clear()
    found = registered(*tensors(slices), gpu, **dict(zip(names, tensors(counts), strict=True)))
    uploads.subtract(one.shape for one in gpu.uploads)
    np.testing.assert_array_equal(found.alignment.warp.field, expected.alignment.warp.field)
    registered_and_masks, warped_and_weights = {(20, 1, 23): 2, (21, 1, 21): 2}, {(20, 23, 1): 2, (21, 21, 1): 3}
    measured = {(1, 14, 19): 4}  # boxes of either image, before and after
    assert +uploads == registered_and_masks | warped_and_weights | measured


def test_prepared_images_are_compared_and_given_ones_warped(gpu, slices):
    recipe = RECIPE.with_options("prepare.winsorise=[0.05,0.95]")
    found, expected = (register(*pair, recipe, affine=AFFINE, backend=gpu) for pair in (tensors(slices), slices))
    np.testing.assert_array_equal(found.alignment.warp.field, expected.alignment.warp.field)
    np.testing.assert_array_equal(shared(found.warped), expected.warped.data)


def test_tensors_are_registered_on_a_cpu_that_was_named(gpu, slices, numpy_backend):
    found, expected = (registered(*pair, numpy_backend) for pair in (tensors(slices), slices))
    assert found.warped.__dlpack_device__() == (1, 0) and found.warped.on_gpu is None
    np.testing.assert_array_equal(found.warped.data, expected.warped.data)
    assert found.report["warnings"] == expected.report["warnings"]


def test_a_tensor_of_another_gpu_comes_through_the_host(gpu, slices, on_host):
    (fixed, moving), (expected, _) = slices, on_host
    found = registered(Tensor(fixed), Tensor(moving, 1), gpu)
    np.testing.assert_array_equal(found.warped.data, expected.warped.data)
    devices = (found.warped.__dlpack_device__(), found.inverse_warped.__dlpack_device__())
    assert devices == ((1, 0), (2, 0))
    said = "moving lies on cuda:1, and was copied through the host to cuda:0"
    assert found.report["warnings"] == [*expected.report["warnings"], said]


def test_tensors_are_waited_for_in_the_thread_that_made_them(gpu, slices):
    class Queued(Tensor):
        def __dlpack__(self, **options):
            threads.append(threading.current_thread())
            return super().__dlpack__(**options)

    for options in ({}, {"pairs": [ImagePair(Queued(slices[0]), Queued(slices[1]))]}):
        threads = []
        given = slices if options else map(Queued, slices)
        with pytest.raises(SelectedError), pytest.MonkeyPatch.context() as patch:
            patch.setattr(job, "select", selected)
            registered(*given, gpu, **options)
        assert threads[:2] == [threading.current_thread()] * 2


# -- which backend ----------------------------------------------------------------------------------------------------


class SelectedError(Exception):
    """Stands for a backend that was asked for."""


def selected(name, threads=None):
    raise SelectedError(name)


@pytest.mark.parametrize(("asked", "named"), [("auto", "cuda:1"), (None, "cuda:1"), ("cuda:0", "cuda:0")])
def test_the_gpu_of_the_tensors_registers_them(gpu, slices, monkeypatch, asked, named):
    monkeypatch.delenv("WARPLINE_BACKEND", raising=False)
    monkeypatch.setattr(job, "select", selected)
    with pytest.raises(SelectedError, match=named):
        registered(*tensors(slices, 1), asked)


@pytest.mark.parametrize(("variable", "named"), [("", "cuda:1"), ("numpy", "None")])
def test_the_gpu_of_an_image_resamples_it(gpu, slices, monkeypatch, variable, named):
    monkeypatch.setenv("WARPLINE_BACKEND", variable)
    image = Image.from_array(Tensor(slices[0], 1))
    for module in (warping, operations):
        monkeypatch.setattr(module, "select", selected)
    with pytest.raises(SelectedError, match=named):
        resample(image, voxel_size=2.0)
    with pytest.raises(SelectedError, match=named):
        apply(image, image, Affine.identity())


# -- resampling -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "int16", "float64", "int64", "bool"])
@pytest.mark.parametrize("order", [0, 1, 3])
def test_warped_tensors_are_those_of_the_host(gpu, order, dtype):
    values = (np.random.default_rng(0).normal(size=(6, 7, 5)) * 300).astype(dtype)
    grid = Grid((5, 6, 7), np.diag([1.1, 1.2, 0.8, 1.0]))
    given = Tensor(np.asfortranarray(values) if dtype == "int16" else values.copy())
    image = Image.from_array(given)
    found = warp(image, TURNED, grid, order=order, outside=1, backend=gpu)
    assert [one.shape for one in gpu.uploads] == []
    expected = warp(Image.from_array(values), TURNED, grid, order=order, outside=1, backend=gpu)
    assert found.data.dtype == shared(found).dtype == expected.data.dtype
    np.testing.assert_array_equal(found.data, expected.data)
    np.testing.assert_array_equal(shared(found), expected.data)
    np.testing.assert_array_equal(given.held, values)


@pytest.mark.parametrize("interpolation", ["nearest", "cubic"])
def test_a_series_on_a_gpu_stays_there(gpu, interpolation):
    values = np.random.default_rng(0).integers(0, 99, (6, 7, 5, 4)).astype(np.int16)
    grid = Grid((5, 6, 7), np.diag([1.1, 1.2, 0.8, 1.0]))
    how = {"interpolation": interpolation, "outside": 3, "backend": gpu}
    found = apply(Tensor(values), grid, TURNED, **how)
    assert [one.shape for one in gpu.uploads] == []
    expected = apply(values, grid, TURNED, **how)
    np.testing.assert_array_equal(found.data, expected.data)
    np.testing.assert_array_equal(shared(found), expected.data)


def test_labels_by_votes_are_of_the_host(gpu):
    found = apply(Tensor(np.eye(5, dtype=np.uint8)), Image.from_array(np.zeros((5, 5))), TURNED, interpolation="label")
    assert found.__dlpack_device__() == (1, 0)


@pytest.mark.parametrize("dtype", ["float32", "int16", "float64", "int64", "bool"])
def test_normalised_tensors_are_those_of_the_host(gpu, dtype):
    values = np.zeros((8, 9, 7), dtype)
    values[2:6, 2:7, 2:5] = (np.random.default_rng(1).random((4, 5, 3)) * 3e4).astype(dtype)
    values += np.asarray(dtype != "bool").astype(dtype)  # a background that is not 0
    given = Tensor(values.copy())
    with gpu.session():
        found = normalise(Image.from_array(given), gpu)
        assert volumes(gpu.uploads) == []
        expected = normalise(Image.from_array(values), gpu)
    np.testing.assert_array_equal(found.volume.held, expected.volume.held)
    np.testing.assert_array_equal(given.held, values)
