"""Rigid maps to a middle that prefers no time point."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from made_time_points import placed, time_point
from warpline.images import Image
from warpline.longitudinal.rigid_middle import RigidPair, as_rigid, centre_of, distance, find_middle, halfway
from warpline.space.grid import Grid

GRID = Grid((12, 14, 10), np.diag([2.0, 2.0, 2.0, 1.0]))


def rigid(seed, angle=8.0):
    rng, matrix = np.random.default_rng(seed), np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", rng.uniform(-angle, angle, 3), degrees=True).as_matrix()
    matrix[:3, 3] = rng.uniform(-5, 5, 3)
    return matrix


def objects(count):
    rng = np.random.default_rng(0)
    return [Image(rng.random(GRID.shape), GRID, f"{number}") for number in range(count)]


def pairs_of(places, error=0.0):
    """The true map of every pair, with an error of so many degrees and mm."""
    return [
        RigidPair((i, j), as_rigid(places[j] @ np.linalg.inv(places[i]) @ error_of(i + 10 * j, error)), 0.0)
        for j in range(len(places))
        for i in range(j)
    ]


def error_of(seed, size):
    drawn, matrix = np.random.default_rng(seed).normal(0, 1, 6) * size, np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", drawn[:3], degrees=True).as_matrix()
    matrix[:3, 3] = drawn[3:]
    return matrix


def test_halfway_of_inverses_is_the_inverse():
    first, second = rigid(1), rigid(2)
    there = halfway(first, second)
    back = halfway(np.linalg.inv(first), np.linalg.inv(second))
    np.testing.assert_allclose(there @ back, np.eye(4), atol=1e-12)
    np.testing.assert_allclose(halfway(second, first), there, atol=1e-12)
    np.testing.assert_allclose(halfway(np.eye(4), placed(10, (0, 0))), placed(5, (0, 0)), atol=1e-12)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_maps_of_pairs_are_those_through_the_middle(count):
    places = [rigid(seed) for seed in range(count)]
    found = find_middle(pairs_of(places), objects(count))
    for pair in found.pairs:
        first, second = (found.affines[number].matrix for number in pair.numbers)
        np.testing.assert_allclose(second @ np.linalg.inv(first), pair.matrix, atol=1e-10)
    assert found.inconsistency < 1e-9


def test_the_middle_prefers_none():
    images = objects(3)
    found = find_middle(pairs_of([rigid(seed) for seed in range(3)]), images)
    turns = Rotation.from_matrix([affine.matrix[:3, :3] for affine in found.affines])
    np.testing.assert_allclose(turns.mean().as_rotvec(), 0, atol=1e-12)
    reached = np.mean([affine.map_points(found.centre) for affine in found.affines], axis=0)
    np.testing.assert_allclose(reached, np.mean([centre_of(image) for image in images], axis=0), atol=1e-10)


def test_errors_of_pairs_are_evened_out():
    places = [rigid(seed) for seed in range(5)]
    found = find_middle(pairs_of(places, 0.3), objects(5))
    centre = centre_of(objects(1)[0])
    true = [places[j] @ np.linalg.inv(places[i]) for i, j in (pair.numbers for pair in found.pairs)]
    through = [
        found.affines[j].matrix @ found.affines[i].inverse().matrix for i, j in (pair.numbers for pair in found.pairs)
    ]
    before = np.mean([distance(pair.matrix, one, centre) for pair, one in zip(found.pairs, true, strict=True)])
    after = np.mean([distance(one, other, centre) for one, other in zip(through, true, strict=True)])
    assert after < 0.8 * before
    assert found.inconsistency > 0


def test_distance_is_that_of_points_of_a_ball():
    rng = np.random.default_rng(0)
    ball = rng.normal(size=(200_000, 3))
    ball *= 80 * rng.random((len(ball), 1)) ** (1 / 3) / np.linalg.norm(ball, axis=1, keepdims=True)
    first, second = rigid(1), rigid(2)
    apart = (ball + 5) @ (first - second)[:3, :3].T + (first - second)[:3, 3]
    measured = np.sqrt(np.square(apart).sum(axis=1).mean())
    assert distance(first, second, np.full(3, 5.0)) == pytest.approx(measured, rel=5e-3)


def test_an_object_has_its_centre():
    x, y, _ = centre_of(time_point(0.0, 0.0, (2.0, -1.0), noise=0.0))
    assert (x, y) == pytest.approx((2.0, -1.0), abs=0.2)
