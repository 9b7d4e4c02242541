"""Arrays of other libraries: read where they lie, or refused in one line."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from warpline.errors import DeviceError, InputError
from warpline.images import Image
from warpline.images.array_exchange import CUDA, as_numpy, nearest_backend

METAL = 8
"""A type of device in DLPack that neither NumPy nor CuPy reads."""


class Producer:
    """What DLPack asks of an array, over one of NumPy."""

    def __init__(self, array, device=(1, 0), dtype="float32"):
        self.array, self.device, self.dtype = array, device, dtype

    def __dlpack_device__(self):
        return self.device

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)


@pytest.fixture
def values():
    return np.arange(24, dtype=np.float32).reshape(2, 3, 4)


def test_memory_of_the_host_is_shared(values):
    for given in (values, Producer(values), SimpleNamespace(__array_interface__=values.__array_interface__)):
        assert np.shares_memory(as_numpy(given, "fixed"), values)


def test_lists_and_numbers_become_arrays():
    np.testing.assert_array_equal(as_numpy([[1, 2], [3, 4]], "fixed"), np.array([[1, 2], [3, 4]]))
    assert as_numpy(3.0, "fixed").shape == ()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (Producer(np.zeros(3), (METAL, 0)), "fixed, a .*Producer, lies on a device of type 8 .* a copy on the CPU"),
        (Producer(np.zeros(3), dtype="torch.bfloat16"), "fixed, .* holds bfloat16, .* give it as float32"),
        (SimpleNamespace(requires_grad=True), r"fixed, .* requires gradients: detach\(\) it"),
        (Producer(np.zeros(3, "datetime64[s]")), r"fixed, .* gives no values \(.*\); give a dense array"),
        ([[1], [1, 2]], r"fixed, a list, gives no values \(.*\); give a dense array"),
    ],
)
def test_what_cannot_be_read_is_refused_in_a_line(given, message):
    with pytest.raises(InputError, match=message) as caught:
        as_numpy(given, "fixed")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "given", [Producer(np.zeros(3), (CUDA, 1)), SimpleNamespace(__cuda_array_interface__={"version": 3})]
)
def test_without_a_gpu_arrays_of_one_are_refused(given, monkeypatch):
    def fails(array, ordinal):
        raise DeviceError(f"no GPU {ordinal or 'at all'}")

    monkeypatch.setattr("warpline.backends.cuda_exchange.view", fails)
    with pytest.raises(InputError, match=r"fixed lies on a GPU that cannot be read: no GPU (1|at all), or give a copy"):
        as_numpy(given, "fixed")


class OnGpu(Producer):
    """An array of the second GPU."""

    def __init__(self, ordinal=1):
        super().__init__(np.zeros(3), (CUDA, ordinal))


@pytest.mark.parametrize(
    ("images", "nearest"),
    [
        ({"fixed": np.zeros(3), "moving": "moving.nii.gz"}, None),
        ({"fixed": "fixed.nii.gz", "moving": OnGpu()}, "cuda:1"),
        ({"fixed": (OnGpu(), np.eye(4)), "moving": OnGpu(0)}, "cuda:1"),
        ({"fixed": (), "moving": SimpleNamespace(__cuda_array_interface__={})}, None),
    ],
    ids=["host", "moving", "both", "unsaid"],
)
def test_the_gpu_of_the_first_image_is_the_nearest(images, nearest, monkeypatch):
    monkeypatch.delenv("WARPLINE_BACKEND", raising=False)
    assert nearest_backend(None, **images) == nearest


def test_a_backend_that_was_requested_wins(monkeypatch, numpy_backend):
    monkeypatch.setenv("WARPLINE_BACKEND", "numpy")
    assert nearest_backend(None, fixed=OnGpu()) is None
    assert nearest_backend("auto", fixed=OnGpu()) == "cuda:1"
    assert nearest_backend("cuda:0", fixed=OnGpu()) == "cuda:0"
    assert nearest_backend(numpy_backend, fixed=OnGpu()) is numpy_backend


def test_what_does_not_say_where_it_lies_is_named():
    class Meta:
        def __dlpack_device__(self):
            raise ValueError("Unknown device type meta")

    with pytest.raises(InputError, match=r"moving, a .*Meta, gives no values \(Unknown device type meta\)"):
        nearest_backend("auto", fixed=np.zeros(3), moving=Meta())


@pytest.mark.interoperability
def test_torch_tensors_come_and_go_without_a_copy(values):
    torch = pytest.importorskip("torch")
    image = Image.from_array(torch.from_numpy(values), torch.eye(4, dtype=torch.float64))
    assert np.shares_memory(image.data, values)
    assert torch.from_dlpack(image).data_ptr() == values.ctypes.data
    for bad in (torch.zeros(3, requires_grad=True), torch.zeros(3).bfloat16(), torch.zeros(3, device="meta")):
        with pytest.raises(InputError, match=r"scan, a torch.Tensor, "):
            Image.from_array(bad, name="scan")


@pytest.mark.interoperability
def test_jax_arrays_come_and_go_without_a_copy(values):
    jax = pytest.importorskip("jax")
    given = jax.numpy.asarray(values)
    image = Image.from_array(given)
    assert np.shares_memory(image.data, np.from_dlpack(given))
    assert (jax.numpy.from_dlpack(Image.from_array(values)) == given).all()


def test_strict_arrays_of_the_standard_are_taken(values):
    strict = pytest.importorskip("array_api_strict")
    np.testing.assert_array_equal(as_numpy(strict.asarray(values), "fixed"), values)
