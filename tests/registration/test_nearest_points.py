"""Nearest points of sets, lines and triangles, against a search over all of them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import Delaunay

from warpline.registration.nearest_points import NearestPoints, far_beyond, places_both_ways

RANDOM = np.random.default_rng(3)
PLACES = RANDOM.normal(0, 3, (40, 3))


def wavy_sheet(side=9):
    """A surface over a square: points (N, 3) and triangles (M, 3)."""
    plane = np.stack(np.meshgrid(*[np.linspace(-3, 3, side)] * 2, indexing="ij"), axis=-1).reshape(-1, 2)
    plane += RANDOM.uniform(-0.15, 0.15, plane.shape)
    return np.column_stack([plane, np.sin(plane[:, 0])]), Delaunay(plane).simplices.astype(np.int64)


def sampled(points, triangles, count=20):
    """Many points of all triangles (M, K, 3)."""
    first, second = np.meshgrid(*[np.linspace(0, 1, count)] * 2)
    shares = np.stack([first, second, 1 - first - second], axis=-1)[first + second <= 1 + 1e-9]
    return np.einsum("kc,mcx->mkx", shares, points[triangles])


def test_of_points_alone_the_nearest_is_found():
    points = RANDOM.normal(0, 3, (50, 3))
    found = NearestPoints(points).find(PLACES)
    distances = np.linalg.norm(PLACES[:, None] - points, axis=2)
    np.testing.assert_array_equal(found.corners[:, 0], distances.argmin(axis=1))
    np.testing.assert_allclose(found.distances, distances.min(axis=1))
    np.testing.assert_array_equal(found.places(points), points[distances.argmin(axis=1)])


def test_on_triangles_none_is_nearer():
    points, triangles = wavy_sheet()
    found = NearestPoints(points, triangles).find(PLACES)
    np.testing.assert_allclose(np.linalg.norm(found.places(points) - PLACES, axis=1), found.distances)
    np.testing.assert_allclose(found.shares.sum(axis=1), 1)
    assert (found.shares >= -1e-12).all()
    least = np.linalg.norm(PLACES[:, None] - sampled(points, triangles).reshape(1, -1, 3), axis=2).min(axis=1)
    assert (found.distances <= least + 1e-9).all() and (found.distances > least - 0.04).all()


def test_places_move_with_the_corners_of_their_triangle():
    points, triangles = wavy_sheet()
    found = NearestPoints(points, triangles).find(PLACES)
    np.testing.assert_allclose(found.places(points + [1, 2, 3]), found.places(points) + [1, 2, 3])


def test_lines_are_triangles_without_width():
    line = np.array([[0.0, 0, 0], [4, 0, 0], [4, 4, 0]])
    found = NearestPoints(line, np.array([[0, 1, 1], [1, 2, 2]])).find(np.array([[1.0, 2, 0], [6, 1, 0], [-3, -4, 0]]))
    np.testing.assert_allclose(found.places(line), [[1, 0, 0], [4, 1, 0], [0, 0, 0]], atol=1e-12)
    np.testing.assert_allclose(found.distances, [2, 2, 5])


def test_a_point_that_nothing_joins_does_not_count():
    points = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [9, 9, 9]])
    found = NearestPoints(points, np.array([[0, 1, 2]])).find(np.array([[9.0, 9, 9]]))
    assert found.corners[0].tolist() == [0, 1, 2] and found.distances[0] > 9


@pytest.mark.parametrize("triangles", [None, np.array([[0, 1, 2], [1, 2, 3]])])
def test_points_that_do_not_count_are_not_found(triangles):
    points = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [9, 9, 9]])
    found = NearestPoints(points, triangles, np.array([True, True, True, False])).find(np.array([[9.0, 9, 9]]))
    assert found.distances[0] > 9 and not (found.corners == 3).any()
    assert NearestPoints(points, triangles, np.zeros(4, bool)).is_empty


def test_matches_both_ways_are_places_on_both_sides():
    here, there = np.array([[0.0, 0, 0], [5, 0, 0]]), np.array([[0.0, 1, 0], [5, 2, 0], [9, 9, 9]])
    asked = np.array([1]), np.array([0, 1])
    matches = NearestPoints(there).find(here[asked[0]]), NearestPoints(here).find(there[asked[1]])
    first, second = places_both_ways((here, there), asked, matches)
    np.testing.assert_array_equal(first, here[[1, 0, 1]])
    np.testing.assert_array_equal(second, there[[1, 0, 1]])


def test_only_what_is_far_beyond_the_others_is_too_far():
    distances = np.abs(np.random.default_rng(0).normal(2, 0.5, 1000))
    assert 3.5 < far_beyond(distances, 0.1) < 4.5
    assert far_beyond(np.full(10, 3.0), 0.1) == 3.0 and far_beyond(distances, 7.0) == 7.0
