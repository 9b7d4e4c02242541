"""Registration does not care about the unit of a header."""

from __future__ import annotations

import numpy as np
import pytest

from made_heads import lattice, scan
from warpline.backends import select
from warpline.images import Image
from warpline.images.intensity import normalise
from warpline.recipe import Linear, Recipe
from warpline.registration.alignment import align
from warpline.registration.length_unit import HEAD_RADII, HEAD_RADIUS, LengthUnit, object_length
from warpline.space import Affine
from warpline.space.grid import Grid

QUICK = Recipe(linear=Linear(iterations=(60, 40, 20), samples=60_000, refinements=5), syn=None)
TURN = np.array([[0.96, -0.28, 0, 4], [0.28, 0.96, 0, -6], [0, 0, 1.06, 3], [0, 0, 0, 1]], float)


@pytest.fixture(scope="module")
def fast():
    return select(None, threads=1)


def rescaled(image, factor):
    """The image with a header in another unit."""
    return Image(image.data, Grid(image.grid.shape, np.diag([factor] * 3 + [1]) @ image.grid.affine), image.name)


def found(factor, fast):
    """The affine of a pair of heads in a unit, taken back to mm."""
    pair = scan(lattice(size=4.0, shape=(34, 42, 30))), scan(lattice(size=4.0, shape=(34, 42, 30)), np.linalg.inv(TURN))
    affine = align(*(rescaled(image, factor) for image in pair), QUICK, backend=fast).affine.matrix.copy()
    affine[:3, 3] /= factor
    return affine


def test_a_scaled_header_gives_the_same_map_in_voxels(fast):
    plain = found(1.0, fast)
    small = found(0.001, fast)
    np.testing.assert_allclose(plain, TURN, atol=0.3)
    np.testing.assert_array_equal(found(0.001 * 2**5, fast), small)
    for other in (small, found(1000.0, fast)):
        np.testing.assert_allclose(other[:3, :3], plain[:3, :3], atol=5e-3)
        np.testing.assert_allclose(other[:3, 3], plain[:3, 3], atol=0.1)


def test_sizes_that_are_given_are_in_mm(fast):
    shapes = []
    for sizes, factor in (((16.0, 8.0), 1.0), ((0.5, 0.25), 1 / 32)):
        quick = Recipe(linear=Linear(stages=("rigid",), voxel_sizes=sizes, iterations=(1, 1), samples=1000), syn=None)
        image = rescaled(scan(lattice(size=4.0, shape=(34, 42, 30))), factor)
        shapes.append([level.shape for level in align(image, image, quick, backend=fast).levels])
    assert shapes[0] == shapes[1]
    assert shapes[0][0] != shapes[0][-1]


def test_the_thickness_of_a_slice_is_no_length_of_its_object(fast):
    grid = Grid((40, 50, 1), np.diag([0.002, 0.002, 1.0, 1.0]))
    data = np.zeros(grid.shape, np.float32)
    data[10:30, 5:45] = np.random.default_rng(0).uniform(1, 2, (20, 40, 1))
    assert object_length(normalise(Image(data, grid), fast)) == pytest.approx(0.08)


@pytest.mark.parametrize("millimetres", [75, 128, 45, 30])
def test_the_unit_of_a_head_is_the_millimetre(millimetres, fast):
    assert of_radius(millimetres, fast).mm == 1


@pytest.mark.parametrize("radius", [0.003, 5.0, 27.0, 170.0, 600.0, 75e3])
def test_other_objects_become_about_as_large_as_a_head(radius, fast):
    unit = of_radius(radius, fast)
    assert np.log2(unit.mm) == round(np.log2(unit.mm)) != 0
    assert HEAD_RADIUS / 2**0.51 < radius / unit.mm < HEAD_RADIUS * 2**0.51
    assert HEAD_RADII[0] < radius / unit.mm < HEAD_RADII[1]


def of_radius(radius, fast):
    """The unit of a cube; a slice of it would have the same."""
    data = np.zeros((30, 30, 30), np.float32)
    data[5:25, 5:25, 5:25] = np.arange(1, 401).reshape(20, 20)
    size = radius / np.sqrt(3 * 20**2 / 12)
    return LengthUnit.of(normalise(Image.from_array(data, np.diag([size] * 3 + [1])), fast))


def test_maps_go_in_and_out_without_loss():
    unit = LengthUnit(2.0**-5)
    inside = unit.from_mm(Affine(TURN))
    np.testing.assert_array_equal(inside.matrix[:3, 3], TURN[:3, 3] * 32)
    np.testing.assert_array_equal(unit.to_mm(inside).matrix, TURN)
