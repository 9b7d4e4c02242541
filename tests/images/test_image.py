"""Images: arrays that fit their grid."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from cuda_on_cpu.pretended import Tensor
from warpline.errors import InputError
from warpline.images import Image, embed_affine
from warpline.io.unknown import fill_unknown
from warpline.space.grid import Grid


def test_data_must_fit_the_grid():
    with pytest.raises(InputError, match=r"T1.nii: array of shape \(2, 3, 5\) does not fit grid \(2, 3, 4\)"):
        Image(np.zeros((2, 3, 5)), Grid((2, 3, 4), np.eye(4)), "T1.nii")
    with pytest.raises(InputError, match="does not fit"):
        Image(np.zeros((2, 3)), Grid((2, 3, 1), np.eye(4)))


def test_a_series_has_the_grid_of_its_volumes():
    image = Image.from_array(np.zeros((4, 5, 6, 7)))
    assert image.grid.shape == (4, 5, 6)
    assert image.data.shape == (4, 5, 6, 7)


def test_a_slice_becomes_one_voxel_thick():
    plane = np.arange(12, dtype=np.int16).reshape(3, 4)
    image = Image.from_array(plane)
    assert image.grid.shape == (3, 4, 1)
    assert image.data.dtype == np.int16
    np.testing.assert_array_equal(image.data[..., 0], plane)


def test_the_array_is_not_copied_or_converted():
    labels = np.full((2, 2, 2), 2**40 + 1, dtype=np.int64)
    assert Image.from_array(labels).data is labels


def test_affine_is_that_of_the_grid_and_identity_by_default():
    affine = np.diag([-1.0, 2, 3, 1])
    image = Image.from_array(np.zeros((2, 2, 2)), affine, "here")
    np.testing.assert_array_equal(image.affine, affine)
    assert image.affine is image.grid.affine
    assert image.name == "here"
    np.testing.assert_array_equal(Image.from_array(np.zeros((2, 2, 2))).affine, np.eye(4))


@pytest.mark.parametrize("shape", [(5,), (2, 2, 2, 2, 2), ()])
def test_other_numbers_of_axes_are_refused(shape):
    with pytest.raises(InputError, match=f"scan has {len(shape)} axes; 2, 3 or 4 are allowed"):
        Image.from_array(np.zeros(shape), name="scan")


def test_a_plane_affine_leaves_the_third_axis_alone():
    plane = np.array([[0.0, -2, 10], [3, 0, 20], [0, 0, 1]])
    expected = [[0, -2, 0, 10], [3, 0, 0, 20], [0, 0, 1, 0], [0, 0, 0, 1]]
    np.testing.assert_array_equal(embed_affine(plane), expected)
    np.testing.assert_array_equal(Image.from_array(np.zeros((2, 2)), plane).affine, expected)


def test_an_affine_of_another_shape_is_refused():
    with pytest.raises(InputError, match=r"shape \(2, 2\)"):
        Image.from_array(np.zeros((2, 2)), np.eye(2))


def test_other_libraries_read_the_values_without_a_copy():
    image = Image.from_array(np.arange(24, dtype=np.float32).reshape(2, 3, 4))
    read = np.from_dlpack(image)
    assert np.shares_memory(read, image.data) and read.shape == (2, 3, 4)


def test_an_affine_holds_numbers():
    with pytest.raises(InputError, match="scan: its affine holds values of type <U1; real numbers are needed"):
        Image.from_array(np.zeros((2, 2)), "x", name="scan")


# -- values on a GPU --------------------------------------------------------------------------------------------------


@pytest.fixture
def values():
    return np.arange(24, dtype=np.float32).reshape(2, 3, 4)


@pytest.fixture
def image(pretended_cupy, values):
    """An image of a tensor on the second GPU."""
    return Image.from_array(Tensor(values, 1), name="scan")


def test_a_tensor_stays_where_it_is_beside_a_copy(image, values):
    assert np.shares_memory(image.on_gpu.array.held, values) and not np.shares_memory(image.data, values)
    assert (image.on_gpu.ordinal, image.on_gpu.host is image.data) == (1, True)
    plane = Image.from_array(Tensor(values[0]))
    assert plane.on_gpu.array.shape == plane.data.shape == (3, 4, 1)


def test_a_backend_sees_values_of_its_own_gpu_only(image, numpy_backend):
    assert image.values_on(SimpleNamespace(ordinal=1)) is image.on_gpu.array
    assert image.values_on(SimpleNamespace(ordinal=0)) is image.values_on(numpy_backend) is None
    host = Image.from_array(np.zeros((2, 2)))
    assert host.values_on(SimpleNamespace(ordinal=0)) is host.values_on(numpy_backend) is None


def test_dlpack_hands_out_the_gpu_on_the_given_stream(image, values):
    assert image.__dlpack_device__() == (2, 1)
    capsule = image.__dlpack__(stream=7, max_version=(1, 0))
    assert np.shares_memory(capsule.held, values) and capsule.stream == 7
    on_host = image.__dlpack__(dl_device=(1, 0), stream=7)
    given = SimpleNamespace(__dlpack__=lambda **_: on_host, __dlpack_device__=lambda: (1, 0))
    assert np.shares_memory(np.from_dlpack(given), image.data)


def test_only_images_on_a_gpu_have_cudas_interface(image):
    assert hasattr(image, "__cuda_array_interface__")
    host = Image.from_array(image.data)
    assert host.__dlpack_device__() == (1, 0) and not hasattr(host, "__cuda_array_interface__")


def test_another_grid_or_name_keeps_the_gpu_and_data_do_not(image):
    moved = Grid(image.grid.shape, np.diag([2.0, 2.0, 2.0, 1.0]))
    assert replace(image, grid=moved, name="other").on_gpu is image.on_gpu
    assert replace(image, data=image.data.copy()).on_gpu is None
    assert Image(image.data.copy(), image.grid, "other", image.on_gpu).on_gpu is None


def test_an_image_whose_unknown_is_filled_is_of_the_host(pretended_cupy):
    holes = np.ones((4, 4, 4), np.float32)
    holes[0] = np.nan
    given = Image.from_array(Tensor(holes))
    filled, note = fill_unknown(given)
    assert note is not None and filled.on_gpu is None and given.on_gpu is not None
    assert np.isnan(holes[0]).all()


@pytest.mark.parametrize("copied", [lambda one: pickle.loads(pickle.dumps(one)), copy.copy, copy.deepcopy])
def test_copies_and_pickles_are_of_the_host(image, copied):
    found = copied(image)
    assert found.on_gpu is None and image.on_gpu is not None
    np.testing.assert_array_equal(found.data, image.data)
    assert (found.name, found.grid) == (image.name, image.grid)
