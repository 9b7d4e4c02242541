"""Updates as B-splines: what a lattice can hold is kept, the rest is smoothed away."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import BSpline

from warpline.registration.spline_smoothing import SplineSmoothing, halvings

SHAPE = (24, 32, 16)


def smoothed(forces, spacing, backend, norms=(0.0, 0.0)):
    """The updates and the norms."""
    out, out_norm = backend.empty(forces.shape), backend.upload(np.array(norms, np.float32))
    SplineSmoothing(forces.shape, spacing, backend).smooth(backend.upload(forces), out=out, out_norm=out_norm)
    return backend.download(out), backend.download(out_norm)


def along_j(values):
    """Forces (2, 3, *SHAPE) that change along the second axis only, the second side three times the first."""
    line = np.asarray(values).reshape(1, 1, 1, -1, 1) * np.reshape([1.0, 3.0], (2, 1, 1, 1, 1))
    return np.broadcast_to(line, (2, 3, *SHAPE)).astype(np.float32)


@pytest.mark.parametrize("shape", [SHAPE, (13, 17, 1)])
def test_constants_stay(backend, shape):
    forces = np.full((2, 3, *shape), 2.0, np.float32)
    found, norms = smoothed(forces, 8.0, backend, norms=(0.0, 100.0))
    np.testing.assert_allclose(found, forces, atol=1e-5)
    np.testing.assert_allclose(norms, [2 * 3**0.5, 100.0], rtol=1e-5)


@pytest.mark.parametrize("spacing", [2, 4, 8])
def test_a_step_becomes_the_quadratic_spline_of_its_means(backend, spacing):
    """Against SciPy's spline with these control points; subdivision ends a voxel before its limit."""
    means = np.zeros(32 // spacing)
    means[len(means) // 2] = 1
    found = smoothed(along_j(np.repeat(means, spacing)), spacing, backend)[0][0, 0, 12, :, 8]
    knots = spacing * np.arange(-1, len(means) + 2) - 0.5
    exact = BSpline(knots, means, 2)(np.arange(32))
    inner = slice(2 * spacing, -2 * spacing)
    np.testing.assert_allclose(found[inner], exact[inner], atol=0.3 / spacing)
    assert abs(found[inner].sum() - exact[inner].sum()) < 0.1


def test_waves_as_short_as_the_spacing_vanish(backend):
    place = 2 * np.pi * np.arange(32)
    for length, least, most in ((32, 2.4, 3.0), (4, 0.0, 1e-4)):
        found, norms = smoothed(along_j(np.sin(place / length)), 4.0, backend)
        assert least <= np.abs(found).max() <= most
        np.testing.assert_allclose(norms, 3**0.5 * np.abs(found).max(axis=(1, 2, 3, 4)), atol=1e-5)


def test_spacings_are_powers_of_two_of_a_voxel():
    assert [halvings(spacing) for spacing in (0.1, 2, 2.8, 3, 6.5, 11, 12)] == [1, 1, 1, 2, 3, 3, 4]
