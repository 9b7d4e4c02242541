"""Metrics of volumes again as slow float64 loops."""

from __future__ import annotations

import math
from itertools import product

import numpy as np

from oracles import remembered, slope_at, voxels


def on_face(index, shape):
    """Whether a voxel lies on an outer face; an axis of one voxel has none."""
    return any(n > 1 and i in (0, n - 1) for i, n in zip(index, shape, strict=True))


def weight_at(index, mask):
    """The weight of a voxel: 1 without a mask, 0 where it is not positive."""
    return 1.0 if mask is None else max(float(mask[index]), 0.0)


def window(index, shape, radius, mask):
    """Voxels of the window around `index` that lie in the volume and on the mask."""
    ranges = (range(max(i - radius, 0), min(i + radius, n - 1) + 1) for i, n in zip(index, shape, strict=True))
    return [near for near in product(*ranges) if mask is None or mask[near] > 0]


@remembered
def local_cc(fixed, moving, radius, *, contrast_floor, mask=None):
    """Value, force on the fixed image, force on the moving image."""
    f, m = np.asarray(fixed, dtype=np.float64), np.asarray(moving, dtype=np.float64)
    total, forces = 0.0, np.zeros((2, 3, *f.shape))
    for index in voxels(f.shape):
        near, weight = window(index, f.shape, radius, mask), weight_at(index, mask)
        if weight == 0:
            continue
        f_near, m_near = np.array([f[i] for i in near]), np.array([m[i] for i in near])
        f_mean, m_mean = f_near.mean(), m_near.mean()
        s_ff, s_mm = ((f_near - f_mean) ** 2).sum(), ((m_near - m_mean) ** 2).sum()
        s_fm = ((f_near - f_mean) * (m_near - m_mean)).sum()
        if s_ff <= contrast_floor * len(near) or s_mm <= contrast_floor * len(near):
            continue
        total += weight * s_fm**2 / (s_ff * s_mm)
        if on_face(index, f.shape):
            continue
        d_f, d_m = f[index] - f_mean, m[index] - m_mean
        by_f = 2 * s_fm / (s_ff * s_mm) * (d_m - s_fm / s_ff * d_f)
        by_m = 2 * s_fm / (s_ff * s_mm) * (d_f - s_fm / s_mm * d_m)
        for axis in range(3):
            forces[(0, axis, *index)] = weight * by_f * slope_at(f, index, axis)
            forces[(1, axis, *index)] = weight * by_m * slope_at(m, index, axis)
    return -total / f.size, forces[0], forces[1]


@remembered
def squared_difference(fixed, moving, *, mask=None):
    """Value, force on the fixed image, force on the moving image."""
    f, m = np.asarray(fixed, dtype=np.float64), np.asarray(moving, dtype=np.float64)
    total, forces = 0.0, np.zeros((2, 3, *f.shape))
    for index in voxels(f.shape):
        weight = weight_at(index, mask)
        total += weight * (f[index] - m[index]) ** 2
        if on_face(index, f.shape):
            continue
        for axis in range(3):
            forces[(0, axis, *index)] = weight * (m[index] - f[index]) * slope_at(f, index, axis)
            forces[(1, axis, *index)] = weight * (f[index] - m[index]) * slope_at(m, index, axis)
    return total / f.size, forces[0], forces[1]


def parzen_window(distance):
    """The cubic B-spline at whole numbers, and linear between them."""
    return np.interp(abs(distance), (0, 1, 2), (2 / 3, 1 / 6, 0))


def joint_distribution(fixed, moving, bins, span, mask=None):
    """Joint distribution of grey values by the Parzen window in both, every voxel for itself."""
    joint = np.zeros((bins, bins))
    values = (binned(image if mask is None else image[mask > 0], bins, span) for image in (fixed, moving))
    for f, m in zip(*values, strict=True):
        joint += np.outer(*([parzen_window(b - at) for b in range(bins)] for at in (f, m)))
    return joint / max(joint.sum(), 1)


def binned(values, bins, span):
    """Values in units of bins, clamped to the second one and the last but one."""
    return np.clip((np.float64(values).ravel() - span[0]) * (bins - 3) / (span[1] - span[0]) + 1, 1, bins - 2)


@remembered
def mutual_information_of_volumes(fixed, moving, bins, span, mask=None):
    """``-sum p log(p / (p_f p_m))`` cell by cell."""
    joint = joint_distribution(fixed, moving, bins, span, mask)
    rows, columns = joint.sum(axis=1), joint.sum(axis=0)
    return -sum(p * math.log(p / (rows[i] * columns[j])) for (i, j), p in np.ndenumerate(joint) if p > 0)


@remembered
def mutual_information_forces(fixed, moving, bins, *, span, mask=None):
    """Value, force on the fixed image, force on the moving image."""
    joint, scale = joint_distribution(fixed, moving, bins, span, mask), (bins - 3) / (span[1] - span[0])
    rows, columns = joint.sum(axis=1), joint.sum(axis=0)
    logs = np.zeros((bins, bins))
    for (i, j), p in np.ndenumerate(joint):
        logs[i, j] = math.log(p / (rows[i] * columns[j])) if p > 0 else 0
    value, forces = -float((joint * logs).sum()), np.zeros((2, 3, *fixed.shape))
    for index in voxels(fixed.shape):
        if on_face(index, fixed.shape) or (mask is not None and not mask[index] > 0):
            continue
        at = [binned(image[index], bins, span)[0] for image in (fixed, moving)]
        for side, image in enumerate((fixed, moving)):
            if not span[0] < image[index] < span[1]:
                continue
            window, slope = ([parzen_window(b - at[1 - side]) for b in range(bins)], parzen_slope(at[side], bins))
            found = scale * (slope @ (logs if side == 0 else logs.T) @ window)
            for axis in range(3):
                forces[(side, axis, *index)] = weight_at(index, mask) * found * slope_at(image, index, axis)
    return value, forces[0], forces[1]


def parzen_slope(at, bins):
    """The derivative of the window at every bin by the value, from the bins that it lies between."""
    below = min(int(at), bins - 3)
    return np.array([parzen_window(b - below - 1) - parzen_window(b - below) for b in range(bins)])
