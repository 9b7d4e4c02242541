"""BFGS from many starts over the parameters of an affine map."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from made_heads import lattice, scan
from made_levels import levels_of
from warpline.recipe import Linear
from warpline.registration.affine_parameters import AffineParameters
from warpline.registration.multi_start import MultiStartBfgs
from warpline.registration.objective import affine_objective

CENTRE = np.array([4.0, -3.0, 2.0])


class NearestTo:
    """The squared distance of a map to a given one; no backend minimises it by itself."""

    def __init__(self, matrix):
        self.matrix = matrix

    def values_and_derivatives(self, worlds):
        gap = worlds[:, :3] - self.matrix[:3]
        return np.square(gap).sum(axis=(1, 2)), 2 * gap

    def minimise_on_backend(self, parameters, starts, options, on_step):
        return None


def shifted(*millimetres, turn=(0, 0, 0)):
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(turn).as_matrix()
    matrix[:3, 3] = millimetres
    return matrix


STARTS = np.stack([shifted(9, 0, 0), shifted(-5, 8, 1, turn=(0, 0.2, 0.1)), shifted(0, 0, 0)])


@pytest.mark.parametrize("name", ["translation", "rigid", "similarity", "affine"])
def test_gradients_are_derivatives_by_the_parameters(name):
    parameters = AffineParameters.named(name, CENTRE, 50.0)
    search = MultiStartBfgs(NearestTo(shifted(1, 2, 3)), parameters, STARTS)
    at = np.random.default_rng(0).normal(size=(3, parameters.size))
    _, gradients = search.values_and_gradients(range(3), at)
    for number, step in enumerate(1e-5 * np.eye(parameters.size)):
        ends = [search.values_and_gradients(range(3), at + sign * step)[0] for sign in (1, -1)]
        np.testing.assert_allclose(gradients[:, number], np.subtract(*ends) / 2e-5, rtol=1e-5, atol=1e-4)


def test_some_of_the_starts_are_evaluated_as_among_all():
    parameters = AffineParameters.named("rigid", CENTRE, 50.0)
    search = MultiStartBfgs(NearestTo(shifted(1, 2, 3)), parameters, STARTS)
    at = np.random.default_rng(0).normal(size=(3, 6))
    together, part = search.values_and_gradients(range(3), at), search.values_and_gradients([0, 2], at[[0, 2]])
    np.testing.assert_allclose(part[0], together[0][[0, 2]])
    np.testing.assert_allclose(part[1], together[1][[0, 2]])


def test_every_start_reaches_the_minimum():
    truth = shifted(2, -1, 3, turn=(0.1, 0.05, -0.1))
    search = MultiStartBfgs(NearestTo(truth), AffineParameters.named("affine", CENTRE, 50.0), STARTS)
    np.testing.assert_allclose(search.run(200), np.stack([truth] * 3), atol=1e-2)


def test_a_map_keeps_to_its_family():
    search = MultiStartBfgs(NearestTo(shifted(2, -1, 3)), AffineParameters.named("translation", CENTRE, 50.0), STARTS)
    found = search.run(50)
    np.testing.assert_array_equal(found[:, :3, :3], STARTS[:, :3, :3])
    np.testing.assert_allclose(found[:2, :3, 3], [[2, -1, 3]] * 2, atol=1e-2)


def test_steps_are_reported_with_the_number_of_the_start():
    steps = []
    parameters = AffineParameters.named("translation", CENTRE, 50.0)
    MultiStartBfgs(NearestTo(shifted(2, -1, 3)), parameters, STARTS).run(3, lambda start, value: steps.append(start))
    assert {start: steps.count(start) for start in steps} == {0: 3, 1: 3, 2: 3}


def test_no_iterations_return_the_starts():
    search = MultiStartBfgs(NearestTo(shifted(2, -1, 3)), AffineParameters.named("affine", CENTRE, 50.0), STARTS)
    np.testing.assert_allclose(search.run(0), STARTS, atol=1e-12)


def test_images_are_brought_together_from_either_side(backend):
    levels = [levels_of(scan(lattice(), matrix), (8.0,), backend)[0] for matrix in (None, shifted(-6, 4, 3))]
    objective = affine_objective(*levels, Linear(samples=2000))
    starts = np.stack([shifted(0, 0, 0), shifted(12, -6, 0)])
    found = MultiStartBfgs(objective, AffineParameters.named("translation", np.zeros(3), 60.0), starts).run(20)
    np.testing.assert_allclose(found[:, :3, 3], [[6, -4, -3]] * 2, atol=0.6)
