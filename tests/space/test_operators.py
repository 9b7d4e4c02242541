"""Transforms as values: product, inverse, pickle, print, and any of them as a field on a grid."""

from __future__ import annotations

import pickle
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from made_transforms import inner_points, made_affine, made_chain, made_displacement, made_grid
from warpline.errors import InputError
from warpline.space import Affine, Chain, Displacement, displacement_on
from warpline.space.grid import apply_affine

GRID = made_grid("oblique")
POINTS = inner_points(GRID)
SEEDS = st.integers(0, 30)
AFFINES = st.builds(made_affine, SEEDS)
FIELDS = st.builds(lambda seed: made_displacement(GRID, seed), SEEDS)
PARTS = st.one_of(AFFINES, FIELDS)
TRANSFORMS = st.one_of(PARTS, st.lists(PARTS, max_size=3).map(lambda parts: Chain(tuple(parts))))

few = settings(max_examples=25)


def same(a, b, atol=1e-9):
    np.testing.assert_allclose(a.map_points(POINTS), b.map_points(POINTS), rtol=0, atol=atol)


@few
@given(TRANSFORMS, TRANSFORMS)
def test_a_product_maps_by_its_right_side_first(a, b):
    np.testing.assert_allclose((a @ b).map_points(POINTS), a.map_points(b.map_points(POINTS)), rtol=0, atol=1e-9)
    assert isinstance(a @ b, Affine if isinstance(a, Affine) and isinstance(b, Affine) else Chain)


@few
@given(TRANSFORMS, TRANSFORMS, TRANSFORMS)
def test_products_associate(a, b, c):
    same((a @ b) @ c, a @ (b @ c))


@few
@given(TRANSFORMS)
def test_the_identity_is_neutral(a):
    same(a @ Affine.identity(), a)
    same(Affine.identity() @ a, a)
    same(a @ Chain(), a)


@few
@given(TRANSFORMS, TRANSFORMS)
def test_the_inverse_turns_products_round(a, b):
    same(~(a @ b), ~b @ ~a)
    same(~~a, a)


@given(AFFINES)
def test_an_affine_and_its_inverse_cancel(a):
    np.testing.assert_allclose((~a @ a).matrix, np.eye(4), atol=1e-12)


def test_the_inverse_of_a_bare_field_says_how_to_get_it():
    bare = Displacement(made_displacement(GRID).field, GRID)
    for transform in (bare, made_affine() @ bare):
        with pytest.raises(InputError, match=r"has no inverse yet; compute it with warpline\.invert"):
            _ = ~transform


def test_other_things_are_no_factors():
    for transform in (made_affine(), made_displacement(GRID), made_chain(GRID)):
        with pytest.raises(InputError, match="ndarray is no transform; for points there is map_points"):
            _ = transform @ np.eye(4)


@few
@given(st.lists(PARTS, max_size=5))
def test_simplifying_keeps_the_map(parts):
    chain = Chain(tuple(parts))
    short = chain.simplified()
    same(short, chain)
    kinds = [type(part) for part in Chain.of(short).parts]
    assert (Affine, Affine) not in list(pairwise(kinds))
    assert isinstance(short, Chain) == (len(kinds) > 1)


def test_what_simplifying_leaves():
    field, affine = made_displacement(GRID), made_affine()
    assert Chain((Affine.identity(), field)).simplified() is field
    assert isinstance(Chain().simplified(), Affine) and Chain().simplified().is_identity
    assert [type(part) for part in Chain((affine, affine, field, affine)).simplified().parts] == [
        Affine,
        Displacement,
        Affine,
    ]


@few
@given(TRANSFORMS)
def test_pickles_come_back_the_same(a):
    back = pickle.loads(pickle.dumps(a))
    assert type(back) is type(a)
    np.testing.assert_array_equal(back.map_points(POINTS), a.map_points(POINTS))


def test_they_print_what_they_are():
    chain = made_chain(GRID)
    assert repr(chain).splitlines()[:2] == [
        "Chain of 2, in the order in which points go through it:",
        "  1. Displacement on 11 x 9 x 10 voxels of 2 x 2.5 x 3 mm, at most 4 mm, inverse known",
    ]
    matrix = repr(made_affine()).splitlines()
    assert matrix[0] == "Affine, fixed to moving world, RAS+ mm:" and len(matrix) == 4
    np.testing.assert_allclose([float(word) for word in matrix[1].split()], made_affine().matrix[0], atol=1e-6)
    assert repr(Displacement(chain.parts[0].field, GRID)).endswith("inverse not known")


@few
@given(TRANSFORMS, st.sampled_from(("oblique", "sagittal")))
def test_any_transform_is_a_field_on_any_grid(a, axes):
    grid = made_grid(axes)
    voxels = apply_affine(grid.affine, np.moveaxis(np.indices(grid.shape), 0, -1))
    field = displacement_on(a, grid)
    assert field.shape == (3, *grid.shape) and field.dtype == np.float32
    np.testing.assert_allclose(voxels + np.moveaxis(field, 0, -1), a.map_points(voxels), rtol=0, atol=1e-5)


def test_a_field_on_its_own_grid_is_itself():
    warp = made_displacement(GRID)
    assert displacement_on(warp, GRID) is warp.field
    assert displacement_on(Chain((warp,)), GRID) is warp.field
