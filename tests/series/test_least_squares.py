"""One volume fitted to a reference, on every backend."""

from __future__ import annotations

import numpy as np
import pytest

from made_series import TURN, grid, largest_error, rigid, seen_through
from warpline.series.least_squares import fit, smoothed_coefficients
from warpline.series.targets import FitLevel, prepare_target

FINE = FitLevel(sigma=3.0, stride=2, tolerance=1e-3)
TRUE = rigid((1.5, -2.0, 0.7), (3, -2, 4))
WHERE = grid()


def fitted(volume, backend, freedom="rigid", start=None, level=FINE, where=WHERE):
    still = seen_through(where, np.eye(4))
    target = prepare_target(backend.upload(still), still > 100, where, level, freedom=freedom, backend=backend)
    coefficients = smoothed_coefficients(backend.upload(volume[None]), where, level, backend)
    return fit(coefficients, where, target, [(0, np.eye(4) if start is None else start)], backend)[0]


def test_motion_is_found_to_hundredths_of_a_millimetre(backend):
    found = fitted(seen_through(WHERE, TRUE), backend)
    assert found.converged
    assert largest_error([found.matrix], [TRUE], WHERE) < 0.03  # cubic splines of voxels of 3 mm
    assert found.correlation > 0.999


def test_gain_and_offset_of_the_volume_change_nothing(numpy_backend):
    volume = seen_through(WHERE, TRUE)
    plain, other = (fitted(one, numpy_backend) for one in (volume, (1.7 * volume + 40).astype(np.float32)))
    assert other.gain == pytest.approx(1.7 * plain.gain, rel=1e-3)
    assert largest_error([other.matrix], [plain.matrix], WHERE) < 2e-3


def test_a_gain_that_changes_across_the_head_is_no_motion(numpy_backend, monkeypatch):
    """A millimetre apart with one gain."""
    volume = seen_through(WHERE, TRUE) * np.linspace(0.85, 1.15, WHERE.shape[1])[:, None]
    volume = volume.astype(np.float32)
    assert largest_error([fitted(volume, numpy_backend).matrix], [TRUE], WHERE) < 0.12
    monkeypatch.setattr("warpline.series.targets.RIDGE", 1e6)
    assert largest_error([fitted(volume, numpy_backend).matrix], [TRUE], WHERE) > 0.5


def test_a_spot_that_changed_does_not_count(backend, monkeypatch):
    """Half a millimetre apart without weights."""
    volume = seen_through(WHERE, TRUE)
    volume[13:16, 8:11, 8:10] += 400
    found = fitted(volume, backend)
    assert found.converged
    assert largest_error([found.matrix], [TRUE], WHERE) < 0.03
    monkeypatch.setattr("warpline.series.least_squares.OUTLIERS", 2.0)
    assert largest_error([fitted(volume, backend).matrix], [TRUE], WHERE) > 0.3


def test_affine_finds_a_shear(numpy_backend):
    true = TRUE.copy()
    true[:3, :3] = true[:3, :3] @ [[1.02, 0.015, 0], [0, 0.985, 0], [0, 0.01, 1]]
    rigidly, freely = (fitted(seen_through(WHERE, true), numpy_backend, name) for name in ("rigid", "affine"))
    assert largest_error([freely.matrix], [true], WHERE) < 0.05
    assert largest_error([rigidly.matrix], [true], WHERE) > 0.3


def test_points_beyond_the_volume_do_not_count(numpy_backend):
    """An object that has left the volume by a third."""
    true = rigid((18.0, 0, 0), (0, 0, 0))
    found = fitted(seen_through(WHERE, true), numpy_backend, start=rigid((16.5, 0.5, 0), (1, 0, 0)))
    assert found.converged
    assert largest_error([found.matrix], [true], WHERE) < 0.1


@pytest.mark.parametrize("turn", [np.eye(3), TURN], ids=["straight", "oblique"])
def test_a_single_slice_moves_in_its_plane(numpy_backend, turn):
    where = grid((24, 26, 1), turn=turn)
    true = turned_about_the_centre(turn) @ rigid((1.0, -1.5, 0), (0, 0, 3)) @ turned_about_the_centre(turn.T)
    found = fitted(seen_through(where, true), numpy_backend, where=where, level=FitLevel(3.0, 1, 1e-3))
    assert found.converged
    assert largest_error([found.matrix], [true], where) < 0.2  # 200 voxels
    np.testing.assert_allclose(turn[:, 2] @ found.matrix[:3, :3], turn[:, 2], atol=1e-6)


def turned_about_the_centre(turn):
    matrix = np.eye(4)
    matrix[:3, :3] = turn
    matrix[:3, 3] = (np.eye(3) - turn) @ (5, -7, 11)
    return matrix


@pytest.mark.parametrize("count", [3, 5])
def test_a_thin_stack_moves_through_its_slices(numpy_backend, count):
    where = grid((36, 40, count), (2.0, 2.0, 4.0))
    true = rigid((0.4, -0.5, 0.6), (0.8, -0.6, 0.5))
    level = FitLevel(2.5, 1, 4e-3)
    found = fitted(seen_through(where, true), numpy_backend, where=where, level=level)
    assert found.converged
    assert largest_error([found.matrix], [true], where) < 0.3


def test_noise_alone_is_not_aligned(numpy_backend):
    noise = np.random.default_rng(0).normal(0, 1, WHERE.shape).astype(np.float32)
    found = fitted(noise, numpy_backend)
    assert not (found.converged and found.correlation > 0.5)


def test_a_volume_far_away_is_not_aligned(numpy_backend):
    found = fitted(seen_through(WHERE, np.eye(4)), numpy_backend, start=rigid((500.0, 0, 0), (0, 0, 0)))
    assert not found.converged


def test_volumes_fitted_together_are_where_they_are_alone(backend):
    """One of them twice, from two starts, one that needs weights, one that is not there."""
    changed = seen_through(WHERE, TRUE)
    changed[13:16, 8:11, 8:10] += 400
    noise = np.random.default_rng(0).normal(0, 1, WHERE.shape).astype(np.float32)
    volumes = np.stack([seen_through(WHERE, TRUE), changed, noise])
    still = seen_through(WHERE, np.eye(4))
    target = prepare_target(backend.upload(still), still > 100, WHERE, FINE, freedom="rigid", backend=backend)
    coefficients = smoothed_coefficients(backend.upload(volumes), WHERE, FINE, backend)
    starts = [(0, np.eye(4)), (1, np.eye(4)), (0, rigid((1.0, -1.5, 0.5), (2, -2, 3))), (2, np.eye(4))]
    together = fit(coefficients, WHERE, target, starts, backend)
    for found, start in zip(together, starts, strict=True):
        (alone,) = fit(coefficients, WHERE, target, [start], backend)
        assert (found.converged, found.steps) == (alone.converged, alone.steps)
        assert np.allclose(found.matrix, alone.matrix, rtol=0, atol=1e-9)
    assert [found.converged and found.correlation > 0.5 for found in together] == [True, True, True, False]
    assert largest_error([found.matrix for found in together[:3]], [TRUE] * 3, WHERE) < 0.03
