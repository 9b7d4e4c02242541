"""The minimiser, on functions whose minimum is known."""

from __future__ import annotations

import numpy as np
import pytest

from warpline.registration.bfgs import BACKTRACKS, minimise


def bowl(parameters):
    stretched = np.array([1.0, 10.0, 0.2]) * (parameters - [3.0, -40.0, 60.0])
    return float(stretched @ stretched), 2 * np.array([1.0, 10.0, 0.2]) * stretched


def valley(parameters):
    x, y = parameters
    return (1 - x) ** 2 + 100 * (y - x * x) ** 2, np.array([-2 * (1 - x) - 400 * x * (y - x * x), 200 * (y - x * x)])


def flat(parameters):
    return 1.0, np.zeros_like(parameters)


def each(function):
    """A function of one point as one of many."""

    def of_many(which, parameters):
        assert len(which) == len(parameters) > 0
        values, slopes = zip(*map(function, parameters), strict=True)
        return np.array(values), np.array(slopes)

    return of_many


def minimum_from(function, start, **options):
    return minimise(each(function), np.array([start], float), **options)[0]


@pytest.mark.parametrize(("function", "start", "minimum"), [
    (bowl, [0.0, 0.0, 0.0], [3.0, -40.0, 60.0]),
    (valley, [-1.2, 1.0], [1.0, 1.0]),
])  # fmt: skip
def test_the_minimum_is_reached(function, start, minimum):
    found = minimum_from(function, start, iterations=200, tolerance=1e-12)
    np.testing.assert_allclose(found, minimum, atol=1e-3)


def test_values_never_rise_and_are_reported():
    steps = []
    minimum_from(valley, [-1.2, 1.0], iterations=30, tolerance=0.0, on_step=lambda n, value: steps.append((n, value)))
    assert [n for n, _ in steps] == [0] * 30
    assert np.all(np.diff([valley([-1.2, 1.0])[0], *(value for _, value in steps)]) <= 0)


def test_no_step_without_a_slope():
    np.testing.assert_array_equal(minimum_from(flat, [5.0, 6.0], iterations=10, tolerance=1e-6), [5.0, 6.0])


def test_iterations_are_a_limit():
    steps = []
    minimum_from(bowl, [0.0, 0.0, 0.0], iterations=2, tolerance=0.0, on_step=lambda *step: steps.append(step))
    assert len(steps) == 2


def test_many_searches_go_as_each_would_alone_and_share_calls():
    starts = np.array([[-1.2, 1.0], [1.0, 1.0], [0.0, 3.0], [2.0, -1.0]])
    calls = []

    def counted(which, parameters):
        calls.append(list(which))
        return each(valley)(which, parameters)

    together = minimise(counted, starts, iterations=40, tolerance=1e-9)
    alone = [minimum_from(valley, start, iterations=40, tolerance=1e-9) for start in starts]
    np.testing.assert_array_equal(together, alone)
    assert calls[0] == [0, 1, 2, 3]
    assert 1 not in calls[-1], "a search that has ended is not asked for again"


def kink(parameters):
    return float(np.abs(parameters - 1.3).sum()), np.sign(parameters - 1.3)


def test_a_search_without_progress_resets_its_hessian_and_ends():
    asked = []

    def counted(which, parameters):
        asked.append(len(which))
        return each(kink)(which, parameters)

    found = minimise(counted, np.array([[4.0, -3.0, 9.0]]), iterations=50, tolerance=0.0)
    assert kink(found[0])[0] < kink(np.array([4.0, -3.0, 9.0]))[0]
    assert len(asked) < 50 * BACKTRACKS


def test_without_iterations_the_starts_are_returned():
    np.testing.assert_array_equal(minimum_from(bowl, [1.0, 2.0, 3.0], iterations=0, tolerance=0.0), [1.0, 2.0, 3.0])


def test_no_start_no_end():
    assert minimise(each(bowl), np.empty((0, 3)), iterations=5, tolerance=0.0).shape == (0, 3)
