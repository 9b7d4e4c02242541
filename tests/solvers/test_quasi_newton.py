"""The minimiser, on functions whose minimum is known."""

from __future__ import annotations

import numpy as np
import pytest

from warpline.solvers.quasi_newton import minimise


def bowl(parameters):
    stretched = np.array([1.0, 10.0, 0.2]) * (parameters - [3.0, -40.0, 60.0])
    return float(stretched @ stretched), 2 * np.array([1.0, 10.0, 0.2]) * stretched


def valley(parameters):
    x, y = parameters
    return (1 - x) ** 2 + 100 * (y - x * x) ** 2, np.array([-2 * (1 - x) - 400 * x * (y - x * x), 200 * (y - x * x)])


@pytest.mark.parametrize(("function", "start", "minimum"), [
    (bowl, [0.0, 0.0, 0.0], [3.0, -40.0, 60.0]),
    (valley, [-1.2, 1.0], [1.0, 1.0]),
])  # fmt: skip
def test_the_minimum_is_reached(function, start, minimum):
    found = minimise(function, np.array(start), iterations=200, tolerance=1e-12)
    np.testing.assert_allclose(found, minimum, atol=1e-3)


def test_values_never_rise_and_are_told():
    values = []
    minimise(valley, np.array([-1.2, 1.0]), iterations=30, tolerance=0.0, listen=values.append)
    assert len(values) == 30
    assert np.all(np.diff([valley([-1.2, 1.0])[0], *values]) <= 0)


def test_no_step_without_a_slope():
    start = np.array([5.0, 6.0])
    found = minimise(lambda _: (1.0, np.zeros(2)), start, iterations=10, tolerance=1e-6)
    np.testing.assert_array_equal(found, start)


def test_iterations_are_a_limit():
    values = []
    minimise(bowl, np.zeros(3), iterations=2, tolerance=0.0, listen=values.append)
    assert len(values) == 2
