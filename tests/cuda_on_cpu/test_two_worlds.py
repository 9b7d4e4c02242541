"""The whole way of a registration with device arrays that refuse to meet NumPy's, as CuPy's do where there is a GPU."""

from __future__ import annotations

import numpy as np
import pytest

from backends.operations import OPERATIONS, results
from cuda_on_cpu import emulated
from cuda_on_cpu.two_worlds import DeviceArray, TwoWorldsGraphRuntime, TwoWorldsRuntime
from warpline.backends.cuda_backend import CudaBackend
from warpline.evaluation import folding, similarity
from warpline.images import Image
from warpline.operations import apply, inversion, jacobian
from warpline.phantom import brain_pair
from warpline.recipe import Budget, Initialise, Linear, Recipe, Syn
from warpline.registration import register
from warpline.resampling import resample
from warpline.space import Chain, Displacement


@pytest.fixture(scope="module")
def device():
    if not emulated.available():
        pytest.skip(f"no C++ compiler called {emulated.COMPILER}")
    return CudaBackend(TwoWorldsRuntime())


@pytest.fixture(scope="module")
def pair():
    return brain_pair((20, 23, 20), voxel_size=9.0)


def recipe(metric="local_cc", similarity="mutual_information", rotations=False, **syn):
    return Recipe(
        initialise=Initialise(rotations=rotations),
        linear=Linear(
            stages=("rigid", "affine"), voxel_sizes=(18.0, 9.0), iterations=(8, 5), samples=1000, refinements=1,
            metric=similarity,
        ),
        syn=Syn(factors=(2.0, 1.0), iterations=(8, 4), metric=metric, **syn),
    )  # fmt: skip


def inside(image):
    return Image((image.data > image.data.min()).astype(np.uint8), image.grid)


def middle(image):
    return image.data[:, :, image.data.shape[2] // 2]


def test_the_two_kinds_do_not_mix(device):
    array, host = device.upload(np.ones(3, np.float32)), np.ones(3, np.float32)
    for mixed in (
        lambda: array + host,
        lambda: host * array,
        lambda: np.minimum(host, array),
        lambda: np.asarray(array),
        lambda: array[np.array([0])],
        lambda: np.add(array, array, out=host),
        lambda: np.mean(array),
    ):
        with pytest.raises(TypeError):
            mixed()
    assert isinstance(2 * array + np.float32(1), DeviceArray)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation(operation, device, numpy_backend):
    with device.session():
        arrays = OPERATIONS[operation](device, device.upload)
        found = [array if isinstance(array, np.ndarray) else device.download(array) for array in arrays]
    for one, other in zip(found, results(operation, numpy_backend), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


def masked(pair, backend):
    masks = {"fixed_mask": inside(pair.fixed), "moving_mask": inside(pair.moving)}
    return register(pair.fixed, pair.moving, recipe(), **masks, backend=backend, progress=look)


@pytest.fixture(scope="module")
def found(device, pair):
    return masked(pair, device)


def look(progress):
    """What an interface that shows pictures does."""
    if progress.images is not None:
        assert all(isinstance(image, np.ndarray) for image in progress.images())


def assert_better(found):
    before, after = (found.report["similarity"][name]["ncc"] for name in ("before", "after"))
    assert after > before
    assert found.report["quality"]["folded_voxels"] == 0


def test_a_registration_with_masks(found):
    assert_better(found)


def test_a_replayed_graph_follows_the_masks_too(found, pair):
    replayed = masked(pair, CudaBackend(TwoWorldsGraphRuntime()))
    np.testing.assert_array_equal(replayed.alignment.warp.field, found.alignment.warp.field)


def test_a_registration_by_other_metrics_without_early_stop(device, pair):
    other = {"metric": "mean_squares", "similarity": "correlation", "update_sigma": 2.5, "early_stop": None}
    assert_better(register(pair.fixed, pair.moving, recipe(**other), backend=device))


def test_a_registration_of_slices_from_many_starts(device, pair):
    assert_better(register(middle(pair.fixed), middle(pair.moving), recipe(rotations=True), backend=device))


def test_what_is_done_with_a_registration(found, device, pair):
    for interpolation in ("nearest", "linear", "cubic", "sinc", "label"):
        image = pair.moving_labels if interpolation in ("nearest", "label") else pair.moving
        carried = apply(image, pair.fixed, found.transform, interpolation=interpolation, backend=device)
        assert carried.grid == pair.fixed.grid
    directions = Image(np.stack([pair.moving.data] * 3, axis=-1), pair.moving.grid)
    assert apply(directions, pair.fixed, found.transform, vectors="ras", backend=device).data.ndim == 4
    assert resample(pair.moving, voxel_size=6.0, order=3, backend=device).data.dtype == np.float32


def test_what_is_measured_of_a_registration(found, device, pair):
    warp = found.alignment.warp
    assert folding(warp, backend=device).count == 0
    assert (jacobian(found.transform, pair.fixed, backend=device).data > 0).all()
    assert similarity(pair.fixed, found.warped, inside(pair.fixed), backend=device).ncc > 0.5
    without_inverse = Displacement(warp.field, warp.grid)
    assert inversion(without_inverse, backend=device).folded == 0
    assert inversion(Chain((warp, found.alignment.affine)), backend=device).folded == 0


def test_a_shared_template_stays_on_the_device(device, pair):
    first, second = Image(pair.fixed.data, pair.fixed.grid), Image(pair.fixed.data, pair.fixed.grid)
    device.cache.share(second)
    found = [register(fixed, pair.moving, recipe(), backend=device) for fixed in (first, second, second)]
    for one in found[1:]:
        np.testing.assert_array_equal(one.alignment.warp.field, found[0].alignment.warp.field)
        np.testing.assert_array_equal(one.alignment.affine.matrix, found[0].alignment.affine.matrix)


def test_a_budget_is_kept_on_the_device(device, pair):
    limits = {"max_bending": 1e-4, "jacobian": (0.8, 1.3), "max_strain": 0.2}
    limited = recipe().model_copy(update={"budget": Budget(**limits)})
    found = register(pair.fixed, pair.moving, limited, backend=device)
    told = found.report["budget"]
    assert told["kept"] and told["max_bending"]["forward_before"] > told["max_bending"]["asked"]
    assert told["local_rounds"] > 0
    assert folding(found.alignment.warp, inside(pair.fixed), backend="numpy").minimum >= 0.8
