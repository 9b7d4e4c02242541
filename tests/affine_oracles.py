"""Operations over sample points, and searches, as slow float64 loops; the rest of `oracles`."""

from __future__ import annotations

import math

import numpy as np

from oracles import b_spline, b_spline_slope, is_inside, linear_at, nearest_at, position, remembered
from warpline.metrics import Samples
from warpline.metrics.correlation import Correlation
from warpline.metrics.normalised_product import NormalisedProduct
from warpline.registration.bfgs import minimise


def linear_slope_at(volume, point):
    """Exact derivative of the trilinear value by the coordinates; 0 along an axis where it is clamped.

    At a voxel centre the cell above it counts, at the last voxel the cell below.
    """
    slopes = []
    for axis, n in enumerate(volume.shape):
        x = point[axis]
        if n == 1 or not 0 <= x <= n - 1:
            slopes.append(0.0)
            continue
        low = min(math.floor(x), n - 2)
        above, below = list(point), list(point)
        above[axis], below[axis] = low + 1, low
        slopes.append(linear_at(volume, above) - linear_at(volume, below))
    return slopes


def visible_points(points, values, volume, matrix, mask):
    """(x, f, m, grad m) of every point that falls inside the volume and on its mask."""
    for x, f in zip(points, values, strict=True):
        y = position([float(c) for c in x], matrix, None)
        if not is_inside(y, volume.shape) or (mask is not None and not nearest_at(mask, y)):
            continue
        yield (*(float(c) for c in x), 1.0), float(f), linear_at(volume, y), linear_slope_at(volume, y)


@remembered
def affine_moments(points, values, volume, matrix, *, mask=None):
    """Moments (6,) and slopes (3, 3, 4)."""
    moments, slopes = np.zeros(6), np.zeros((3, 3, 4))
    for x, f, m, m_slope in visible_points(points, values, volume, matrix, mask):
        moments += (1, f, m, f * f, m * m, f * m)
        for w, weight in enumerate((1.0, f, m)):
            for row in range(3):
                for column in range(4):
                    slopes[w, row, column] += weight * m_slope[row] * x[column]
    return moments, slopes


def joint_histogram(points, values, volume, matrix, bins, *, mask=None):
    """Under one matrix. Rows: box of the fixed value. Columns: cubic B-spline window of the moving value."""
    histogram = np.zeros((bins, bins))
    for _, f, m, _ in visible_points(points, values, volume, matrix, mask):
        for column in range(bins):
            histogram[math.floor(f + 0.5), column] += b_spline(m - column)
    return histogram


def histogram_derivative(points, values, volume, matrix, table, *, mask=None):
    """``d sum(table * joint_histogram) / d matrix``: (3, 4)."""
    derivative = np.zeros((3, 4))
    for x, f, m, m_slope in visible_points(points, values, volume, matrix, mask):
        by_value = sum(table[math.floor(f + 0.5), c] * b_spline_slope(m - c) for c in range(len(table)))
        for row in range(3):
            for column in range(4):
                derivative[row, column] += by_value * m_slope[row] * x[column]
    return derivative


@remembered
def mutual_information(points, values, volume, matrix, bins, *, mask=None):
    """Negative mutual information, number of points and the derivative by the matrix, (14,)."""
    joint = joint_histogram(points, values, volume, matrix, bins, mask=mask)
    total, value, table = joint.sum(), 0.0, np.zeros((bins, bins))
    for f, m in np.ndindex(bins, bins):
        if joint[f, m] > 0:
            p, p_f, p_m = joint[f, m] / total, joint[f].sum() / total, joint[:, m].sum() / total
            value -= p * math.log(p / (p_f * p_m))
            table[f, m] = -math.log(p / (p_f * p_m)) / total
    slope = histogram_derivative(points, values, volume, matrix, table, mask=mask)
    return np.array([value, total, *slope.ravel()])


@remembered
def sample_at(volume, points):
    """Linear interpolant at points, 0 outside."""
    return np.array([linear_at(volume, p) if is_inside(p, volume.shape) else 0.0 for p in points.astype(np.float64)])


def family_member(family, search, parameters):
    """Fixed voxel to moving voxel (4, 4) of an `AffineFamily`; complex parameters give complex entries."""
    turn, logarithms, entries = (np.zeros(n, complex) for n in (3, 3, 9))
    for kind, value in zip(family.kinds, parameters[: len(family.kinds)] / family.radius, strict=True):
        if kind < 8:
            turn[kind] += value
        elif kind < 16:
            logarithms += value * np.array([(kind - 8) >> axis & 1 for axis in range(3)])
        else:
            entries[kind - 16] += value
    inner = np.eye(4, dtype=complex)
    inner[:3, :3] = np.exp(logarithms)[:, None] * rotation(turn) + entries.reshape(3, 3)
    inner[: family.translations, 3] = parameters[len(family.kinds) :]
    return family.left[search] @ inner @ family.right


def rotation(vector):
    """Rodrigues' formula."""
    x, y, z = vector
    cross, angle = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]]), np.sqrt(vector @ vector)
    if abs(angle) < 1e-10:
        return np.eye(3) + cross
    return np.eye(3) + np.sin(angle) / angle * cross + (1 - np.cos(angle)) / angle**2 * cross @ cross


def minimise_affine(backend, inputs, family, options, on_step):
    """`minimise` over the members of a family, whose slopes are found by complex steps."""
    samples = Samples(inputs.points, inputs.values, inputs.volume, backend, inputs.mask)
    metric = {"correlation": Correlation, "normalised_product": NormalisedProduct}.get(inputs.formula)

    def evaluated(matrices):
        if metric is not None:
            return metric(samples).values_and_derivatives(matrices)
        found = samples.mutual_information(matrices, inputs.bins, slopes=True)
        return found[:, 0], found[:, 1] / samples.count, found[:, 2:].reshape(-1, 3, 4)

    def function(which, parameters):
        steps = 1e-20j * np.eye(family.size)
        members = np.array([family_member(family, n, at).real for n, at in zip(which, parameters, strict=True)])
        slopes = np.array(
            [
                [family_member(family, n, at + step)[:3].imag / 1e-20 for step in steps]
                for n, at in zip(which, parameters, strict=True)
            ]
        )
        values, shares, by_matrix = evaluated(members)
        enough = shares >= options.least_overlap
        return np.where(enough, values, 0.0), np.einsum("aij,apij->ap", by_matrix, slopes) * enough[:, None]

    starts = np.zeros((len(family.left), family.size))
    return minimise(function, starts, iterations=options.iterations, tolerance=options.tolerance, on_step=on_step)
