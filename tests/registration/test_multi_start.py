"""Searches for the affine map that minimises an objective."""

from __future__ import annotations

import numpy as np

from warpline.registration.affine_parameters import AffineParameters
from warpline.registration.multi_start import AffineSearch

TARGET = np.eye(4)
TARGET[:3, 3] = 3, -2, 5


class Bowl:
    """An objective with its minimum, 0, at `TARGET`; no backend searches it."""

    def descend(self, *_):
        return None

    def values_and_derivatives(self, matrices):
        gap = matrices[:, :3] - TARGET[:3]
        return (gap**2).sum(axis=(1, 2)), 2 * gap


def search(starts):
    return AffineSearch(Bowl(), AffineParameters.named("translation", np.zeros(3), 50.0), np.stack(starts))


def start(*shift):
    matrix = np.eye(4)
    matrix[:3, 3] = shift
    return matrix


def test_every_start_reaches_the_minimum():
    found = search([start(0, 0, 0), start(10, 10, 10)]).run(50)
    np.testing.assert_allclose(found, [TARGET, TARGET], atol=1e-3)


def test_steps_are_reported_by_number_and_never_rise():
    seen = {0: [], 1: []}
    search([start(0, 0, 0), start(10, 10, 10)]).run(50, lambda number, value: seen[number].append(value))
    assert all(len(values) > 0 and np.all(np.diff(values) <= 0) for values in seen.values())


def test_gradients_are_the_slope_of_the_values():
    searched, at, small = search([start(1, 2, 3)]), np.array([[0.5, -1.0, 2.0]]), 1e-5
    _, gradient = searched.values_and_gradients([0], at)
    for axis in range(3):
        step = small * np.eye(3)[axis]
        (above,), (below,) = (searched.values_and_gradients([0], at + sign * step)[0] for sign in (1, -1))
        np.testing.assert_allclose((above - below) / (2 * small), gradient[0, axis], rtol=1e-6)
