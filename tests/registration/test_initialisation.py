"""Starts of linear registration: what each method joins, and the search over rotations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from made_heads import error, lattice, scan, world_of
from warpline.backends import select
from warpline.images import Image
from warpline.images.intensity import normalise
from warpline.recipe import Initialise, Linear
from warpline.registration import initialisation, linear, translation_search
from warpline.space.grid import Grid


@pytest.fixture(scope="module")
def fast():
    return select(None, threads=1)


def initial_affine(fixed, moving, options, *, backend, fixed_mask=None, moving_mask=None):
    """Of images, which are normalised first."""
    still, moved = normalise(fixed, backend, fixed_mask), normalise(moving, backend, moving_mask)
    return initialisation.initial_affine(still, moved, options, backend=backend)


def turned(vector, shift=(25.0, -15.0, 10.0)):
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(vector).as_matrix()
    matrix[:3, 3] = shift
    return matrix


def blob(grid, centre):
    distance = np.square(world_of(grid) - centre).sum(axis=-1)
    return Image(np.exp(-distance / (2 * 12.0**2)).astype(np.float32) + 3, grid)


GRIDS = (lattice(shift=(5, 0, -3)), lattice(size=2.5, shape=(50, 60, 48), shift=(-20, 12, 8)))


@pytest.mark.parametrize(("method", "expected"), [
    ("mass", (-9.0, 14.0, -2.0)),
    ("centre", GRIDS[1].centre - GRIDS[0].centre),
    ("origin", GRIDS[1].affine[:3, 3] - GRIDS[0].affine[:3, 3]),
    ("identity", (0.0, 0.0, 0.0)),
])  # fmt: skip
def test_methods_join_what_they_say(method, expected, backend):
    images = blob(GRIDS[0], (4.0, -6.0, 2.0)), blob(GRIDS[1], (-5.0, 8.0, 0.0))
    found = initial_affine(*images, Initialise(method=method, rotations=False), backend=backend)
    np.testing.assert_array_equal(found.matrix[:3, :3], np.eye(3))
    np.testing.assert_allclose(found.matrix[:3, 3], expected, atol=0.5 if method == "mass" else 1e-9)


def test_centres_of_mass_lie_within_the_masks(fast):
    grid = lattice()
    world = world_of(grid)
    both = Image(blob(grid, (-30.0, 0, 0)).data + blob(grid, (30.0, 0, 0)).data, grid)
    left = Image((world[..., 0] < 0).astype(np.uint8), grid, "mask")
    right = Image((world[..., 0] > 0).astype(np.uint8), grid, "mask")
    found = initial_affine(both, both, Initialise(rotations=False), backend=fast, fixed_mask=left, moving_mask=right)
    np.testing.assert_allclose(found.matrix[:3, 3], (60, 0, 0), atol=2.0)


@pytest.mark.parametrize("vector", [(0.1, 0.05, -0.1), (0.9, 0, 0), (0, 0, np.pi / 2), (0.8, -1.2, 0.4), (0, np.pi, 0)])
def test_large_rotations_are_recovered(vector, fast):
    truth = turned(vector)
    moving_grid = lattice(size=3.5, shape=(48, 48, 48), shift=(25, -15, 10))
    fixed, moving = scan(lattice()), scan(moving_grid, np.linalg.inv(truth))
    start = initial_affine(fixed, moving, Initialise(), backend=fast)
    options = Linear(stages=("rigid",), voxel_sizes=(8.0, 4.0), iterations=(40, 30), samples=8000)
    still, moved = normalise(fixed, fast), normalise(moving, fast)
    assert error(linear.register_linear(still, moved, start, options, backend=fast).affine, truth) < 0.5


def test_a_good_start_is_left_as_it_is(fast):
    fixed, moving = scan(lattice()), scan(lattice(), np.linalg.inv(turned((0.1, 0.05, -0.1))))
    plain = initial_affine(fixed, moving, Initialise(rotations=False), backend=fast)
    np.testing.assert_array_equal(initial_affine(fixed, moving, Initialise(), backend=fast).matrix, plain.matrix)


def test_the_search_is_worth_its_time(fast):
    truth = turned((0, 0, np.pi / 2))
    fixed, moving = scan(lattice()), scan(lattice(shape=(54, 54, 38), shift=(25, -15, 10)), np.linalg.inv(truth))
    with_search, without = (
        error(initial_affine(fixed, moving, Initialise(rotations=search), backend=fast), truth)
        for search in (True, False)
    )
    assert with_search < 5 < 30 < without


def test_slices_turn_within_their_plane(fast):
    affine = np.diag([2.5, 2.5, 2.5, 1.0])
    affine[:3, 3] = (-80, -80, 0)
    grid = Grid((65, 65, 1), affine)
    truth = turned((0, 0, 2.0), shift=(4, -6, 0))
    found = initial_affine(scan(grid), scan(grid, np.linalg.inv(truth)), Initialise(), backend=fast)
    np.testing.assert_allclose(found.matrix[2], (0, 0, 1, 0), atol=1e-9)
    points = world_of(grid)[20:45, 20:45, 0]
    assert np.linalg.norm(found.map_points(points) - (points @ truth[:3, :3].T + truth[:3, 3]), axis=-1).mean() < 4


def slice_of(image, first, last):
    """Rows of a slice, where they were."""
    part = image.grid.cropped((first, 0, 0), (last, image.grid.shape[1], 1))
    return Image(image.data[first:last].copy(), part)


SLICE = Grid((65, 65, 1), np.array([[2.5, 0, 0, -80], [0, 2.5, 0, -80], [0, 0, 2.5, 0], [0, 0, 0, 1.0]]))


@pytest.mark.parametrize(("size", "first", "last"), [(1.0, 38, 65), (0.5, 0, 65), (2.0, 0, 65)])
def test_a_search_finds_parts_and_other_sizes(size, first, last, fast):
    truth = turned((0, 0, 2.6), shift=(140, -60, 0))
    truth[:3, :3] *= size
    part = slice_of(scan(SLICE), first, last)
    images = (
        normalise(scan(SLICE), fast),
        normalise(Image(part.data, Grid(part.grid.shape, truth @ part.grid.affine)), fast),
    )
    found = initialisation.searched_starts(*images, 4, backend=fast)
    points = world_of(part.grid)[8:-8, 20:45, 0]
    expected = points @ truth[:3, :3].T + truth[:3, 3]
    assert min(np.linalg.norm(one.map_points(points) - expected, axis=-1).mean() for one in found) < 5 * size


@pytest.mark.parametrize("factor", [0.001, 100.0, 1000.0])
def test_a_unit_error_is_searched_for_in_volumes(factor, fast, monkeypatch):
    truth = turned((0, 0, 0.5))
    truth[:3] *= factor
    monkeypatch.setattr(initialisation, "even_rotations", lambda: truth[None, :3, :3] / factor)
    grid = lattice(size=5.0, shape=(28, 34, 24))
    images = scan(grid), Image(scan(grid).data, Grid(grid.shape, truth @ grid.affine))
    (found,) = initialisation.searched_starts(*(normalise(image, fast) for image in images), 1, backend=fast)
    assert error(found, truth) < 8 * factor


def test_the_search_takes_a_bounded_number_of_voxels(fast, monkeypatch):
    shapes = []

    def record(fixed, moving, rotations, plane):
        shapes.append(translation_search.search_shape(fixed, moving, plane))
        return translation_search.best_translations(fixed, moving, rotations, plane)

    monkeypatch.setattr(initialisation, "best_translations", record)
    images = normalise(scan(SLICE), fast), normalise(scan(SLICE), fast)
    initialisation.searched_starts(*images, 1, backend=fast)
    monkeypatch.setattr(initialisation, "MOST_VOXELS", np.prod(shapes[0]) // 2)
    initialisation.searched_starts(*images, 1, backend=fast)
    assert np.prod(shapes[1]) < 0.6 * np.prod(shapes[0])


def test_a_slice_beside_a_volume_is_not_searched_for(fast):
    images = normalise(scan(SLICE), fast), normalise(scan(lattice()), fast)
    assert initialisation.searched_starts(*images, 4, backend=fast) == []
