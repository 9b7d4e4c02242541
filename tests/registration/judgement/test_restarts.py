"""A linear registration that went wrong is noticed, and another attempt finds what it missed."""

from __future__ import annotations

import numpy as np
import pytest

from made_heads import error, lattice, scan
from warpline.backends import select
from warpline.images import Image
from warpline.images.intensity import normalise
from warpline.recipe import Initialise, Linear, Recipe
from warpline.registration.alignment import align
from warpline.registration.judgement import ObjectComparison, judge_affine, search_again, start_by_search
from warpline.registration.linear import register_linear
from warpline.space import Affine

OPTIONS = Linear(stages=("rigid",), voxel_sizes=(8.0, 5.0), iterations=(30, 15), samples=6000, refinements=0)
SIZE = {"size": 4.0, "shape": (36, 42, 32)}
TURNED = np.diag([-1.0, -1.0, 1.0, 1.0])
"""Half a turn about the vertical axis."""


@pytest.fixture(scope="module")
def backend():
    return select("numba", 1)


@pytest.fixture(scope="module")
def first(backend):
    """An attempt that began upside down, and what it was made from."""
    images = tuple(normalise(scan(lattice(**SIZE), matrix), backend) for matrix in (None, TURNED))
    comparison = ObjectComparison(*images, backend)
    result = register_linear(*images, Affine.identity(), OPTIONS, backend=backend)
    found = judge_affine(images, result, OPTIONS, comparison, headers=Affine.identity(), backend=backend)
    return images, comparison, found


def test_a_wrong_optimum_is_not_clear(first):
    assert not first[2].is_clear


def test_another_start_is_taken_and_reported(first, backend):
    images, comparison, attempt = first
    found = search_again(images, attempt, OPTIONS, comparison, backend)
    assert error(found.result.affine, np.linalg.inv(TURNED)) < 0.5
    assert found.is_clear
    assert "agrees better" in found.result.warnings[-1] and "one from" in found.result.warnings[-1]


def test_a_start_is_found_without_centres(first, backend):
    images, comparison, _ = first
    assert error(start_by_search(images, OPTIONS, comparison, backend), np.linalg.inv(TURNED)) < 3


def test_a_start_that_was_given_is_not_replaced(backend):
    fixed, moving = scan(lattice(**SIZE)), scan(lattice(**SIZE), TURNED)
    recipe = Recipe(initialise=Initialise(), linear=OPTIONS, syn=None)
    found = align(fixed, moving, recipe, backend=backend, initial=Affine.identity())
    assert found.judgement.outcome == "doubtful"
    assert set(found.judgement.reasons) <= set(found.warnings)


def test_a_large_turn_against_the_headers_is_a_warning(backend):
    fixed, moving = scan(lattice(**SIZE)), scan(lattice(**SIZE), TURNED)
    recipe = Recipe(initialise=Initialise(), linear=OPTIONS, syn=None)
    found = align(fixed, moving, recipe, backend=backend)
    assert found.judgement.outcome == "fine"
    assert any("turns the object by 180°" in warning for warning in found.warnings)
    started = align(fixed, moving, recipe, backend=backend, initial=Affine(np.linalg.inv(TURNED)))
    assert not any("turns the object" in warning for warning in started.warnings)


def test_a_mirrored_header_is_proposed(backend):
    fixed = scan(lattice(**SIZE))
    moving = Image(fixed.data[:, :, ::-1].copy(), fixed.grid)
    found = align(fixed, moving, Recipe(linear=OPTIONS, syn=None), backend=backend)
    assert any("mirrored" in warning for warning in found.warnings)


def test_a_search_that_did_not_converge_is_doubtful(backend):
    matrix = np.eye(4)
    matrix[:3, 3] = 9.0, -6.0, 5.0
    images = scan(lattice(**SIZE)), scan(lattice(**SIZE), matrix)
    still = OPTIONS.model_copy(update={"iterations": (0, 0)})
    found = align(*images, Recipe(linear=still, syn=None), backend=backend, initial=Affine.identity())
    assert found.judgement.signs["better_nearby"] > 1.05
    assert any("has not converged" in reason for reason in found.judgement.reasons)
