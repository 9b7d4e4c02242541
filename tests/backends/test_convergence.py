"""When the steps of a level shrink, and when it has converged."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warpline.backends.convergence import (
    CONVERGED,
    WINDOW,
    ConvergenceRule,
    energies_of,
    has_converged,
    has_diverged,
    new_trace,
)

FALLING = np.array([-0.5, -0.52, -0.54, -0.56, -0.58])
READINGS = st.lists(st.floats(-1, 1), min_size=WINDOW, max_size=12).map(np.array)


def converged(energies, tolerance, spacing=5):
    return has_converged(np.array(energies), ConvergenceRule(spacing, tolerance))


def test_falling_energies_go_on_and_others_stop():
    assert not converged(FALLING, 1e-3)
    assert converged([-0.5] * WINDOW, 1e-3)
    assert converged(FALLING[::-1], 1e-3)


@given(READINGS)
def test_without_a_tolerance_it_never_stops(energies):
    assert not converged(energies, None)


@pytest.mark.parametrize("count", range(WINDOW))
def test_few_readings_say_nothing(count):
    assert not converged([-0.5] * count, 1e-3)


def test_the_fall_is_counted_per_iteration():
    slope = 0.02 / 5  # per iteration, five apart
    assert not converged(FALLING, 0.99 * slope / 0.58)
    assert converged(FALLING, 1.01 * slope / 0.58)
    assert converged(FALLING, 0.99 * slope / 0.58, spacing=10)


@given(READINGS, st.floats(1e-6, 0.1))
def test_the_fall_is_the_slope_of_the_line_of_least_squares(energies, tolerance):
    recent = energies[-WINDOW:]
    fall = -np.polyfit(5 * np.arange(WINDOW), recent, 1)[0]
    needed = tolerance * max(abs(recent[-1]), 1e-12)
    if abs(fall - needed) > 1e-9:
        assert converged(energies, tolerance) == (fall < needed)


@given(READINGS, st.lists(st.floats(-1, 1), max_size=5), st.floats(1e-6, 0.1))
def test_only_the_last_readings_count(energies, before, tolerance):
    recent = energies[-WINDOW:]
    assert converged([*before, *recent], tolerance) == converged(recent, tolerance)


@given(st.floats(0.01, 100), st.floats(1e-5, 1e-2))
def test_the_unit_of_the_energy_does_not_matter(unit, tolerance):
    energies = np.array([-0.5, -0.503, -0.504, -0.507])
    assert converged(unit * energies, tolerance) == converged(energies, tolerance)


def test_one_jump_in_noise_is_not_a_fall():
    assert converged([-0.5, -0.50001, -0.49999, -0.5], 1e-4)


def test_perfect_images_stop_at_once():
    assert converged([0.0] * WINDOW, 1e-5)


def watched(backend, energies, rule):
    """Trace and step length after each energy."""
    trace, step = backend.upload(new_trace(len(energies))), backend.upload(np.ones(1, np.float32))
    history = []
    for energy in energies:
        backend.update_convergence(backend.upload(np.array([energy])), trace=trace, step=step, rule=rule)
        history.append((backend.download_later(trace), float(backend.download(step)[0])))
    return [(trace(), length) for trace, length in history]


@pytest.mark.parametrize("tolerance", [None, 1e-6, 1e-3, 0.1])
@pytest.mark.parametrize("seed", range(4))
def test_every_backend_steers_alike(backend, seed, tolerance):
    rng = np.random.default_rng(seed)
    energies = -1 + np.exp(-0.4 * np.arange(16)) + rng.normal(size=16) * 0.01
    rule = ConvergenceRule(5, tolerance)
    best, length = [], 1.0
    for count, (trace, step) in enumerate(watched(backend, energies, rule), start=1):
        np.testing.assert_array_equal(energies_of(trace), energies[:count])
        assert bool(trace[CONVERGED]) == has_converged(energies[:count], rule)
        best.append(energies[:count].min())
        if count > rule.patience and best[-1] == best[-1 - rule.patience]:
            length *= 0.5
        assert step == length


def test_a_trace_that_is_read_later_is_the_one_of_its_time(backend):
    trace, step = backend.upload(new_trace(2)), backend.upload(np.ones(1, np.float32))
    rule, energy = ConvergenceRule(5, None), backend.upload(np.array([-1.0]))
    backend.update_convergence(energy, trace=trace, step=step, rule=rule)
    reading = backend.download_later(trace)
    backend.update_convergence(energy, trace=trace, step=step, rule=rule)
    assert len(energies_of(reading())) == 1
    assert len(energies_of(backend.download(trace))) == 2


@pytest.mark.parametrize("seed", range(4))
def test_the_best_state_is_kept_whatever_comes_after_it(backend, seed):
    energies = np.random.default_rng(seed).normal(size=9).round(1)  # with ties: the first of them counts
    states = np.arange(9 * 6, dtype=np.float32).reshape(9, 1, 2, 3)
    trace, step = backend.upload(new_trace(9)), backend.upload(np.ones(1, np.float32))
    best = backend.zeros((1, 2, 3))
    for count, (state, energy) in enumerate(zip(states, energies, strict=True), start=1):
        value = backend.upload(np.array([energy]))
        backend.keep_best_state(backend.upload(state), value, best=best, trace=trace)
        backend.update_convergence(value, trace=trace, step=step, rule=ConvergenceRule(5, None))
        np.testing.assert_array_equal(backend.download(best), states[energies[:count].argmin()])


def test_a_level_goes_back_only_from_well_above_its_best():
    assert not has_diverged(-0.4, [-0.5, -0.6])
    assert not has_diverged(-0.4, [-0.6, -0.59])  # it jumps around the optimum
    assert has_diverged(-0.4, [-0.6, -0.57])
    assert has_diverged(-0.6, [-0.59])  # it never got better than at its start
