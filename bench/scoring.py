"""The one set of numbers by which every tool is judged, on label maps and on a `Mapping`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.ndimage import map_coordinates

from mappings import Mapping

CORTICAL_FROM = 1000
SLAB = 32


def dice_per_label(fixed: np.ndarray, warped: np.ndarray, labels: np.ndarray) -> dict[int, float]:
    """Dice overlap of every label in `labels` (a label that the warp lost scores 0)."""
    size = int(max(fixed.max(), warped.max())) + 1
    in_fixed = np.bincount(fixed.ravel(), minlength=size)
    in_warped = np.bincount(warped.ravel(), minlength=size)
    in_both = np.bincount(fixed[fixed == warped], minlength=size)
    return {int(n): float(2 * in_both[n] / (in_fixed[n] + in_warped[n])) for n in labels}


def mean_dice(fixed: np.ndarray, warped: np.ndarray, moving: np.ndarray) -> dict[str, float]:
    """Mean Dice over the labels that both images have: all, cortical (>= 1000) and the rest."""
    common = np.intersect1d(np.unique(fixed), np.unique(moving))
    scores = dice_per_label(fixed, warped, common[common > 0])
    groups = {
        "dice": list(scores.values()),
        "dice_cortical": [d for n, d in scores.items() if n >= CORTICAL_FROM],
        "dice_subcortical": [d for n, d in scores.items() if n < CORTICAL_FROM],
    }
    return {name: float(np.mean(values)) for name, values in groups.items() if values}


def warp_labels(mapping: Mapping, moving: np.ndarray, moving_grid: np.ndarray, displaced: bool) -> np.ndarray:
    """Carry moving labels onto the fixed grid by nearest neighbour.

    Parameters
    ----------
    mapping : Mapping
        The map from fixed to moving world points.
    moving : ndarray
        Label image on the moving grid.
    moving_grid : ndarray, shape (4, 4)
        Its affine.
    displaced : bool
        False uses the affine part only.
    """
    shape = mapping.displacement.shape[:3]
    to_voxel = np.linalg.inv(moving_grid) @ mapping.affine
    warped = np.empty(shape, dtype=moving.dtype)
    for slab, world in _world_slabs(mapping.grid, shape):
        points = world + mapping.displacement[slab] if displaced else world
        voxels = points @ to_voxel[:3, :3].T + to_voxel[:3, 3]
        warped[slab] = map_coordinates(moving, np.moveaxis(voxels, -1, 0), order=0, cval=0)
    return warped


def _world_slabs(grid: np.ndarray, shape: tuple[int, ...]) -> Iterator[tuple[slice, np.ndarray]]:
    for start in range(0, shape[0], SLAB):
        slab = slice(start, min(start + SLAB, shape[0]))
        axes = np.meshgrid(np.arange(slab.start, slab.stop), *map(np.arange, shape[1:]), indexing="ij")
        yield slab, np.stack(axes, axis=-1) @ grid[:3, :3].T + grid[:3, 3]


def field_scores(mapping: Mapping, labels: np.ndarray) -> dict[str, float]:
    """Folds, bending energy and (where there is an inverse) inverse error, inside `labels` > 0."""
    box = _box(labels > 0)
    inside = labels[box] > 0
    jacobian = world_gradient(mapping.displacement[box], mapping.grid)
    scores = {**jacobian_scores(jacobian, inside), "bending": bending_energy(jacobian, mapping.grid, inside)}
    if mapping.inverse is not None:
        scores |= inverse_scores(mapping, mapping.inverse, np.argwhere(labels > 0))
    return scores


def world_gradient(field: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Derivatives along world axes by central differences: (I, J, K, C) to (I, J, K, C, 3)."""
    along_voxels = np.stack(np.gradient(field, axis=(0, 1, 2)), axis=-1)
    return along_voxels @ np.linalg.inv(grid[:3, :3]).astype(field.dtype)


def jacobian_scores(jacobian: np.ndarray, inside: np.ndarray) -> dict[str, float]:
    """Extremes of the determinant of ``I + du/dx``, spread of its logarithm, and share of voxels where it is <= 0.

    ``log_jacobian_sd`` is the standard deviation over the voxels where the determinant is positive.
    """
    determinant = np.linalg.det(jacobian[inside] + np.eye(3, dtype=jacobian.dtype))
    return {
        "folds": float(np.mean(determinant <= 0)),
        "jacobian_min": float(determinant.min()),
        "jacobian_max": float(determinant.max()),
        "log_jacobian_sd": float(np.log(determinant[determinant > 0]).std()),
    }


def bending_energy(jacobian: np.ndarray, grid: np.ndarray, inside: np.ndarray) -> float:
    """Mean over voxels of the sum of squared second derivatives of the displacement, 1/mm^2."""
    energy = 0.0
    for component in range(3):
        second = world_gradient(jacobian[..., component, :], grid)[inside]
        energy += float(np.mean(np.sum(np.square(second, dtype=np.float64), axis=(1, 2))))
    return energy


def inverse_scores(mapping: Mapping, inverse: np.ndarray, voxels: np.ndarray) -> dict[str, float]:
    """Distance in voxels left after the displacement and then its inverse: mean and 99th percentile."""
    to_voxel = np.linalg.inv(mapping.grid[:3, :3]).T
    forward = mapping.displacement[tuple(voxels.T)] @ to_voxel
    landed = (voxels + forward).T
    back = [map_coordinates(inverse[..., c], landed, order=1, mode="nearest") for c in range(3)]
    left = np.linalg.norm(forward + np.stack(back, axis=-1) @ to_voxel, axis=1)
    return {
        "inverse_error_mean": float(left.mean()),
        "inverse_error_p99": float(np.percentile(left, 99)),
    }


def _box(inside: np.ndarray, margin: int = 2) -> tuple[slice, ...]:
    return tuple(slice(max(0, int(w.min()) - margin), int(w.max()) + 1 + margin) for w in np.nonzero(inside))
