"""How launches are cut for a GPU: pieces that it holds at once, and the same bits however they are cut."""

from __future__ import annotations

import numpy as np
import pytest

from backends.rounding import assert_rounded
from conftest import emulated_backend
from cuda_on_cpu import emulated
from warpline.backends import cuda_filters, numpy_backend
from warpline.backends.cuda_backend import CudaBackend
from warpline.backends.cuda_workspace import Workspace, voxel_grid
from warpline.errors import DeviceError

BRAIN = (150, 190, 155)
LONG = (40, 9, 11)


class Processors(emulated.EmulatedRuntime):
    def __init__(self, processors):
        super().__init__()
        self.processors = processors


def test_a_march_is_cut_into_as_many_pieces_as_run_at_once():
    (columns_k, columns_j, pieces), length = Workspace(Processors(132)).marching_grid(BRAIN, 16, resident=2)
    assert (columns_k, columns_j) == (5, 12)
    assert columns_k * columns_j * pieces <= 2 * 132
    assert length * pieces >= BRAIN[0] > length * (pieces - 1)


def test_marches_of_several_volumes_share_the_gpu():
    work = Workspace(Processors(132))
    (columns_k, columns_j, pieces), length = work.marching_grid(BRAIN, 16, resident=2, many=2)
    assert columns_k * columns_j * pieces <= 2 * 132
    assert (pieces, length) == (2 * 2, 75)


def test_a_grid_of_more_columns_than_run_at_once_is_not_cut():
    assert Workspace(Processors(4)).marching_grid((512, 512, 512), 16, resident=2) == ((16, 32, 1), 512)


@pytest.mark.parametrize(("least", "pieces"), [(1, 38), (2, 19), (4, 10)])
def test_pieces_have_a_least_length(least, pieces):
    grid, length = Workspace(Processors(132)).marching_grid((38, 48, 39), 16, resident=4, least=least)
    assert (grid, length) == ((2, 3, pieces), least)


@pytest.mark.parametrize("shape", [(65536, 3, 1), (1, 2**20, 3), (1, 2**16, 2**15)])
def test_a_volume_that_kernels_cannot_count_is_refused_in_words(shape):
    with pytest.raises(DeviceError, match=f"{shape[0]} x {shape[1]} x {shape[2]} voxels is too large for a GPU"):
        voxel_grid(shape)


def results_however_cut(call):
    """The different bytes of the arrays that `call(backend)` gives on small and large GPUs."""
    emulated_backend()
    backends = [CudaBackend(Processors(processors)) for processors in (1, 3, 200)]
    return {b"".join(backend.download(array).tobytes() for array in call(backend)) for backend in backends}


@pytest.mark.parametrize("few", [0, cuda_filters.FEW], ids=["marching", "in two launches"])
@pytest.mark.parametrize("sigma", [(0.4, 0.4, 0.4), (1.5, 1.5, 1.5), (0.0, 1.5, 1.0)])
def test_smoothing_has_the_same_bits_however_it_is_cut(sigma, few, monkeypatch):
    monkeypatch.setattr(cuda_filters, "FEW", few)
    field = np.random.default_rng(5).normal(size=(3, *LONG)).astype(np.float32)

    def smoothed(backend):
        norm = backend.zeros((1,), np.float32)
        return [backend.smooth(backend.upload(field), sigma, out_norm=norm), norm]

    assert len(results_however_cut(smoothed)) == 1


def smoothed_by_size(array, sigma, monkeypatch):
    """Kernels that ran and (result, norms) where the array has as many elements as count as few, and one more."""
    for few in (array.size, array.size - 1):
        monkeypatch.setattr(cuda_filters, "FEW", few)
        backend = emulated_backend()
        norm = backend.zeros((len(array) if array.ndim == 5 else 1,), np.float32)
        out = backend.smooth(backend.upload(array), sigma, out_norm=norm)
        yield backend._work.runtime.launches, out, norm


@pytest.mark.parametrize("sigma", [(1.5, 1.5, 1.5), (1.0, 0.0, 1.3), (1.2, 0.4, 0.0), (1.5, 0.0, 0.0)])
@pytest.mark.parametrize(
    "shape",
    [(2, 3, 38, 18, 35), (3, 5, 4, 37), (23, 9, 6), (2, 3, 7, 5, 1), (3, 6, 1, 40), (3, 2, 1, 1), (3, 37, 1, 1)],
)
def test_few_and_many_voxels_are_smoothed_to_the_same_bits(shape, sigma, monkeypatch):
    array = np.random.default_rng(8).normal(size=shape).astype(np.float32)
    longest = np.zeros(len(array) if array.ndim == 5 else 1, np.float32)
    expected = numpy_backend.NumpyBackend().smooth(array, sigma, out_norm=longest)
    (few, *small), (many, *large) = smoothed_by_size(array, sigma, monkeypatch)
    assert few in (["smooth", "smooth_along_i"], ["smooth_along_i"])
    assert many == ["smooth"]
    for a, b, slow in zip(small, large, (expected, longest), strict=True):
        np.testing.assert_array_equal(a, b)
        assert_rounded(a, slow, scale=4)


def test_an_axis_of_one_voxel_takes_one_launch(monkeypatch):
    array = np.random.default_rng(9).normal(size=(3, 1, 20, 34)).astype(np.float32)
    for launches, *_ in smoothed_by_size(array, (1.5, 1.5, 1.5), monkeypatch):
        assert launches == ["smooth"]


@pytest.mark.parametrize("radius", [2, 5])
def test_local_cc_has_the_same_forces_however_it_is_cut(radius):
    fixed, moving = np.random.default_rng(6).normal(size=(2, *LONG)).astype(np.float32)

    def forces(backend):
        outs, value = [backend.empty((3, *LONG)) for _ in range(2)], backend.zeros((1,), np.float64)
        given = {"out_fixed": outs[0], "out_moving": outs[1], "value": value}
        backend.local_cc(backend.upload(fixed), backend.upload(moving), radius, contrast_floor=1e-6, mask=None, **given)
        return outs

    assert len(results_however_cut(forces)) == 1
