"""Arrays of a GPU, copied to the host by a CuPy that is only pretended; the real one: test_cuda_gpu.py."""

from __future__ import annotations

import numpy as np
import pytest

from cuda_on_cpu import pretended
from cuda_on_cpu.two_worlds import DeviceArray
from warpline import Image
from warpline.backends import cuda_device, cuda_exchange
from warpline.backends.cuda_exchange import to_host
from warpline.errors import DeviceError


class Tensor:
    """An array of another library on GPU number 0."""

    def __init__(self, values):
        self.held = values

    def __dlpack_device__(self):
        return (2, 0)

    def __dlpack__(self, **_):
        return self.held


@pytest.fixture
def cupy(monkeypatch):
    monkeypatch.setattr(cuda_device, "why_unusable", lambda: None)
    with pretended.Cupy() as module:
        module.cuda.runtime.getDeviceCount = lambda: 1
        module.asarray = lambda array: array
        module.from_dlpack = lambda tensor: DeviceArray(tensor.__dlpack__())
        yield module
    cuda_exchange._runtime.cache_clear()


@pytest.mark.parametrize("kind", [DeviceArray, Tensor])
@pytest.mark.parametrize("shape", [(4, 5, 6), (70, 64, 64)], ids=["small", "staged"])
def test_values_arrive_as_they_are(cupy, kind, shape):
    values = np.random.default_rng(0).random(shape, dtype=np.float32)
    np.testing.assert_array_equal(to_host(kind(values), "0"), values)
    np.testing.assert_array_equal(Image.from_array(kind(values)).data, values)


def test_large_arrays_go_through_the_same_pinned_memory(cupy):
    values = np.ones((70, 64, 64), np.float32)
    for _ in range(2):
        to_host(Tensor(values), "0")
    assert cupy.ledger.pinned_pool.from_driver == 1
    assert cupy.ledger.pageable == []


def test_another_gpu_than_those_there_are_is_named(cupy):
    with pytest.raises(DeviceError, match="backend 'cuda:3' is not there"):
        to_host(Tensor(np.zeros(3)), "3")
