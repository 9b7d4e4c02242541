"""When a level stops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warpline.solvers.convergence import WINDOW, has_converged

FALLING = [-0.5, -0.52, -0.54, -0.56, -0.58]
READINGS = st.lists(st.floats(-1, 1), min_size=WINDOW, max_size=12)


def test_an_energy_that_falls_goes_on_and_one_that_rests_or_rises_stops():
    assert not has_converged(FALLING, 1e-3, 5)
    assert has_converged([-0.5] * WINDOW, 1e-3, 5)
    assert has_converged(FALLING[::-1], 1e-3, 5)


@given(READINGS)
def test_without_a_tolerance_it_never_stops(energies):
    assert not has_converged(energies, None, 5)


@pytest.mark.parametrize("count", range(WINDOW))
def test_few_readings_say_nothing(count):
    assert not has_converged([-0.5] * count, 1e-3, 5)


def test_the_fall_is_counted_per_iteration():
    slope = 0.02 / 5  # per iteration, five apart
    assert not has_converged(FALLING, 0.99 * slope / 0.58, 5)
    assert has_converged(FALLING, 1.01 * slope / 0.58, 5)
    assert has_converged(FALLING, 0.99 * slope / 0.58, 10)


@given(READINGS, st.lists(st.floats(-1, 1), max_size=5), st.floats(1e-6, 0.1))
def test_only_the_last_readings_count(energies, before, tolerance):
    recent = energies[-WINDOW:]
    assert has_converged(before + recent, tolerance, 5) == has_converged(recent, tolerance, 5)


@given(st.floats(0.01, 100), st.floats(1e-5, 1e-2))
def test_the_unit_of_the_energy_does_not_matter(unit, tolerance):
    energies = np.array([-0.5, -0.503, -0.504, -0.507])
    assert has_converged(unit * energies, tolerance, 5) == has_converged(energies, tolerance, 5)


def test_one_jump_in_noise_is_not_a_fall():
    assert has_converged([-0.5, -0.50001, -0.49999, -0.5], 1e-4, 5)


def test_perfect_images_stop_at_once():
    assert has_converged([0.0] * WINDOW, 1e-5, 5)
