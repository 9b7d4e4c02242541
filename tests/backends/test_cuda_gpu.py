"""What only a real GPU can show; without one these tests fail under ``-m gpu``, they are never skipped."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from warpline.backends import select
from warpline.errors import DeviceError
from warpline.evaluation import overlap
from warpline.images import Image
from warpline.phantom import brain_pair
from warpline.recipe import Recipe
from warpline.registration import register
from warpline.registration.alignment import align
from warpline.resampling import warp

pytestmark = pytest.mark.gpu

# How far cuda may be from numba; docs/conventions.md.
WARPED_MEAN, WARPED_P99 = 5e-4, 5e-3
DICE = 0.002
INVERSE_ERROR = 0.002

UNWANTED = ("libcublas", "libcufft", "libcurand", "libcusolver", "libcusparse")

# A registration in a process of its own, then the names of all the libraries that it has loaded beside those that CuPy
# loads by itself (version 14: cublasLt, where there is one).
REGISTER_AND_LIST = """
import json, pathlib
import cupy

def loaded():
    maps = pathlib.Path("/proc/self/maps").read_text().splitlines()
    return {line.rpartition("/")[2] for line in maps if ".so" in line}

before = loaded()
import warpline
from warpline.phantom import brain_pair
pair = brain_pair((48, 56, 48), voxel_size=4.0)
warpline.register(pair.fixed, pair.moving, backend="cuda")
print(json.dumps(sorted(loaded() - before)))
"""


@pytest.fixture(scope="module")
def gpu():
    return select("cuda")


@pytest.fixture(scope="module")
def pair():
    return brain_pair((64, 75, 64), voxel_size=3.0)


@pytest.fixture(scope="module")
def found(gpu, pair):
    return registered(pair, gpu)


@pytest.fixture(scope="module")
def on_cpu(pair):
    return registered(pair, select("numba"))


def registered(pair, backend, **masks):
    return align(pair.fixed, pair.moving, Recipe.load("syn"), backend=backend, **masks)


def head(image):
    return Image((image.data > image.data.min()).astype(np.uint8), image.grid)


def assert_same_bits(one, other):
    assert np.array_equal(one.affine.matrix, other.affine.matrix)
    assert np.array_equal(one.warp.field, other.warp.field)
    assert np.array_equal(one.warp.inverse_field, other.warp.inverse_field)
    assert one.quality == other.quality


def dice(pair, alignment):
    judge = select("numba")
    warped = warp(pair.moving_labels, alignment.transform, pair.fixed.grid, order=0, backend=judge)
    return overlap(pair.fixed_labels, warped).mean


def test_the_slim_install_is_enough():
    result = subprocess.run([sys.executable, "-c", REGISTER_AND_LIST], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    libraries = json.loads(result.stdout)
    assert any(name.startswith("libnvrtc") for name in libraries)
    assert [name for name in libraries if name.startswith(UNWANTED)] == []


def test_two_runs_agree_bit_for_bit(gpu, pair, found):
    assert_same_bits(found, registered(pair, gpu))


def test_another_backend_object_gives_the_same_bits(pair, found):
    assert_same_bits(found, registered(pair, select("cuda:0")))


@pytest.mark.parametrize("count", [2, 4])
def test_concurrent_registrations_give_the_bits_of_one(gpu, pair, found, count):
    with ThreadPoolExecutor(count) as pool:
        together = list(pool.map(lambda _: registered(pair, gpu), range(count)))
    for alignment in together:
        assert_same_bits(found, alignment)


def test_the_warped_image_is_one_of_those_of_numba(pair, found, on_cpu):
    """Rounding decides at which look a level stops, so numba's own results have two forms (0.005 apart here)."""
    others = [registered(with_rounding_noise(pair, seed), select("numba")) for seed in range(3)]
    differences = [_difference(pair, found, other) for other in (on_cpu, *others)]
    assert min(one.mean() for one in differences) < WARPED_MEAN
    assert min(np.percentile(one, 99) for one in differences) < WARPED_P99


def _difference(pair, one, other):
    """Of the warped images, as a share of their range."""
    judge = select("numba")
    first, second = (warp(pair.moving, a.transform, pair.fixed.grid, backend=judge).data for a in (one, other))
    return np.abs(first - second) / np.ptp(second)


def with_rounding_noise(pair, seed):
    """The pair with a moving image that differs by about what single precision rounds."""
    noise = np.random.default_rng(seed).standard_normal(pair.moving.data.shape)
    data = (pair.moving.data * (1 + 1e-7 * noise)).astype(np.float32)
    return replace(pair, moving=Image(data, pair.moving.grid))


def test_masks_count_as_on_numba(gpu, pair):
    """Within a mask rounding decides which voxels count at its edge, so numba's own results spread (by 0.003 here)."""
    masks = {"fixed_mask": head(pair.fixed), "moving_mask": head(pair.moving)}
    found = registered(pair, gpu, **masks)
    pairs = [pair, *(with_rounding_noise(pair, seed) for seed in range(3))]
    on_cpu = [dice(pair, registered(one, select("numba"), **masks)) for one in pairs]
    assert min(on_cpu) - DICE < dice(pair, found) < max(on_cpu) + DICE
    assert_same_bits(found, registered(pair, gpu, **masks))


def test_overlap_is_that_of_numba_and_clearly_above_the_affine(pair, found, on_cpu):
    assert dice(pair, found) == pytest.approx(dice(pair, on_cpu), abs=DICE)
    judge = select("numba")
    linear = warp(pair.moving_labels, found.affine, pair.fixed.grid, order=0, backend=judge)
    assert dice(pair, found) > overlap(pair.fixed_labels, linear).mean + 0.05


def test_folds_and_inverse_error_are_those_of_numba(found, on_cpu):
    assert found.quality.folded_voxels == on_cpu.quality.folded_voxels == 0
    for name in ("inverse_error_mean", "inverse_error_p99"):
        assert getattr(found.quality, name) == pytest.approx(getattr(on_cpu.quality, name), abs=INVERSE_ERROR), name


def test_out_of_memory_names_request_free_memory_and_remedy(gpu, pair):
    import cupy

    pool = cupy.get_default_memory_pool()
    pool.free_all_blocks()
    pool.set_limit(size=pool.total_bytes() + 8 * 2**20)
    try:
        with pytest.raises(DeviceError, match=r"out of memory on .*: .*allocating [\d,]+ bytes") as caught:
            registered(pair, gpu)
    finally:
        pool.set_limit(size=0)
    assert "MiB are free" in str(caught.value)
    assert "fewer registrations at once" in str(caught.value)
    assert registered(pair, gpu).quality.folded_voxels == 0


def test_memory_goes_back_when_a_registration_is_over(gpu, pair):
    import cupy

    pool = cupy.get_default_memory_pool()
    registered(pair, gpu)
    used, held = pool.used_bytes(), pool.total_bytes()
    registered(pair, gpu)
    assert (pool.used_bytes(), pool.total_bytes()) == (used, held)


def test_arrays_of_cupy_are_registered(gpu, pair):
    import cupy

    assert_kept_there(
        gpu, pair, cupy.asarray, lambda array: (cupy.asarray(array).data.ptr, cupy.from_dlpack(array).get())
    )


def test_tensors_of_torch_are_registered(gpu, pair):
    torch = pytest.importorskip("torch")

    def shared(image):
        tensor = torch.from_dlpack(image)
        assert tensor.is_cuda
        return tensor.data_ptr(), tensor.cpu().numpy()

    assert_kept_there(gpu, pair, lambda array: torch.from_numpy(array).cuda(), shared)


def assert_kept_there(gpu, pair, made, shared):
    given = [(made(image.data), image.affine) for image in (pair.fixed, pair.moving)]
    found = [register(*images, "affine", backend=gpu) for images in (given, (pair.fixed, pair.moving))]
    np.testing.assert_array_equal(found[0].warped.data, found[1].warped.data)
    address, values = shared(found[0].warped)
    assert address == found[0].warped.on_gpu.array.data.ptr
    np.testing.assert_array_equal(values, found[1].warped.data)
    np.testing.assert_array_equal(shared(given[1][0])[1], pair.moving.data)
