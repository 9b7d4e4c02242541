"""The order of axes in which solvers see an image."""

from __future__ import annotations

import numpy as np
import pytest

from synthetic import smooth_field, smooth_volume
from warpline.backends import select
from warpline.images import Image
from warpline.recipe import Initialise, Linear, Recipe, Syn
from warpline.registration.alignment import align, align_with_half_maps
from warpline.registration.axis_order import THIN, AxisOrder
from warpline.registration.spread import Spread
from warpline.space.grid import Grid

RECIPE = Recipe(
    initialise=Initialise(rotations=False),
    linear=Linear(stages=("affine",), voxel_sizes=(2.0,), iterations=(8,), samples=2000, refinements=1),
    syn=Syn(factors=(2.0, 1.0), iterations=(7, 6)),
)
AFFINE = np.array([[1.1, 0.1, 0.2, -40], [0.0, 0.9, 0.1, 7], [0.1, 0.0, 3.0, 2], [0, 0, 0, 1]])


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((300, 290, 1), (0, 2, 1)),
        ((1, 300, 290), (1, 0, 2)),
        ((300, 1, 290), (0, 1, 2)),
        ((300, 290, THIN - 1), (0, 2, 1)),
        ((300, 290, THIN), (0, 1, 2)),
        ((40, 1, 1), (0, 1, 2)),
        ((256, 256, 160), (0, 1, 2)),
    ],
)
def test_a_thin_axis_comes_into_the_middle(shape, axes):
    assert AxisOrder.of(shape).axes == axes


def test_what_is_exchanged_stays_where_it_is_in_the_world():
    layout, grid = AxisOrder((0, 2, 1)), Grid((6, 5, 3), AFFINE)
    volume = smooth_volume(grid.shape, 1)
    other = layout.volume(volume)
    assert other.flags.c_contiguous
    i, j, k = 4, 1, 2
    assert other[i, k, j] == volume[i, j, k]
    np.testing.assert_allclose(layout.grid(grid).affine @ [i, k, j, 1], grid.affine @ [i, j, k, 1])
    assert layout.grid(layout.grid(grid)) == grid
    np.testing.assert_array_equal(layout.volume(other), volume)


def test_a_spread_stays_where_it_is_in_the_world():
    layout, grid = AxisOrder((0, 2, 1)), Grid((6, 5, 3), AFFINE)
    seen = Image(smooth_volume((6, 3, 5), 1), layout.grid(grid), "uncertainty")
    spread = Spread(seen, runs=2, median=0.5, p95=0.9, largest=1.0, noise=(0.0, 0.0), start=1.0)
    found = layout.spread(spread, grid)
    assert found.image.grid is grid and found.median == 0.5
    np.testing.assert_array_equal(found.image.data, seen.data.transpose(0, 2, 1))


def scans(shape, seed):
    """A textured block in a background, and the same bent, with a mask: on one grid."""
    inner = tuple(slice(3, -3) if n > 8 else slice(None) for n in shape)
    volumes = []
    for add in (0, 1):
        texture = smooth_volume(shape, seed) + 0.3 * add * smooth_field(shape, seed + 1)[0]
        volumes.append(np.zeros(shape, np.float32))
        volumes[-1][inner] = 1 + texture[inner]
    mask = np.zeros(shape, np.uint8)
    mask[inner] = 1
    return [Image(volume, Grid(shape, AFFINE)) for volume in (*volumes, mask)]


@pytest.mark.parametrize("thickness", [1, 5])
def test_the_order_of_axes_does_not_matter_to_the_last_bit(thickness):
    """A section, or a few, along the last axis, and the same arrays with that axis in the middle."""
    fast, swap = select("numba", threads=1), AxisOrder((0, 2, 1))
    given = scans((44, 40, thickness), 3)
    turned = [Image(swap.volume(image.data), swap.grid(image.grid)) for image in given]
    seen = []
    first, second = (
        align(*images[:2], RECIPE, backend=fast, fixed_mask=images[2], moving_mask=images[2], progress=hear)
        for images, hear in (
            (given, lambda p: seen.append(p.images and [image.shape for image in p.images()])),
            (turned, None),
        )
    )
    assert first.fixed is given[0]
    assert first.warp.grid is given[0].grid
    np.testing.assert_array_equal(first.affine.matrix, second.affine.matrix)
    assert first.warp.field.any()
    np.testing.assert_array_equal(first.warp.field, swap.volume(second.warp.field))
    np.testing.assert_array_equal(first.warp.inverse_field, swap.volume(second.warp.inverse_field))
    assert [swap.shape(level.shape) for level in second.levels] == [level.shape for level in first.levels]
    assert seen[-1] == [first.levels[-1].shape] * 2


def test_half_maps_are_on_the_grid_as_given():
    fixed, moving, _ = scans((36, 40, 1), 5)
    result, halves = align_with_half_maps(fixed, moving, RECIPE, backend=select("numba", threads=1))
    assert [half.grid is fixed.grid for half in halves] == [True, True]
    points = fixed.grid.affine[:3, :3] @ [[18.0], [20.0], [0.0]] + fixed.grid.affine[:3, 3:]
    to_fixed, to_moving = halves
    there = to_moving.map_points(to_fixed.inverse().map_points(points.T))
    np.testing.assert_allclose(result.warp.map_points(points.T), there, atol=0.05)


def test_what_is_made_of_a_shared_image_is_kept():
    backend = select("numba", threads=1)
    section, _, mask = scans((36, 40, 1), 5)
    layout = AxisOrder.of(section.grid.shape)
    assert layout.image(section, backend) is not layout.image(section, backend)
    backend.cache.share(section)
    shared = layout.image(section, backend)
    assert layout.image(section, backend) is shared
    assert backend.cache.is_shared(shared)
    assert layout.mask(mask, section, backend) is layout.mask(mask, section, backend)
