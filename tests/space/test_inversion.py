"""Any transform can be inverted, and the error is said."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

from scenes import FIXED, MOVING, TURN, fading, world_points
from synthetic import fading_field
from warpline.backends import select
from warpline.errors import InputError
from warpline.operations import inversion, invert
from warpline.space import Affine, Chain, Displacement
from warpline.space.grid import Grid
from warpline.space.inversion import (
    FIELD_TOLERANCE,
    InverseError,
    field_inverse_error,
    invert_field,
    invert_field_asynchronously,
    round_trip_error,
)

SHAPE = (18, 16, 14)


@pytest.mark.parametrize("shape", [SHAPE, (20, 18, 1)])
def test_the_inverse_undoes_the_field(backend, shape):
    field = fading_field(shape, 4, largest=1.5)
    inverse, residual = invert_field(backend.upload(field), backend)
    assert residual <= FIELD_TOLERANCE
    v = np.float64(backend.download(inverse))
    there = np.indices(shape) + v
    left = v + [map_coordinates(np.float64(u), there, order=1, mode="nearest") for u in field]
    assert np.linalg.norm(left, axis=0).max() <= 1.01 * FIELD_TOLERANCE


def test_a_good_start_needs_no_steps(backend):
    field = backend.upload(fading_field(SHAPE, 4))
    inverse, _ = invert_field(field, backend)
    again, residual = invert_field(field, backend, start=inverse)
    assert residual <= FIELD_TOLERANCE
    np.testing.assert_array_equal(backend.download(again), backend.download(inverse))
    np.testing.assert_array_equal(
        backend.download(invert_field_asynchronously(field, backend)), backend.download(inverse)
    )


def test_a_shift_and_its_opposite_have_no_inverse_error(backend):
    shift = np.zeros((3, *SHAPE), np.float32)
    shift[0] = 1.25
    there, back = backend.upload(shift), backend.upload(-shift)
    error = field_inverse_error(there, back, backend)
    assert (error.mean, error.p99, error.largest) == (0, 0, 0)
    twice = field_inverse_error(there, there, backend)
    assert (twice.mean, twice.p99, twice.largest) == (2.5, 2.5, 2.5)


def test_errors_are_counted_in_the_mask_only(backend):
    forward = np.zeros((3, *SHAPE), np.float32)
    forward[1, :9] = 0.5
    nothing = backend.zeros(forward.shape)
    mask = np.indices(SHAPE)[0] >= 9
    assert field_inverse_error(backend.upload(forward), nothing, backend, mask).largest == 0
    assert field_inverse_error(backend.upload(forward), nothing, backend, ~mask).mean == 0.5


def test_the_order_statistics_of_round_trips(backend):
    missed = np.zeros((3, 10, 10, 10), np.float32)
    missed[0, 0, 0, :8] = 2
    missed[0, 0, 1:3, :6] = 1
    error = round_trip_error(backend.upload(missed), backend)
    assert error.mean == pytest.approx(0.028)
    assert (error.p99, error.largest) == (1, 2)
    nowhere = backend.zeros((10, 10, 10), np.uint8)
    assert round_trip_error(backend.upload(missed), backend, nowhere) == InverseError(0, 0, 0)


@settings(max_examples=15)
@given(st.integers(0, 2**31), st.floats(0.1, 1.5))
def test_there_and_back_is_where_it_began(seed, largest):
    warp, voxels = fading(FIXED, largest, seed), world_points(FIXED)
    for before, after in ((), ()), ((), (TURN,)), ((TURN,), (TURN.inverse(),)):
        transform = Chain((*before, warp, *after))
        found = inversion(transform, backend="numpy")
        targets = Chain(after).map_points(voxels)  # where the inverse field is read at its own voxels
        missed = transform.map_points(found.transform.map_points(targets)) - targets
        assert found.errors[0].largest < 0.002
        assert np.linalg.norm(missed, axis=-1).max() < 0.002 * 1.2 * FIXED.voxel_size.max()


@pytest.mark.parametrize("grid", [FIXED, MOVING], ids=["oblique", "flipped"])
def test_the_inverse_is_exact_at_its_voxels(grid, backend):
    warp = fading(grid)
    found = inversion(warp, backend=backend)
    assert isinstance(found.transform, Displacement) and found.transform.grid is grid and found.folded == 0
    miss = np.linalg.norm(warp.map_points(found.transform.map_points(world_points(grid))) - world_points(grid), axis=-1)
    assert miss.max() < 2e-3 * grid.voxel_size.max()
    assert found.errors[0].largest == pytest.approx(miss.max() / grid.voxel_size.min(), rel=1.5, abs=1e-4)


def test_the_inverse_of_the_inverse_is_the_original():
    warp = fading(FIXED)
    np.testing.assert_array_equal(invert(invert(warp, backend="numpy"), backend="numpy").field, warp.field)


def test_a_known_inverse_is_taken_and_measured():
    warp = fading(FIXED)
    claimed = Displacement(warp.field, FIXED, np.zeros_like(warp.field))
    found = inversion(claimed, backend="numpy")
    np.testing.assert_array_equal(found.transform.field, 0)
    assert found.errors[0].largest == pytest.approx(2.0, rel=0.02)


def test_an_affine_needs_no_backend_and_has_no_error():
    found = inversion(TURN)
    assert found.errors == () and found.folded == 0
    np.testing.assert_allclose((found.transform @ TURN).matrix, np.eye(4), atol=1e-12)


def test_parts_come_in_reverse_order():
    found = invert(Chain((TURN, fading(FIXED))), backend="numpy")
    assert [type(part) for part in found.parts] == [Displacement, Affine]


def test_a_field_with_a_large_affine_part_is_inverted(backend):
    """As of SPM, FNIRT and AFNI: the images lie far apart and the field carries everything."""
    far = np.array(TURN.matrix)
    far[:3, 3] += (150, -80, 60)
    local = fading(FIXED, 1.0)
    points = world_points(FIXED)
    whole = np.moveaxis(Affine(far).map_points(local.map_points(points)) - points, -1, 0)
    given = Displacement(whole.astype(np.float32), FIXED)
    found = inversion(given, backend=backend)
    assert isinstance(found.transform, Chain)
    targets = (~found.transform.parts[0]).map_points(points)  # where the inverse is not interpolated
    back = found.transform.map_points(targets)
    core = (slice(2, -2),) * 3
    missed = given.map_points(back) - targets
    assert np.linalg.norm(missed, axis=-1)[core].max() < 0.01
    assert found.errors[0].p99 < 0.01


def test_folds_are_counted_and_warned_of(caplog):
    folded = Displacement(np.float32(10) * fading(FIXED).field, FIXED)
    with caplog.at_level(logging.WARNING, "warpline"):
        found = inversion(folded, backend="numpy")
    assert found.folded > 0
    assert f"the field folds in {found.folded} voxels" in caplog.text


def test_a_bad_inverse_is_warned_of(caplog):
    warp = fading(FIXED)
    with caplog.at_level(logging.WARNING, "warpline"):
        found = inversion(Displacement(warp.field, FIXED, np.zeros_like(warp.field)), backend="numpy")
    assert found.errors[0].p99 > 0.5
    assert "the inverse misses by" in caplog.text


def test_steep_maps_are_inverted_too(backend):
    """Space is stretched sixfold, where the steps of a backend alone go back and forth."""
    grid = Grid((40, 7, 7), np.diag([2.0, 2, 2, 1]))
    field = np.zeros((3, *grid.shape), np.float32)
    field[0] = (8 * np.tanh((np.arange(40) - 19.5) / 1.6)).reshape(-1, 1, 1)
    found = inversion(Displacement(field, grid), backend=backend)
    assert found.errors[0].largest < 0.005


def test_a_field_that_is_not_defined_everywhere_is_refused():
    field = np.zeros((3, *FIXED.shape), np.float32)
    field[1, 2, :2, 0] = np.nan
    with pytest.raises(InputError, match=r"NaN or infinity\) at 2 voxels"):
        invert(Displacement(field, FIXED))


def test_a_backend_can_be_given_by_name_or_value():
    warp = fading(FIXED)
    by_name, by_value = (invert(warp, backend=backend) for backend in ("numpy", select("numpy")))
    np.testing.assert_array_equal(by_name.field, by_value.field)
