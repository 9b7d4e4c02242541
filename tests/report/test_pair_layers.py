import io

import numpy as np
import pytest
from PIL import Image as Picture

from warpline.images import Image
from warpline.report.pair_layers import MAX_PIXELS, SPACING, draw_layers
from warpline.space import Displacement


def pixels(picture):
    return np.asarray(Picture.open(io.BytesIO(picture)).convert("RGB")).astype(float) / 255


def shifted(fixed, millimetres):
    """A displacement that is the same everywhere."""
    field = np.broadcast_to(np.array(millimetres, np.float32)[:, None, None, None], (3, *fixed.grid.shape))
    return Displacement(np.ascontiguousarray(field), fixed.grid)


def test_mosaics_hold_a_tile_for_each_slice(layers):
    assert [view["name"] for view in layers.views] == ["Sagittal", "Coronal", "Axial"]
    assert all(len(view["positions"]) == len(view["tissues"]) for view in layers.views)
    assert all(0 < np.diff(view["positions"]).max() <= max(SPACING, 4.0) + 0.1 for view in layers.views)
    width = max(view["width"] * len(view["positions"]) for view in layers.views)
    height = sum(view["height"] for view in layers.views)
    assert max(max(view["width"], view["height"]) for view in layers.views) <= MAX_PIXELS + 1
    for name in ("fixed", "before", "after"):
        assert pixels(layers.pictures[name]).shape == (height, width, 3)
    halves = sum(-(-view["height"] // 2) for view in layers.views)
    for name in ("across", "down", "jacobian", "displacement", "mismatch"):
        assert pixels(layers.pictures[name]).shape[0] == halves


def test_what_is_equal_looks_equal_and_what_moved_does_not(layers):
    fixed, before, after = (pixels(layers.pictures[name]) for name in ("fixed", "before", "after"))
    assert np.array_equal(fixed, after)
    assert np.abs(fixed - before).mean() > 0.02


@pytest.mark.parametrize(
    ("millimetres", "name", "brighter"),
    [((10, 0, 0), "across", {"Coronal": 1, "Axial": 1}), ((0, 0, 10), "down", {"Sagittal": -1, "Coronal": -1})],
)
def test_components_point_where_the_page_shows_them(phantom, millimetres, name, brighter):
    """Right of the patient is right on the page, upwards is against the rows."""
    layers = draw_layers(phantom.fixed, phantom.fixed, phantom.fixed, shifted(phantom.fixed, millimetres))
    assert layers.scales["displacement"] == 10
    picture, top = pixels(layers.pictures[name])[..., 0], 0
    for view in layers.views:
        height, width = -(-view["height"] // 2), -(-view["width"] // 2) * len(view["positions"])
        part, top = picture[top : top + height, :width], top + height
        assert part.mean() == pytest.approx(0.5 + 0.5 * brighter.get(view["name"], 0), abs=0.03)


def test_the_worst_place_is_found_in_every_view(phantom):
    """Where a ball of the moved image was replaced by noise; all views lead to the same place."""
    data, centre = np.array(phantom.fixed.data), (30, 36, 26)
    ball = sum((i - c) ** 2 for i, c in zip(np.indices(data.shape), centre, strict=True)) < 16
    data[ball] = np.random.default_rng(0).permutation(data[ball])
    layers = draw_layers(phantom.fixed, phantom.fixed, Image(data, phantom.fixed.grid))
    there = phantom.fixed.grid.affine[:3] @ (*centre, 1)
    for view, place in zip(layers.views, there, strict=True):
        worst = view["worst"]
        assert abs(view["positions"][worst["cut"]] - place) <= 16 and 0 < worst["x"] < 1 and 0 < worst["y"] < 1


def test_growth_is_warm_and_folds_are_yellow(phantom):
    grid = phantom.fixed.grid
    world = np.einsum("ab,bijk->aijk", grid.affine[:3, :3], np.indices(grid.shape))
    growing = Displacement((0.2 * world).astype(np.float32), grid)
    folding = Displacement((-1.5 * world).astype(np.float32), grid)
    red, green, blue = np.moveaxis(colours_of(phantom.fixed, growing), -1, 0)
    assert ((red - blue) > 0.25).mean() > 0.2
    red, green, blue = np.moveaxis(colours_of(phantom.fixed, folding), -1, 0)
    assert ((red > 0.8) & (green > 0.8) & (blue < 0.5)).mean() > 0.2


def colours_of(fixed, field):
    return pixels(draw_layers(fixed, fixed, fixed, field).pictures["jacobian"])


def test_linear_maps_have_no_layers_of_deformation(phantom):
    layers = draw_layers(phantom.fixed, phantom.moving, phantom.fixed)
    assert set(layers.pictures) == {"fixed", "before", "after", "mismatch"}
    assert set(layers.scales) == {"pixel"}


def test_fine_voxels_are_averaged_not_picked(phantom):
    """A checkerboard of single voxels, shown smaller than it is, is grey."""
    board = np.indices((400, 400)).sum(axis=0) % 2
    image = Image.from_array(board[:, :, None].repeat(8, axis=2).astype(np.float32))
    plane = pixels(draw_layers(image, image, image).pictures["fixed"])
    axial = plane[-image.grid.shape[1] // 4 :, :100]
    assert 0.2 < axial.mean() < 0.8
    assert axial.std() < 0.25


@pytest.mark.parametrize("value", [0.0, 7.5, np.nan])
def test_images_without_content_do_not_stop_a_page(value):
    empty = Image.from_array(np.full((12, 13, 14), value, np.float32))
    assert set(draw_layers(empty, empty, empty).pictures) == {"fixed", "before", "after", "mismatch"}


def test_the_uncertainty_is_drawn_inside_the_body(phantom, layers):
    """Brighter to the right of the middle, where it is larger; 99.5 % of it fit the scale."""
    grid = phantom.fixed.grid
    right = np.einsum("a,aijk->ijk", grid.affine[0, :3], np.indices(grid.shape)) + grid.affine[0, 3] > 0
    spread = Image(np.where(right, 1.5, 0.3).astype(np.float32), grid)
    drawn = draw_layers(phantom.fixed, phantom.moving, phantom.fixed, uncertainty=spread)
    assert drawn.scales["uncertainty"] == 2 and "uncertainty" not in layers.pictures | layers.scales
    picture, axial = pixels(drawn.pictures["uncertainty"])[..., 0], drawn.views[-1]
    assert picture.shape == pixels(layers.pictures["mismatch"]).shape[:2]
    height, width = -(-axial["height"] // 2), -(-axial["width"] // 2)
    middle = len(axial["positions"]) // 2
    tile = picture[-height:, middle * width : (middle + 1) * width]
    left, right = tile[height // 2, width // 4], tile[height // 2, 3 * width // 4]
    assert left == pytest.approx(0.15, abs=0.05) and right == pytest.approx(0.75, abs=0.05) and tile[0, 0] < 0.02


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_an_even_uncertainty_does_not_stop_a_page(phantom, value):
    spread = Image(np.full(phantom.fixed.grid.shape, value, np.float32), phantom.fixed.grid)
    drawn = draw_layers(phantom.fixed, phantom.moving, phantom.fixed, uncertainty=spread)
    assert drawn.scales["uncertainty"] >= max(value, 1e-3)
