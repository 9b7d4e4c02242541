"""The first start, and others where it is refused, doubtful, or others are asked for."""

from __future__ import annotations

import numpy as np
import pytest

from made_heads import scan
from warpline.backends import select
from warpline.errors import InputError
from warpline.images import Image
from warpline.recipe import Initialise, Linear, Recipe
from warpline.registration import linear_stage
from warpline.registration.alignment import align
from warpline.space import Affine
from warpline.space.grid import Grid, apply_affine

SLICE = Grid((65, 65, 1), np.array([[2.5, 0, 0, -80], [0, 2.5, 0, -80], [0, 0, 2.5, 0], [0, 0, 0, 1.0]]))
OPTIONS = Linear(stages=("rigid",), voxel_sizes=(8.0, 5.0), iterations=(30, 15), samples=2000, refinements=0)
SMALL = np.array([[-0.1, 0, 0, 40.0], [0, -0.1, 0, 30], [0, 0, 0.1, 0], [0, 0, 0, 1]])
"""A tenth of the size, half a turn and a shift."""


@pytest.fixture(scope="module")
def backend():
    return select("numba", 1)


def small():
    return Image(scan(SLICE).data, Grid(SLICE.shape, SMALL @ SLICE.affine))


def run(moving, backend, **initialise):
    recipe = Recipe(initialise=Initialise(**initialise), linear=OPTIONS, syn=None)
    return align(scan(SLICE), moving, recipe, backend=backend)


def test_where_images_hardly_overlap_a_start_is_searched_for(backend):
    found = run(small(), backend)
    points = np.array([[20.0, 10, 0], [-20, 30, 0], [0, -40, 0]])
    np.testing.assert_allclose(found.affine.map_points(points), apply_affine(SMALL, points), atol=0.4)
    assert any("needs no centres" in warning for warning in found.warnings)
    assert any("check the voxel sizes" in reason for reason in found.judgement.reasons)


@pytest.mark.parametrize("factor", [0.001, 0.01, 100.0, 1000.0])
def test_a_unit_error_is_found_and_doubted(factor, backend):
    matrix = np.diag([factor, factor, 1.0, 1.0])
    other = Image(scan(SLICE).data, Grid(SLICE.shape, matrix @ SLICE.affine))
    found = run(other, backend)
    points = np.array([[20.0, 10, 0], [-20, 30, 0], [0, -40, 0]])
    np.testing.assert_allclose(found.affine.map_points(points), apply_affine(matrix, points), atol=0.5 * factor)
    assert found.judgement.outcome == "failed"
    assert any("check the voxel sizes" in reason for reason in found.judgement.reasons)


def test_no_start_is_searched_for_without_rotations(backend):
    with pytest.raises(InputError, match="falls into the moving one"):
        run(small(), backend, rotations=False, method="mass")


@pytest.mark.parametrize(("search", "times"), [("always", 1), ("doubtful", 0)])
def test_other_starts_are_tried_where_the_recipe_says_so(search, times, backend, monkeypatch):
    searches = []
    original = linear_stage.search_again
    monkeypatch.setattr(linear_stage, "search_again", lambda *given: searches.append(1) or original(*given))
    found = run(scan(SLICE), backend, search=search)
    assert found.judgement.outcome == "fine" and len(searches) == times


def test_a_search_beside_a_given_start_is_said_to_be_none(backend):
    recipe = Recipe(initialise=Initialise(search="always"), linear=OPTIONS, syn=None)
    found = align(scan(SLICE), scan(SLICE), recipe, backend=backend, initial=Affine.identity())
    assert any("no other start was searched for" in warning for warning in found.warnings)
