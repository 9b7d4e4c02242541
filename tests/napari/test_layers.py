from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from warpline.images import Image
from warpline.napari import layers
from warpline.napari.layers import image_layer, vectors_layer
from warpline.space import Displacement, Grid
from warpline.space.grid import apply_affine

OBLIQUE = np.array(((0, -2.0, 0.3, 5), (1.5, 0, 0, -7), (0, 0.4, 3, 11), (0, 0, 0, 1)))
SLICE = Grid((6, 5, 1), np.array(((0, -2.0, 0, 5), (1.5, 0, 0, -7), (0, 0, 1, 3), (0, 0, 0, 1))), flat=True)


def numbered(grid, *volumes):
    shape = (*grid.shape, *volumes)
    return Image(np.arange(np.prod(shape), dtype=np.float32).reshape(shape), grid)


def places(arguments, indices):
    """World R, A, S, in 2-D R, A, of array indices, as napari computes its world and by what its axes are."""
    world = np.asarray(indices) @ arguments["affine"][:-1, :-1].T + arguments["affine"][:-1, -1]
    signs = {"x": -1, "y": -1, "z": 1}
    labels = arguments["axis_labels"]
    return np.stack([signs[axis] * world[..., labels.index(axis)] for axis in "xyz" if axis in labels], axis=-1)


def test_a_volume_keeps_values_and_places():
    image = numbered(Grid((4, 5, 6), OBLIQUE))
    values, arguments, kind = image_layer(image, "T1w", colormap="green")
    assert (kind, arguments["name"], arguments["colormap"]) == ("image", "T1w", "green")
    assert values[3, 1, 2] == image.data[1, 2, 3] and np.shares_memory(values, image.data)
    np.testing.assert_allclose(places(arguments, [3, 1, 2]), apply_affine(OBLIQUE, [1, 2, 3]))
    assert arguments["units"] == ("mm", "mm", "mm")


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
def test_slices_are_cut_across_the_axis_nearest_to_z(order):
    """napari takes slices along axes of the array, whatever the affine says."""
    affine = np.eye(4)
    affine[:3, :3] = (np.diag([2.0, -1, 3]) + 0.2)[:, order]
    grid = Grid((4, 5, 6), affine)
    _, arguments, _ = image_layer(numbered(grid), "T1w")
    assert np.abs(arguments["affine"][:3, :3]).argmax(axis=1).tolist() == [0, 1, 2]
    arrows, placed, _ = vectors_layer(Displacement(np.zeros((3, *grid.shape), np.float32), grid), "warp")
    np.testing.assert_array_equal(placed["affine"], arguments["affine"])
    assert len(set(arrows[:, 0, 0])) == grid.shape[order.index(2)]


def test_time_is_the_first_axis_of_a_series():
    image = numbered(Grid((4, 5, 6), OBLIQUE), 3)
    values, arguments, _ = image_layer(image, "bold")
    assert values[2, 3, 1, 2] == image.data[1, 2, 3, 2]
    assert arguments["axis_labels"] == ("t", "z", "y", "x") and arguments["affine"][0].tolist() == [1, 0, 0, 0, 0]
    np.testing.assert_allclose(places(arguments, [2, 3, 1, 2]), apply_affine(OBLIQUE, [1, 2, 3]))


def test_an_image_in_the_plane_has_two_axes():
    image = numbered(SLICE)
    values, arguments, _ = image_layer(image, "section")
    assert values.shape == (6, 5) and values[2, 4] == image.data[2, 4, 0]
    np.testing.assert_allclose(places(arguments, [2, 4]), apply_affine(SLICE.affine, [2, 4, 0])[:2])


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("sub-01_dseg", np.uint8(1), "labels"),
        ("brain-labels", np.int32(-7), "labels"),
        ("aseg", np.float32(1021), "labels"),
        ("labels", np.float32(0.5), "image"),
        ("labels", np.float32(np.nan), "image"),
        ("labels", np.float32(1e12), "image"),
        ("segovia", np.uint8(1), "image"),
        ("T1w", np.uint8(1), "image"),
    ],
)
def test_whole_numbers_named_labels_become_labels(name, value, kind):
    image = Image(np.full((2, 3, 4), value), Grid((2, 3, 4), np.eye(4)))
    values, arguments, found = image_layer(image, name, colormap="red")
    assert found == kind and ("colormap" in arguments) == (kind == "image")
    assert kind == "image" or values.dtype.kind in "iu"
    np.testing.assert_array_equal(values, image.data.T)


@pytest.mark.parametrize("grid", [Grid((4, 5, 6), OBLIQUE), SLICE], ids=["3-D", "2-D"])
def test_arrows_lead_from_fixed_to_moving_points(grid):
    field = np.random.default_rng(1).normal(size=(3, *grid.shape)).astype(np.float32)
    field[2] *= not grid.flat
    warp = Displacement(field, grid)
    arrows, arguments, kind = vectors_layer(warp, "warp")
    assert kind == "vectors" and len(arrows) == np.prod(grid.shape)
    axes = arrows.shape[-1]
    fixed = np.zeros((len(arrows), 3)) + apply_affine(grid.affine, [0, 0, 0])
    fixed[:, :axes] = places(arguments, arrows[:, 0])
    np.testing.assert_allclose(places(arguments, arrows.sum(axis=1)), warp.map_points(fixed)[:, :axes], atol=1e-5)
    lengths = np.linalg.norm(warp.map_points(fixed) - fixed, axis=1)
    np.testing.assert_allclose(arguments["features"]["mm"], lengths, rtol=1e-5)


def test_every_slice_has_arrows_but_not_too_many(monkeypatch):
    monkeypatch.setattr(layers, "MOST_VECTORS", 700)
    grid = Grid((40, 20, 10), np.diag([1.0, 2, 5, 1]))
    arrows, _, _ = vectors_layer(Displacement(np.zeros((3, *grid.shape), np.float32), grid), "warp")
    assert len(arrows) == 7 * 7 * 10
    assert set(arrows[:, 0, 0]) == set(range(10)) and set(np.diff(np.unique(arrows[:, 0, 2]))) == {6}
    assert set(np.diff(np.unique(arrows[:, 0, 1]))) == {3} and 20 in arrows[:, 0, 2] and 10 in arrows[:, 0, 1]


def test_there_are_no_arrows_where_the_field_is_unknown():
    field = np.zeros((3, 4, 4, 4), np.float32)
    field[1, 2] = np.nan
    arrows, arguments, _ = vectors_layer(Displacement(field, Grid((4, 4, 4), np.eye(4))), "warp")
    assert len(arrows) == len(arguments["features"]["mm"]) == 48 and 2 not in arrows[:, 0, 2]
