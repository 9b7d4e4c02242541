"""Sweeps of a GPU: launched once, then replayed; their arithmetic is under contract (`test_contract_tetrahedra.py`)."""

import numpy as np
import pytest

from cuda_on_cpu import emulated
from warpline.backends.cuda_backend import CudaBackend
from warpline.backends.cuda_unfolding import Sweeps

if not emulated.available():
    pytest.skip(f"no C++ compiler called {emulated.COMPILER}", allow_module_level=True)


class Counting(emulated.GraphRuntime):
    """The emulated GPU, which counts graphs and replays."""

    def __init__(self):
        super().__init__()
        self.captures = self.replays = 0

    def capture(self, step):
        self.captures += 1
        replay = super().capture(step)

        def counted():
            self.replays += 1
            replay()

        return counted


def folded(shape=(6, 7, 8)):
    """Displacements that fold in several voxels."""
    field = np.random.default_rng(3).uniform(-0.4, 0.4, (3, *shape)).astype(np.float32)
    field[:, 3, 3, 3] = 2.5
    return field


def test_all_sweeps_but_the_first_are_replays():
    runtime = Counting()
    backend = CudaBackend(runtime)
    field = backend.upload(folded())
    backend.unfold(field, limit=0.2, target=0.3, sweeps=20)
    assert runtime.captures == 1
    assert 2 <= runtime.replays < 20
    assert backend.download(backend.least_jacobian(field)).min() > 0.2


def test_a_field_without_low_determinants_is_left_alone():
    runtime = Counting()
    backend = CudaBackend(runtime)
    field = backend.zeros((3, 4, 5, 6))
    backend.unfold(field, limit=0.2, target=0.3, sweeps=20)
    assert runtime.captures == 0
    assert not backend.download(field).any()


def test_what_is_known_of_the_field_is_kept_up_to_date():
    backend = CudaBackend(Counting())
    field = backend.upload(folded())
    least = backend.least_jacobian(field)
    Sweeps(backend._work, field, least, limit=0.2, target=0.3).run(1)
    np.testing.assert_array_equal(backend.download(least), backend.download(backend.least_jacobian(field)))
