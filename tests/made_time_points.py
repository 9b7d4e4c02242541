"""Time points of a smooth 2-D head whose values are known everywhere, so that its motion and growth are exact."""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq

from warpline.images import Image
from warpline.space.grid import Grid, apply_affine

SHAPE, SIZE, VENTRICLE, REACH = (44, 40), 2.0, 9.0, 16.0
GROWTH = 0.06
ONE = {"backend": "numba", "threads": 1}
QUICK = {**ONE, "settings": ["syn.iterations=[10, 5]", "syn.factors=[2, 1]"]}


def grid(size=SIZE):
    affine = np.diag([size, size, 1, 1.0])
    affine[:2, 3] = -size * (np.array(SHAPE) - 1) / 2
    return Grid((*SHAPE, 1), affine, flat=True)


def placed(degrees, shift):
    """Head to time point, (4, 4)."""
    angle, matrix = np.radians(degrees), np.eye(4)
    matrix[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    matrix[:2, 3] = shift
    return matrix


def before_growth(radius, growth):
    """Where what is now at a distance from the centre in mm was before."""
    return radius * (1 - growth * np.exp(-((radius / REACH) ** 2)))


def ventricle_growth(growth):
    """By how many per cent the ventricle is larger, in area."""
    now = brentq(lambda radius: before_growth(radius, growth) - VENTRICLE, 0, 30)
    return 100 * ((now / VENTRICLE) ** 2 - 1)


def time_point(growth=0.0, degrees=0.0, shift=(0.0, 0.0), *, seed=0, noise=0.01, name="point", size=SIZE):
    """An image of the head, turned and shifted in mm, with noise."""
    where = grid(size)
    voxels = np.moveaxis(np.indices(where.shape), 0, -1)
    x, y, _ = np.moveaxis(apply_affine(np.linalg.inv(placed(degrees, shift)) @ where.affine, voxels), -1, 0)
    radius = np.hypot(x, y)
    then = before_growth(radius, growth)
    x, y = (part * then / np.maximum(radius, 1e-9) for part in (x, y))
    head = 1 / (1 + np.exp((np.hypot(x / 34, y / 30) - 1) * 30))
    inner = 1 / (1 + np.exp((np.hypot(x, y) - VENTRICLE) * 3))
    texture = 1 + 0.25 * np.sin(x / 2.5) * np.cos(y / 3) + 0.15 * np.sin(y / 2 + x / 7)
    drawn = np.random.default_rng(seed).normal(0, noise, where.shape)
    return Image((100 * (head * (texture - 0.8 * inner) + drawn)).astype(np.float32), where, name)


def ventricle(degrees=0.0, shift=(0.0, 0.0)):
    """The label of the ventricle before it grows."""
    where = grid()
    voxels = np.moveaxis(np.indices(where.shape), 0, -1)
    x, y, _ = np.moveaxis(apply_affine(np.linalg.inv(placed(degrees, shift)) @ where.affine, voxels), -1, 0)
    return Image((np.hypot(x, y) < VENTRICLE).astype(np.uint8), where, "labels")
