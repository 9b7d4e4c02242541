"""Results must not depend on the order in which threads and blocks run: a missing barrier would show."""

from __future__ import annotations

import numpy as np
import pytest

from backends.operations import OPERATIONS, results
from conftest import emulated_backend
from cuda_on_cpu import emulated
from kernel_builds import KERNELS
from warpline.backends.cuda_backend import CudaBackend


def test_the_operations_run_every_kernel():
    """So that what holds for all operations, here and under sanitizers, holds for all kernels."""
    emulated_backend()
    runtime = emulated.EmulatedRuntime()
    for operation in OPERATIONS:
        results(operation, CudaBackend(runtime))
    assert set(runtime.launches) == set(KERNELS)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_order_of_threads_does_not_matter(operation):
    first, second = (results(operation, emulated_backend(descending=d)) for d in (False, True))
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
