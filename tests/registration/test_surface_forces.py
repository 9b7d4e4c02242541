"""Forces on surfaces: what is matched, what pulls, and that surfaces come together without folds."""

from __future__ import annotations

import numpy as np
import pytest

from made_registrations import QUICK, made_pair
from synthetic import fading_field
from warpline.errors import UsageError
from warpline.recipe import Recipe
from warpline.registration import SurfacePair, register
from warpline.registration.surface_forces import REMATCH_EVERY, SurfaceForces
from warpline.registration.surfaces import JoinedPoints, LoadedSurfaces
from warpline.space.grid import Grid

SHAPE = (14, 13, 12)
GRID = Grid(SHAPE, np.diag([2.0, 2.0, 2.0, 1.0]))
SQUARE = np.array([[3.0, 3, 6], [9, 3, 6], [9, 9, 6], [3, 9, 6]])
TRIANGLES = np.array([[0, 1, 2], [0, 2, 3]])


def plane(spacing, height):
    """Points of a square in voxels, all at one height."""
    steps = np.arange(3.0, 9.01, spacing)
    x, y = (axis.ravel() for axis in np.meshgrid(steps, steps))
    return np.column_stack([x, y, np.full(x.size, height)])


def surface_forces(backend, fixed, moving, half_maps=None, **options):
    """The forces between surfaces in voxels, of a unit for a miss of one, and the half-maps."""
    maps = backend.upload(np.zeros((2, 3, *SHAPE), np.float32) if half_maps is None else half_maps)
    sides = (JoinedPoints(2 * np.asarray(one[0]), one[1]) for one in (fixed, moving))
    forces = SurfaceForces(LoadedSurfaces(*sides, **options), GRID, backend, weight=1.0)
    forces.follow(maps)
    forces.scale(1.0, 1.0)
    return forces, maps


def forces_of(forces, maps, backend):
    """Those on both half-maps, on the host."""
    field = backend.zeros((2, 3, *SHAPE))
    forces.add(maps, field)
    return backend.download(field)


def test_unlike_samples_of_planes_pull_straight(backend):
    forces, maps = surface_forces(backend, (plane(0.5, 5.0), None), (SQUARE, TRIANGLES))
    field = forces_of(forces, maps, backend)
    total = field.sum(axis=(2, 3, 4))
    assert total[0, 2] < -10 and np.abs(total[0, :2]).max() < 1e-3 * abs(total[0, 2])
    np.testing.assert_allclose(total[1], -total[0], atol=1e-4)
    assert forces.distance() == pytest.approx(2.0, rel=1e-3) and forces.energy() == pytest.approx(0.25, rel=1e-3)


def test_dense_samples_do_not_pull_harder(backend):
    totals = []
    for spacing in (1.0, 0.25):
        forces, maps = surface_forces(backend, (plane(spacing, 5.0), None), (SQUARE, TRIANGLES))
        totals.append(forces_of(forces, maps, backend).sum(axis=(2, 3, 4))[0, 2])
    assert totals[1] == pytest.approx(totals[0], rel=0.1)


def test_the_unit_is_that_of_all_points_together(backend):
    forces, _ = surface_forces(backend, (plane(1.0, 5.0), None), (plane(1.0, 6.0), None))
    field = backend.zeros((2, 3, *SHAPE))
    forces.add_unit(field)
    np.testing.assert_allclose(backend.download(field)[0].sum(axis=(1, 2, 3)), [98, 0, 0], rtol=1e-5)


def test_points_follow_the_half_maps(backend):
    """A surface that both half-maps lead to from one place in the middle is matched there, and has no force."""
    half_maps = np.stack([fading_field(SHAPE, 1), fading_field(SHAPE, 2)])
    middle = plane(1.0, 6.0).astype(int)
    fixed, moving = (middle + half[(slice(None), *middle.T)].T for half in half_maps)
    forces, maps = surface_forces(backend, (fixed, None), (moving[::-1], None), half_maps)
    forces_of(forces, maps, backend)
    assert forces.distance() < 1e-3


def test_what_is_out_of_reach_does_not_pull(backend):
    far = np.vstack([plane(1.0, 6.0), [[6, 6, 11.0]]])
    forces, maps = surface_forces(backend, (plane(1.0, 6.0), None), (far, None), reach=4.0)
    assert np.abs(forces_of(forces, maps, backend)).max() < 1e-5
    assert forces.energy() == pytest.approx(1 / 99, rel=1e-5)  # the limit, 2 voxels, is a miss of one
    nothing, maps = surface_forces(backend, (plane(1.0, 4.0), None), (plane(1.0, 8.0), None), reach=1.0)
    assert np.abs(forces_of(nothing, maps, backend)).max() == 0 and nothing.distance() == 0


@pytest.mark.parametrize("triangles", [None, TRIANGLES])
def test_points_outside_the_level_are_not_matched(triangles, numpy_backend):
    """Neither pulled nor pulled to: those beyond the last slice at 11, of a scalp say."""
    shifted = (plane(1.0, 18.0) + [1.0, 0, 0], None) if triangles is None else (SQUARE + [1, 0, 12.0], triangles)
    nothing, maps = surface_forces(numpy_backend, (plane(1.0, 18.0), None), shifted)
    assert np.abs(forces_of(nothing, maps, numpy_backend)).max() == 0
    assert nothing.distance() == 0 and nothing.energy() == 0
    both = np.vstack([plane(1.0, 6.0), plane(1.0, 13.0) + [2, 0, 0]])
    forces, maps = surface_forces(numpy_backend, (both, None), (plane(1.0, 7.0), None))
    forces_of(forces, maps, numpy_backend)
    assert forces.distance() == pytest.approx(2.0, rel=1e-3)


def test_points_are_matched_again_after_some_iterations(numpy_backend):
    forces, maps = surface_forces(numpy_backend, (plane(1.0, 6.0), None), (plane(1.0, 7.0), None))
    maps[0, 0] += 2.0  # the fixed surface is found two voxels aside: other points are nearest, some are beyond the edge
    for _ in range(REMATCH_EVERY):
        forces_of(forces, maps, numpy_backend)
    held = forces.distance()
    forces_of(forces, maps, numpy_backend)
    assert held == pytest.approx(2 * np.sqrt(5), rel=1e-3) and forces.distance() < 0.8 * held


def test_surfaces_end_closer_than_without_the_pull():
    fixed, moving = made_pair()
    ways = np.random.default_rng(0).normal(size=(700, 3))
    ball = fixed.grid.centre + 9 * ways / np.linalg.norm(ways, axis=1, keepdims=True)
    there = register(fixed, moving, QUICK).transform.map_points(ball[300:]) + [1.5, 0, 0]
    ends = {}
    for weight in (0, 2):
        recipe = QUICK.with_options(f"syn.surface_weight={weight}", "initialise.surfaces=off")
        found = register(fixed, moving, recipe, surfaces=[SurfacePair(ball[:300], there)])
        (told,) = found.report["surfaces"]["pairs"]
        ends[weight] = told["result"]["mean"]
        assert found.report["quality"]["folded_voxels"] == 0 and told["points"] == [300, 400]
    assert found.report["surfaces"]["model"] is None and ends[2] < 0.9 * ends[0]


def test_a_negative_weight_is_refused():
    with pytest.raises(UsageError, match=r"syn\.surface_weight"):
        Recipe.load("syn").with_options("syn.surface_weight=-1")
