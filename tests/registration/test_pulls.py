"""What pulls at a level, and what it is worth beside the images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from warpline.recipe import Recipe
from warpline.registration.cropping import Channel, CroppedPair
from warpline.registration.landmark_forces import LandmarkForces
from warpline.registration.pulls import LEAST_OF_APART, PullScale, outside_notes, pulls_of
from warpline.registration.surface_forces import SurfaceForces
from warpline.registration.surfaces import JoinedPoints, LoadedSurfaces
from warpline.space.grid import Grid

GRID = Grid((8, 8, 8), np.eye(4))
EMPTY = np.zeros(GRID.shape, np.float32)
PAIR = CroppedPair((Channel(EMPTY, EMPTY, GRID, GRID),), np.eye(4), EMPTY)
SURFACE = JoinedPoints(np.array([[3.0, 3, 3], [4, 3, 3]]))


def kinds(pair, backend, *options):
    return [type(pull) for pull in pulls_of(pair, GRID, Recipe.load("syn").with_options(*options).syn, backend)]


def test_landmarks_and_every_pair_of_surfaces_pull(numpy_backend):
    assert kinds(PAIR, numpy_backend) == []
    pair = replace(PAIR, landmarks=np.ones((2, 1, 3)), surfaces=(LoadedSurfaces(SURFACE, SURFACE),) * 2)
    assert kinds(pair, numpy_backend) == [LandmarkForces, SurfaceForces, SurfaceForces]
    assert kinds(pair, numpy_backend, "syn.landmark_weight=0") == [SurfaceForces] * 2
    assert kinds(pair, numpy_backend, "syn.surface_weight=0") == [LandmarkForces]


def test_images_that_fit_resist_by_what_they_have_apart():
    assert PullScale.of([0.5, 0.25], [-0.5, -0.25]) == PullScale(0.5, 0.25)
    assert PullScale.of([0.0, 0.5], [-1.0, -0.5]) == PullScale(LEAST_OF_APART * 0.5, 0.5)
    assert PullScale.of([0.5, 0.5], [-0.25, -0.5]).energy == 0.25


def test_points_outside_what_is_registered_are_counted():
    beyond = replace(SURFACE, points=SURFACE.points + [0, 0, 4.9])
    pair = replace(PAIR, landmarks=np.full((2, 1, 3), 7.4), surfaces=(LoadedSurfaces(SURFACE, beyond),))
    recipe = Recipe.load("syn")
    options = recipe.syn
    (note,) = outside_notes(pair, options)
    assert note.startswith("2 of 4 points of surfaces 1 lie outside what the images show")
    (of_landmarks, _) = outside_notes(replace(pair, landmarks=np.full((2, 1, 3), 9.0)), options)
    assert of_landmarks.startswith("2 of 2 points of landmarks")
    assert outside_notes(pair, recipe.with_options("syn.surface_weight=0").syn) == ()
