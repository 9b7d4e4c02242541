"""Arrays of a GPU, seen and copied to the host by a CuPy that is only pretended; the real one: test_cuda_gpu.py."""

from __future__ import annotations

import numpy as np
import pytest

from cuda_on_cpu.pretended import Tensor
from cuda_on_cpu.two_worlds import DeviceArray
from warpline import Image
from warpline.backends.cuda_exchange import to_host, view
from warpline.errors import DeviceError, InputError


@pytest.mark.parametrize("kind", [DeviceArray, Tensor])
@pytest.mark.parametrize("shape", [(4, 5, 6), (70, 64, 64)], ids=["small", "staged"])
def test_values_arrive_as_they_are(pretended_cupy, kind, shape):
    values = np.random.default_rng(0).random(shape, dtype=np.float32)
    np.testing.assert_array_equal(to_host(view(kind(values), "0")), values)
    np.testing.assert_array_equal(Image.from_array(kind(values)).data, values)


@pytest.mark.parametrize("values", [np.ones((3, 4, 5)), np.ones((3, 4, 5)).T], ids=["C order", "Fortran order"])
def test_a_view_is_the_memory_of_the_tensor(pretended_cupy, values):
    seen = view(Tensor(values), "0")
    assert np.shares_memory(seen.held, values)
    found = to_host(seen)
    assert found.flags.c_contiguous and not np.shares_memory(found, values)


def test_large_arrays_go_through_the_same_pinned_memory(pretended_cupy):
    values = np.ones((70, 64, 64), np.float32)
    for _ in range(2):
        to_host(view(Tensor(values), "0"))
    assert pretended_cupy.ledger.pinned_pool.from_driver == 1
    assert pretended_cupy.ledger.pageable == []


def test_another_gpu_than_those_there_are_is_named(pretended_cupy):
    with pytest.raises(DeviceError, match="backend 'cuda:3' is not there"):
        view(Tensor(np.zeros(3), 3), "3")


def test_what_cupy_cannot_take_is_refused_in_a_line(pretended_cupy):
    pretended_cupy.from_dlpack = lambda _: exec("raise TypeError('Unsupported dtype. dtype code: 8')")
    with pytest.raises(InputError, match=r"scan, a .*Tensor, gives no values \(Unsupported dtype. dtype code: 8\)"):
        Image.from_array(Tensor(np.zeros((3, 3))), name="scan")
