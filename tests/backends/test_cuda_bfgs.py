"""Searches on the device go as those of the host do: the same steps, the same ends, from the kernels on the CPU."""

from __future__ import annotations

import numpy as np
import pytest

from conftest import emulated_backend
from cuda_on_cpu.emulated import GraphRuntime
from synthetic import ellipsoid, general_matrix, smooth_volume
from warpline.backends import cuda_bfgs, cuda_points
from warpline.backends.affine_problem import MetricInputs
from warpline.backends.cuda_backend import CudaBackend
from warpline.metrics import LINEAR_METRICS, Samples
from warpline.metrics.normalised_product import NormalisedProduct
from warpline.recipe import Linear
from warpline.registration import bfgs
from warpline.registration.affine_parameters import PLANAR, SPATIAL, AffineParameters
from warpline.registration.multi_start import MultiStartBfgs
from warpline.registration.objective import LEAST_OVERLAP, AffineObjective
from warpline.space.grid import Grid

SHAPE = (12, 11, 10)
CENTRE = (np.array(SHAPE) - 1) / 2
OBLIQUE = np.linalg.qr(np.array([[1.0, 0.2, 0.1], [0.0, 1.0, -0.3], [0.2, 0.0, 1.0]]))[0]
START = general_matrix(SHAPE, 3, spread=0.02)
FREE = [("tx,ty,rz,sy,hxz", None), ("tx,rz", OBLIQUE)]
MOTIONS = [*((name, None) for name in SPATIAL), *((name, OBLIQUE) for name in PLANAR), *FREE]
METRICS = {
    **{name: lambda samples, make=make: make(samples, Linear()) for name, make in LINEAR_METRICS.items()},
    "normalised_product": NormalisedProduct,
}


@pytest.fixture(scope="module")
def device():
    return emulated_backend()


def comparison(backend, metric="correlation", masked=False):
    """Of a volume, seen at random points, with itself, so that a start beside the identity can be mended."""
    volume = smooth_volume(SHAPE, 1, sigma=1.5)
    points = np.random.default_rng(2).uniform(0, np.array(SHAPE) - 1, (400, 3)).astype(np.float32)
    points, volume = backend.upload(points), backend.upload(volume)
    mask = backend.upload(ellipsoid(SHAPE, 0.49).astype(np.uint8)) if masked else None
    samples = Samples(points, backend.sample_at(volume, points), volume, backend, mask)
    grid = Grid(SHAPE, general_matrix(SHAPE, 4, spread=0.02))
    return AffineObjective(METRICS[metric](samples), grid, grid)


def both_ways(compared, motion, starts, iterations=8, tolerance=1e-6):
    """Parameters and energies of each search, by the device and by the host, and how often the host evaluated."""
    descent, asked = MultiStartBfgs(compared, motion, starts), []
    options = bfgs.bfgs_options(iterations, tolerance, LEAST_OVERLAP)
    found = {"device": [[] for _ in starts], "host": [[] for _ in starts]}
    there = compared.minimise_on_backend(motion, starts, options, lambda n, value: found["device"][n].append(value))

    def energies(which, parameters):
        asked.append(which)
        return descent.values_and_gradients(which, parameters)

    here = bfgs.minimise(
        energies, np.zeros((len(starts), motion.size)), iterations=iterations, tolerance=tolerance,
        on_step=lambda n, value: found["host"][n].append(value),
    )  # fmt: skip
    return (there, found["device"]), (here, found["host"]), len(asked)


def assert_alike(device, host, atol=1e-6):
    (there, told), (here, heard) = device, host
    assert [len(energies) for energies in told] == [len(energies) for energies in heard]
    for energies, expected in zip(told, heard, strict=True):
        np.testing.assert_allclose(energies, expected, atol=atol)
    np.testing.assert_allclose(there, here, atol=atol)


@pytest.mark.parametrize(("name", "plane"), MOTIONS)
def test_every_motion(name, plane, device):
    motion = AffineParameters.after(START, name, CENTRE, 6.0, plane)
    found, expected, _ = both_ways(comparison(device), motion, START[None])
    assert_alike(found, expected)
    assert len(found[1][0]) >= 3
    assert np.abs(found[0]).max() > 0.01


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("masked", [False, True])
def test_every_metric(metric, masked, device):
    motion = AffineParameters.named("affine", CENTRE, 6.0)
    found, expected, _ = both_ways(comparison(device, metric, masked), motion, START[None])
    assert_alike(found, expected)
    assert len(found[1][0]) >= 3


@pytest.mark.parametrize("most", [2, 100])
def test_many_searches_that_end_at_different_times(most, device, monkeypatch):
    starts = np.stack([np.eye(4), START, general_matrix(SHAPE, 7, spread=0.1), general_matrix(SHAPE, 8, spread=0.05)])
    monkeypatch.setattr(cuda_points, "most_at_once", lambda bins: most)
    found, expected, _ = both_ways(comparison(device), AffineParameters.named("rigid", CENTRE, 6.0), starts, 12, 1e-3)
    assert_alike(found, expected)
    assert len({len(energies) for energies in found[1]}) > 1


def far(shift):
    start = np.eye(4)
    start[0, 3] = shift
    return start


def test_a_search_without_overlap_stays_where_it_is(device):
    starts = np.stack([far(500.0), START])
    found, expected, _ = both_ways(comparison(device), AffineParameters.named("rigid", CENTRE, 6.0), starts)
    assert_alike(found, expected)
    np.testing.assert_array_equal(found[0][0], 0)
    assert (found[1][0], len(found[1][1]) > 2) == ([], True)


def test_steps_that_go_too_far_are_shortened(device):
    motion = AffineParameters.named("rigid", CENTRE, 0.2)  # a first step of up to five radians
    found, expected, asked = both_ways(comparison(device), motion, START[None])
    assert asked > 2 + len(expected[1][0])
    assert_alike(found, expected)


def test_a_search_without_progress_resets_its_hessian_and_ends(device):
    """Where the slope is wrong in the last digits, as at the optimum of what is piecewise smooth."""
    found, expected, asked = both_ways(
        comparison(device), AffineParameters.named("affine", CENTRE, 6.0), START[None], 200, 0.0
    )
    assert len(found[1][0]) < 200 and asked > 200 // 8
    np.testing.assert_allclose(found[1][0][-1], expected[1][0][-1], rtol=1e-4)
    assert np.all(np.diff(found[1][0]) <= 0)


def test_reported_values_are_ordered_and_those_of_the_metric(device):
    compared, motion = comparison(device), AffineParameters.named("rigid", CENTRE, 6.0)
    (parameters, told), _, _ = both_ways(compared, motion, START[None], iterations=30)
    values, _ = MultiStartBfgs(compared, motion, START[None]).values_and_gradients([0], parameters)
    np.testing.assert_allclose(told[0][-1], values[0], rtol=1e-9)
    assert np.all(np.diff(told[0]) <= 0)


def test_no_search_and_no_iteration(device):
    motion = AffineParameters.named("rigid", CENTRE, 6.0)
    options = bfgs.bfgs_options(0, 1e-6, LEAST_OVERLAP)
    found = comparison(device).minimise_on_backend(motion, START[None], options, lambda *_: None)
    np.testing.assert_array_equal(found, np.zeros((1, 6)))
    none = comparison(device).minimise_on_backend(
        motion, np.empty((0, 4, 4)), bfgs.bfgs_options(5, 0, 0), lambda *_: None
    )
    assert none.shape == (0, 6)


def test_the_host_looks_once_for_many_evaluations():
    runtime = GraphRuntime()
    device, looks, to_host = CudaBackend(runtime), [], runtime.to_host
    compared = comparison(device)
    runtime.to_host = lambda array, out=None: (looks.append(array.shape), to_host(array, out))[1]
    motion, options = AffineParameters.named("affine", CENTRE, 6.0), bfgs.bfgs_options(30, 1e-6, LEAST_OVERLAP)
    runtime.launches.clear()
    with device.session():
        compared.minimise_on_backend(motion, START[None], options, lambda *_: None)
    asked = runtime.launches.count("bfgs")
    assert asked == runtime.launches.count("affine_moments") == len(looks) * cuda_bfgs.BATCH
    assert len(looks) == -(-asked // cuda_bfgs.BATCH) <= 3


def test_a_formula_without_a_kernel_is_left_to_the_solver(device):
    unknown = MetricInputs(None, None, None, None, formula="another")
    assert device.minimise_affine(unknown, None, None, None) is None
