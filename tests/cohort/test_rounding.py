"""Displacements in steps: what is near content, what is not, and what would fold."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import maximum_filter

from made_registrations import QUICK, made_pair
from warpline import register
from warpline.backends import select
from warpline.cohort.rounding import grown, round_field, round_fields, round_forward
from warpline.evaluation import folding
from warpline.space import Displacement, Grid


@given(shape=st.tuples(*[st.integers(1, 9)] * 3), by=st.integers(0, 6), seed=st.integers(0, 1000))
def test_a_mask_grows_as_by_a_maximum_filter(shape, by, seed):
    mask = (np.random.default_rng(seed).random(shape) < 0.05).astype(np.uint8)
    expected = maximum_filter(mask, size=2 * by + 1, mode="constant")
    np.testing.assert_array_equal(grown(mask, by), expected)
    assert grown(mask, by).dtype == np.uint8


@pytest.mark.parametrize("name", ["numpy", "numba", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_steps_are_fine_near_content_and_coarse_elsewhere(name):
    grid, backend = Grid((16, 9, 8), np.diag((2.0, 2, 2, 1))), select(name)
    field = np.random.default_rng(0).uniform(-0.3, 0.3, (3, *grid.shape)).astype(np.float32)
    inside = np.zeros(grid.shape, np.uint8)
    inside[:4] = 1
    with backend.session():
        rounded = backend.download(round_field(backend.upload(field), grid, backend.upload(inside), backend))
    np.testing.assert_array_equal(rounded[:, :7], np.round(field[:, :7] * 64) / 64)
    np.testing.assert_array_equal(rounded[:, 7:], np.round(field[:, 7:] * 2) / 2)
    assert not np.signbit(rounded[rounded == 0]).any()


def test_rounding_folds_no_map_that_all_but_folds():
    """Steps of 1/64 mm would: there, and only there, they are finer."""
    grid = Grid((12, 10, 9), np.diag((0.25, 0.25, 0.25, 1)))
    field = np.zeros((3, *grid.shape), np.float32)
    field[0] = -0.2425 * np.maximum(np.arange(12) - 5, 0).reshape(12, 1, 1)  # shrinks to 0.03 from the middle on
    field += np.random.default_rng(1).uniform(-0.001, 0.001, field.shape).astype(np.float32)
    assert folding(Displacement(field, grid), differences="any", backend="numpy").count == 0
    coarse = Displacement(np.round(field * 64) / 64, grid)
    assert folding(coarse, differences="any", backend="numpy").count > 0
    rounded = round_field(field, grid, np.ones(grid.shape, np.uint8), select("numpy"))
    assert folding(Displacement(rounded, grid), differences="any", backend="numpy").count == 0
    np.testing.assert_array_equal(rounded[:, :3] * 64, np.round(rounded[:, :3] * 64))


@pytest.fixture(scope="module")
def registered():
    fixed, moving = made_pair()
    recipe = QUICK.with_options("syn.model=velocity", "syn.iterations=[3, 1]")
    return {"fixed": fixed}, register(fixed, moving, recipe, backend="numpy")


@pytest.mark.parametrize(("warps", "kept", "inverse"), [("rounded", True, True), ("forward", False, False)])
def test_velocity_fields_are_kept_as_displacements_are(registered, warps, kept, inverse):
    images, given = registered
    found = round_fields(given, warps, images, select("numpy")).alignment
    assert (found.velocity is not None, found.warp.inverse_field is not None) == (kept, inverse)
    if kept:
        np.testing.assert_array_equal(found.velocity.field * 64, np.round(found.velocity.field * 64))
        inside = images["fixed"].data > 0
        assert np.abs(found.velocity.field - given.velocity.field)[:, inside].max() <= 0.5 / 64 + 1e-6
        assert not np.array_equal(found.velocity.field, given.velocity.field)


def test_all_bits_and_velocities_are_kept_where_asked_for(registered):
    images, given = registered
    assert round_fields(given, "full", images, select("numpy")) is given


@pytest.mark.parametrize(("warps", "kept"), [("rounded", True), ("forward", False)])
def test_with_a_budget_nothing_is_rounded(registered, warps, kept):
    images, given = registered
    spent = replace(given, alignment=replace(given.alignment, spending=object()))
    found = round_fields(spent, warps, images, select("numpy")).alignment
    np.testing.assert_array_equal(found.warp.field, given.alignment.warp.field)
    assert (found.velocity is not None, found.warp.inverse_field is not None) == (kept, kept)


@pytest.mark.parametrize(("warps", "kept"), [("rounded", True), ("forward", False)])
def test_what_is_not_measured_is_rounded_alike_without_inverse(registered, warps, kept):
    images, given = registered
    found = round_forward(given, warps, select("numpy")).alignment
    measured = round_fields(given, "rounded", images, select("numpy")).alignment
    np.testing.assert_array_equal(found.warp.field, measured.warp.field)
    assert found.warp.inverse_field is None and (found.velocity is not None) == kept
    spent = replace(given, alignment=replace(given.alignment, spending=object()))
    exact = round_forward(spent, warps, select("numpy")).alignment
    np.testing.assert_array_equal(exact.warp.field, given.alignment.warp.field)
    assert round_forward(given, "full", select("numpy")) is given
