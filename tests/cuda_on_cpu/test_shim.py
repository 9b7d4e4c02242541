"""The emulation itself: it must notice what it is there to notice."""

from __future__ import annotations

import numpy as np
import pytest

from cuda_on_cpu import emulated

REVERSE = """
extern "C" __global__ void reverse(float* values, int n) {
    __shared__ float copy[64];
    int t = threadIdx.x;
    copy[t] = values[t];
    %s
    values[t] = copy[n - 1 - t];
}
"""
UNEVEN = """
extern "C" __global__ void uneven(float* values, int n) {
    if ((int)threadIdx.x < n / 2) return;
    __syncthreads();
    values[threadIdx.x] = 1.0f;
}
"""


@pytest.fixture(autouse=True)
def compiler():
    if not emulated.available():
        pytest.skip(f"no C++ compiler called {emulated.COMPILER}")


@pytest.fixture(params=[False, True], ids=["ascending", "descending"])
def runtime(request):
    return emulated.EmulatedRuntime(descending=request.param)


def test_threads_meet_at_barriers(runtime):
    values = np.arange(64, dtype=np.float32)
    runtime.compile(REVERSE % "__syncthreads();", "reverse")((1, 1, 1), (64, 1, 1), [values, np.int32(64)])
    np.testing.assert_array_equal(values, np.arange(64)[::-1])


def test_a_missing_barrier_shows_in_either_thread_order():
    wrong = []
    for descending in (False, True):
        start = np.random.default_rng().normal(size=64).astype(np.float32)
        values = start.copy()
        runtime = emulated.EmulatedRuntime(descending=descending)
        runtime.compile(REVERSE % "", "reverse")((1, 1, 1), (64, 1, 1), [values, np.int32(64)])
        wrong.append((values != start[::-1]).any())
    assert any(wrong)


def test_a_barrier_that_some_threads_miss_is_an_error(runtime):
    with pytest.raises(AssertionError, match="barrier was not met"):
        runtime.compile(UNEVEN, "uneven")((1, 1, 1), (64, 1, 1), [np.zeros(64, np.float32), np.int32(64)])


def test_blocks_and_threads_have_their_indices(runtime):
    source = """
    extern "C" __global__ void where(int* out) {
        int block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
        int thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
        out[block * blockDim.x * blockDim.y * blockDim.z + thread] = 100 * block + thread;
    }
    """
    out = np.zeros((24, 12), np.int32)
    runtime.compile(source, "where")((2, 3, 4), (3, 2, 2), [out])
    np.testing.assert_array_equal(out, 100 * np.arange(24)[:, None] + np.arange(12))


def test_a_kernel_that_does_not_compile_is_an_error(runtime):
    with pytest.raises(AssertionError, match="broken does not compile"):
        runtime.compile('extern "C" __global__ void broken(float* x) { x[0] = y; }', "broken")
