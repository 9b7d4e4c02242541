"""Small made-up volumes, fields and label maps whose answers are known."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates


def smooth_volume(shape, seed=0, sigma=1.0):
    """Random smooth float32 volume with values from 0 to 1."""
    noise = np.random.default_rng(seed).normal(size=shape)
    volume = gaussian_filter(noise, [sigma if n > 1 else 0 for n in shape])
    return ((volume - volume.min()) / max(np.ptp(volume), 1e-12)).astype(np.float32)


def smooth_field(shape, seed=0, largest=1.0, sigma=3.0):
    """Random smooth float32 field (3, *shape), longest vector `largest` voxels, flat along axes of one voxel.

    Invertible for `largest` below about `sigma` / 2.
    """
    noise = np.random.default_rng(seed).normal(size=(3, *shape))
    field = np.stack([gaussian_filter(component, sigma, mode="nearest") for component in noise])
    for axis, n in enumerate(shape):
        if n == 1:
            field[axis] = 0
    longest = np.sqrt(np.square(field).sum(axis=0)).max()
    return (field * (largest / max(longest, 1e-12))).astype(np.float32)


def fading_field(shape, seed=0, largest=1.0, sigma=3.0):
    """`smooth_field` that fades to zero at the outer faces, so that nothing leaves the grid."""
    field = smooth_field(shape, seed, 1.0, sigma)
    for axis, n in enumerate(shape):
        if n > 1:
            window = np.sin(np.pi * np.arange(n) / (n - 1)) ** 2
            field *= np.expand_dims(window, [a for a in range(3) if a != axis]).astype(np.float32)
    longest = np.sqrt(np.square(field).sum(axis=0)).max()
    return (field * (largest / max(float(longest), 1e-12))).astype(np.float32)


def wide_field(shape, seed=0, largest=4.0):
    """Random rough float32 field (3, *shape): neighbours unrelated, many vectors leave the grid."""
    return np.random.default_rng(seed).uniform(-largest, largest, (3, *shape)).astype(np.float32)


def label_map(shape, dtype=np.uint8, labels=(0, 1, 2, 5)):
    """Blocky label map: each octant-like cell of 3 voxels has one of `labels`."""
    cells = np.add.reduce([n // 3 for n in np.indices(shape)])
    return np.asarray(labels, dtype=dtype)[cells % len(labels)]


def ellipsoid(shape, axes=0.4):
    """Boolean ellipsoid in the middle of the grid; half-axes are `axes` times the grid's size."""
    middle = [(n - 1) / 2 for n in shape]
    distance = sum(((i - c) / (axes * n)) ** 2 for i, c, n in zip(np.indices(shape), middle, shape, strict=True))
    return distance <= 1


def soft_weights(shape, seed=0, axes=0.4):
    """Weights from 0.25 to 1.5 in an ellipsoid, and below 0 around it, float32."""
    drawn = np.random.default_rng(seed).uniform(0.25, 1.5, shape)
    return np.where(ellipsoid(shape, axes) > 0, drawn, -drawn).astype(np.float32)


def general_matrix(shape, seed=0, spread=0.15):
    """Affine voxel map (4, 4) near identity: every entry differs, and the middle of `shape` moves little."""
    rng = np.random.default_rng(seed)
    matrix = np.eye(4)
    matrix[:3, :3] += rng.uniform(-spread, spread, (3, 3))
    middle = (np.array(shape) - 1) / 2
    matrix[:3, 3] = middle - matrix[:3, :3] @ middle + rng.uniform(-0.4, 0.4, 3)
    return matrix


def pair_with_known_map(shape, seed=0, largest=1.5):
    """(fixed, moving, field) in voxels: ``fixed(x) = moving(x + field(x))`` with a smooth invertible field."""
    moving = smooth_volume(shape, seed, sigma=1.5)
    field = fading_field(shape, seed + 1, largest, sigma=4.0)
    where = np.indices(shape) + field.astype(np.float64)
    fixed = map_coordinates(moving, where, order=3, mode="mirror", output=np.float32)
    return fixed, moving, field
