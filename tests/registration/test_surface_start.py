"""Iterative closest points: maps that are found, and surfaces that leave them open."""

from __future__ import annotations

import numpy as np
import pytest

from warpline.errors import InputError
from warpline.registration.point_fits import FITS
from warpline.registration.surface_start import start_from_surfaces
from warpline.registration.surfaces import JoinedPoints, LoadedSurfaces
from warpline.space import Affine
from warpline.space.grid import Grid

GRID, FLAT = Grid((8, 8, 8), np.eye(4)), Grid((8, 8, 1), np.eye(4), flat=True)


def bean(count, seed):
    """Points (count, 3) of a bent ellipsoid, without any symmetry."""
    ways = np.random.default_rng(seed).normal(size=(count, 3))
    x, y, z = (ways / np.linalg.norm(ways, axis=1, keepdims=True) * [30, 20, 12]).T
    return np.column_stack([x, y + x**2 / 60, z + x * y / 80])


def moved(points, angle, stretch=(1.0, 1.0, 1.0), shift=(4.0, -3.0, 2.0)):
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    return (points * stretch) @ turn.T + shift


def ring_of(count):
    """Segments that join points to a ring."""
    first = np.arange(count)
    return np.column_stack([first, np.roll(first, -1), np.roll(first, -1)])


@pytest.mark.parametrize(
    ("model", "stretch"), [("rigid", (1, 1, 1)), ("similarity", (1.1, 1.1, 1.1)), ("affine", (1.1, 0.95, 1.05))]
)
def test_other_samples_of_a_moved_surface_are_found(model, stretch):
    pair = LoadedSurfaces(JoinedPoints(bean(3000, 1)), JoinedPoints(moved(bean(2500, 2), 0.3, stretch)))
    found = start_from_surfaces([pair], Affine.identity(), model, GRID)
    true = moved(bean(100, 3), 0.3, stretch)
    assert np.linalg.norm(found.map_points(bean(100, 3)) - true, axis=1).mean() < 1


def test_what_only_one_image_shows_does_not_drag():
    tail = np.column_stack([np.linspace(30, 70, 300), np.full((300, 2), 15.0)])
    pair = LoadedSurfaces(JoinedPoints(np.vstack([bean(2000, 1), tail])), JoinedPoints(moved(bean(2000, 2), 0.1)))
    found = start_from_surfaces([pair], Affine.identity(), "rigid", GRID)
    true = moved(bean(100, 3), 0.1)
    assert np.linalg.norm(found.map_points(bean(100, 3)) - true, axis=1).mean() < 0.5


def test_curves_of_flat_images_stay_in_their_plane():
    angle = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    curve = np.column_stack([20 * np.cos(angle) + 3 * np.cos(3 * angle), 9 * np.sin(angle), np.zeros(200)])
    other = moved(curve[::3], 0.2, shift=(2, 1, 0))
    pair = LoadedSurfaces(*(JoinedPoints(points, ring_of(len(points))) for points in (curve, other)))
    found = start_from_surfaces([pair], Affine.identity(), "rigid", FLAT)
    np.testing.assert_array_equal(found.matrix[2], [0, 0, 1, 0])
    np.testing.assert_allclose(found.matrix[:2, 3], [2, 1], atol=0.2)


@pytest.mark.parametrize("model", FITS)
def test_surfaces_in_a_line_are_refused(model):
    line = np.arange(30.0).reshape(10, 3) * [1, 0, 0]
    with pytest.raises(InputError, match=rf"moving surfaces lie in a line.*initialise\.surfaces={model}"):
        start_from_surfaces(
            [LoadedSurfaces(JoinedPoints(bean(50, 1)), JoinedPoints(line))], Affine.identity(), model, GRID
        )


def test_pairs_count_by_their_weight_not_by_their_points():
    """Of two pairs that ask for opposite shifts, the one of little weight has eight times as many points."""
    few, many = (lattice(count) for count in (64, 512))
    pairs = [
        LoadedSurfaces(JoinedPoints(few), JoinedPoints(few + [0.2, 0, 0]), weight=0.9),
        LoadedSurfaces(JoinedPoints(many), JoinedPoints(many - [0.2, 0, 0]), weight=0.1),
    ]
    found = start_from_surfaces(pairs, Affine.identity(), "rigid", GRID)
    assert found.matrix[0, 3] == pytest.approx(0.9 * 0.2 - 0.1 * 0.2, abs=0.01)


def lattice(count):
    """Points far enough apart that a small shift does not change which is nearest."""
    side = round(count ** (1 / 3))
    return (np.indices((side, side, side)).reshape(3, -1).T - (side - 1) / 2) * [3.0, 3.3, 3.6]


def test_what_is_out_of_reach_does_not_start_either():
    good = LoadedSurfaces(JoinedPoints(bean(900, 1)), JoinedPoints(moved(bean(900, 2), 0.1)))
    far = LoadedSurfaces(JoinedPoints(bean(900, 1)), JoinedPoints(bean(900, 2) + [60, 0, 0]), weight=0.01, reach=3.0)
    found = start_from_surfaces([good, far], Affine.identity(), "rigid", GRID)
    alone = start_from_surfaces([good], Affine.identity(), "rigid", GRID)
    points = bean(100, 3)
    assert np.linalg.norm(found.map_points(points) - alone.map_points(points), axis=1).mean() < 0.3


def test_a_reach_that_nothing_is_within_leaves_the_start():
    points = lattice(216)
    sides = JoinedPoints(points), JoinedPoints(points * [1, 1, 1.2] + [0.5, 0, 0])
    starts = [
        start_from_surfaces([LoadedSurfaces(*sides, reach=reach)], Affine.identity(), "rigid", GRID)
        for reach in (None, 1e-9)
    ]
    np.testing.assert_array_equal(starts[0].matrix, starts[1].matrix)
