"""Quality control of one pair: the columns of its row in the results, their rules, and how they are measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Backend
from warpline.evaluation import overlap
from warpline.images import Image
from warpline.images.foreground import foreground_mask
from warpline.io.json_values import plain
from warpline.registration import Registration
from warpline.registration.judgement import LIMITS, MOST_ROTATION, Limit, Range
from warpline.registration.quality import P99_LIMIT
from warpline.resampling import warp
from warpline.space import Chain, Displacement
from warpline.space.grid import Matrix, apply_affine
from warpline.space.jacobian import jacobian_determinant

Metrics = dict[str, float | None]
"""Column to number; None where it does not apply."""


@dataclass(frozen=True)
class Column:
    """A column of the results.

    Parameters
    ----------
    group : str
        What it stands under on the pages.
    title : str
        What people call it.
    meaning : str
        One sentence.
    unit : str
        Empty for pure numbers.
    """

    group: str
    title: str
    meaning: str
    unit: str = ""


CONSISTENCY = ("inverse_error_mean", "inverse_error_p99", "inverse_error_max", "folded_voxels", "least_jacobian")
"""Columns that come from the quality of the warp as they are."""

_NCC = "Pearson correlation with the fixed image inside the object (in the box around it for images of few values)"
_LOCAL = "Mean squared correlation in windows of 5 voxels inside the object (at its edges for images of few values)"

JUDGED = tuple(name for name in LIMITS if name not in ("coverage", "jacobian_max") and name not in CONSISTENCY)
"""Signs of the judgement that are columns as they are. The columns `coverage` and `jacobian_max` are of the object,
those signs of everything that is not background: at other resolutions, so that they differ a little."""

COLUMNS: dict[str, Column] = {
    "ncc_before": Column("similarity", "Correlation before", f"{_NCC}, by the headers alone"),
    "ncc_after": Column("similarity", "Correlation", f"{_NCC}, after registration"),
    "ncc_gain": Column("similarity", "Correlation gained", "After minus before"),
    "local_ncc_before": Column("similarity", "Local correlation before", f"{_LOCAL}, by the headers alone"),
    "local_ncc_after": Column("similarity", "Local correlation", f"{_LOCAL}, after registration"),
    "local_ncc_gain": Column("similarity", "Local correlation gained", "After minus before"),
    "dice_before": Column("overlap", "Dice before", "Mean Dice of the labels, by the headers alone"),
    "dice": Column("overlap", "Dice", "Mean Dice of the labels that both images have, after registration"),
    "dice_lowest": Column("overlap", "Lowest Dice", "Dice of the label that overlaps least"),
    "labels_missing": Column("overlap", "Labels missing", "Labels that only one of the two images has"),
    "mask_dice": Column("overlap", "Dice of masks", "Dice of the fixed mask and the moving mask carried onto it"),
    "foreground_dice": Column("overlap", "Dice of foregrounds", "Dice of what is brighter than a tenth of the range"),
    "coverage": Column("overlap", "Coverage", "Share of the object that the map takes into the moving grid"),
    **{name: Column("judgement", LIMITS[name].title, f"{LIMITS[name].meaning}") for name in JUDGED},
    "translation": Column("affine", "Translation", "How far the centre of the fixed grid is moved", "mm"),
    "translation_x": Column("affine", "Translation x", "To the right", "mm"),
    "translation_y": Column("affine", "Translation y", "To the front", "mm"),
    "translation_z": Column("affine", "Translation z", "Upwards", "mm"),
    "rotation": Column("affine", "Rotation", "Angle of the rotation", "°"),
    "rotation_x": Column("affine", "Rotation x", "Part of the angle about the left-right axis", "°"),
    "rotation_y": Column("affine", "Rotation y", "Part of the angle about the back-front axis", "°"),
    "rotation_z": Column("affine", "Rotation z", "Part of the angle about the vertical axis", "°"),
    "scale_x": Column("affine", "Scale x", "Stretch along x; above 1 the moving object is larger"),
    "scale_y": Column("affine", "Scale y", "Stretch along y"),
    "scale_z": Column("affine", "Scale z", "Stretch along z"),
    "shear_xy": Column("affine", "Shear xy", "Share of y added to x"),
    "shear_xz": Column("affine", "Shear xz", "Share of z added to x"),
    "shear_yz": Column("affine", "Shear yz", "Share of z added to y"),
    "determinant": Column("affine", "Determinant", "Volume of the moving object over that of the fixed"),
    "displacement_mean": Column("deformation", "Displacement", "Mean length inside the object, affine left out", "mm"),
    "displacement_max": Column("deformation", "Largest displacement", "Inside the object, affine left out", "mm"),
    "jacobian_min": Column("deformation", "Least Jacobian", "Least determinant inside the object, affine left out"),
    "jacobian_p1": Column("deformation", "Jacobian, 1 %", "1st percentile of the determinant"),
    "jacobian_p99": Column("deformation", "Jacobian, 99 %", "99th percentile of the determinant"),
    "jacobian_max": Column("deformation", "Largest Jacobian", "Largest determinant inside the object"),
    "log_jacobian_sd": Column("deformation", "Amount of warping", "Standard deviation of the log-Jacobian"),
    "least_jacobian": Column("deformation", "Least by any differences", "Least determinant by any, of both directions"),
    "folded_voxels": Column(
        "deformation", "Folded voxels", "Determinant by any differences at most 0, the worse of both directions"
    ),
    "folded_share": Column("deformation", "Share folded", "Folded voxels as a share of the object"),
    "budget_bending": Column("deformation", "Bending", "Mean bending energy, where a budget limits it", "1/mm²"),
    "budget_jacobian_min": Column("deformation", "Least Jacobian, limited", "By any differences, where limited"),
    "budget_jacobian_max": Column("deformation", "Largest Jacobian, limited", "By any differences, where limited"),
    "budget_strain": Column("deformation", "Strain", "Largest logarithmic strain, where a budget limits it"),
    "uncertainty_median": Column("uncertainty", "Uncertainty", "Median spread of perturbed runs in the object", "mm"),
    "uncertainty_p95": Column("uncertainty", "Uncertainty, 95 %", "95th percentile of it", "mm"),
    "uncertainty_max": Column("uncertainty", "Largest uncertainty", "The largest", "mm"),
    "inverse_error_mean": Column("consistency", "Inverse error", "Mean miss, there and back", "voxel"),
    "inverse_error_p99": Column("consistency", "Inverse error, 99 %", "99th percentile of it", "voxel"),
    "inverse_error_max": Column("consistency", "Largest inverse error", "The largest", "voxel"),
}
"""What `measure` gives, in the order of ``results.tsv``."""

RUN_COLUMNS: dict[str, Column] = {
    "seconds": Column("run", "Time", "Wall-clock time of the pair, reading included, writing not", "s"),
    "memory_mb": Column("run", "Memory", "Most memory the worker has had so far", "MB"),
}
"""What the engine adds to them."""

_OPEN: Range = (None, None)


@dataclass(frozen=True)
class Rule:
    """How a column enters the verdict.

    Parameters
    ----------
    worse : str
        The side on which a distance from the cohort's median counts.
    least : float
        Lower bound of the robust standard deviation, in the column's unit, or as a share when `log`: in a cohort
        tighter than that, small differences are no outliers. 0: no comparison with the cohort.
    log : bool
        Compare logarithms: twice the median is as far as half of it.
    review, fail : (low, high)
        Values outside are for review, or fail the pair, in any cohort.
    decisive : bool
        Whether a robust z beyond `outliers.FAIL_Z` fails the pair, rather than asking for review.
    """

    worse: Literal["low", "high", "either"]
    least: float = 0.0
    log: bool = False
    review: Range = _OPEN
    fail: Range = _OPEN
    decisive: bool = False


def _absolute_rule(limit: Limit) -> Rule:
    """The rule of a sign of the judgement: fixed limits, no comparison with other pairs."""
    return Rule("high" if limit.doubtful[0] is None else "low", review=limit.doubtful, fail=limit.failed)


RULES: dict[str, Rule] = {
    "ncc_after": Rule("low", 0.02, decisive=True),
    "local_ncc_after": Rule("low", 0.02, decisive=True),
    "local_ncc_gain": Rule("low", review=(-0.02, None)),
    "dice": Rule("low", 0.02, fail=(0.05, None), decisive=True),
    "mask_dice": Rule("low", 0.01, review=(0.9, None), fail=(0.75, None)),
    "foreground_dice": Rule("low", 0.02, fail=(0.5, None)),
    "coverage": Rule("low", 0.02, review=(0.85, None), fail=(0.5, None)),
    "rotation": Rule("high", 2.0, review=(None, MOST_ROTATION)),
    "scale_x": Rule("either", 0.03, log=True),
    "scale_y": Rule("either", 0.03, log=True),
    "scale_z": Rule("either", 0.03, log=True),
    "shear_xy": Rule("either", 0.03),
    "shear_xz": Rule("either", 0.03),
    "shear_yz": Rule("either", 0.03),
    "determinant": Rule("either", 0.05, log=True, review=(0.6, 1.7), fail=(0.3, 3.3)),
    "displacement_mean": Rule("high", 0.3),
    "log_jacobian_sd": Rule("high", 0.05),
    "folded_share": Rule("high", review=(None, 0.0), fail=(None, 0.01)),
    "inverse_error_p99": Rule("high", review=(None, P99_LIMIT), fail=(None, 1.0)),
    **{name: _absolute_rule(LIMITS[name]) for name in JUDGED},
}
"""The columns that decide a verdict."""

_COVERAGE_SAMPLES = 20_000
"""Largest number of voxels that are mapped to estimate the coverage."""


def measure(registration: Registration, images: Mapping[str, Image], *, backend: Backend) -> Metrics:
    """Every number of `COLUMNS` that applies to a registration.

    Parameters
    ----------
    registration : Registration
        What `warpline.registration.compute` returned.
    images : dict of str to Image
        ``"fixed"`` and ``"moving"``, and where given ``"fixed_mask"``, ``"moving_mask"``, ``"fixed_labels"``,
        ``"moving_labels"`` and ``"warped_labels"``: the moving labels on the fixed grid.
    backend : Backend
        Where the arithmetic runs.

    Returns
    -------
    dict
        Plain numbers, never NaN; None where a column does not apply.
    """
    fixed = images["fixed"]
    inside = object_mask(images)
    alignment = registration.alignment
    found: Metrics = {
        **_similarity(registration.report["similarity"]),
        **_overlap(registration, images, backend),
        **{name: registration.report["judgement"]["signs"].get(name) for name in JUDGED},
        "coverage": _coverage(registration, inside),
        **affine_parameters(alignment.affine.matrix, fixed.grid.centre),
        **_consistency(registration.report["quality"]),
        **_spent(registration.report.get("budget")),
        **_spread(registration.report.get("uncertainty")),
    }
    if alignment.warp is not None:
        found |= _deformation(alignment.warp, inside, backend)
    return {name: plain(found.get(name)) for name in COLUMNS}


def object_mask(images: Mapping[str, Image]) -> NDArray[np.bool_]:
    """Where a pair is measured: the fixed mask, else the foreground of the fixed image; all where that is empty."""
    inside = images["fixed_mask"].data != 0 if "fixed_mask" in images else foreground_mask(images["fixed"])
    return inside if inside.any() else np.ones_like(inside)


def affine_parameters(matrix: Matrix, centre: NDArray[np.float64]) -> Metrics:
    """Translation, rotation, scales and shears of an affine, ``M = R K`` with R a rotation and K upper triangular.

    Parameters
    ----------
    matrix : (4, 4)
        Fixed world to moving world, RAS+ mm.
    centre : (3,)
        The point whose motion is the translation, in fixed world.

    Returns
    -------
    dict
        Translation in mm; rotation as an angle and its axis times it, in degrees; scales are the diagonal of K, shears
        its other entries over the diagonal of their row. A reflection shows as a negative `scale_z`.
    """
    linear = matrix[:3, :3]
    rotation, upper = np.linalg.qr(linear)
    signs = np.where(np.diag(upper) < 0, -1.0, 1.0)
    signs[2] *= np.sign(np.linalg.det(rotation * signs))
    rotation, upper = rotation * signs, upper * signs[:, None]
    scales = np.diag(upper)
    moved = apply_affine(matrix, centre) - centre
    turn = _rotation_vector(rotation)
    return {
        "translation": float(np.linalg.norm(moved)),
        **{f"translation_{axis}": float(value) for axis, value in zip("xyz", moved, strict=True)},
        "rotation": float(np.linalg.norm(turn)),
        **{f"rotation_{axis}": float(value) for axis, value in zip("xyz", turn, strict=True)},
        **{f"scale_{axis}": float(value) for axis, value in zip("xyz", scales, strict=True)},
        "shear_xy": float(upper[0, 1] / scales[0]),
        "shear_xz": float(upper[0, 2] / scales[0]),
        "shear_yz": float(upper[1, 2] / scales[1]),
        "determinant": float(np.linalg.det(linear)),
    }


def _rotation_vector(rotation: NDArray[np.float64]) -> NDArray[np.float64]:
    """Axis times angle (3,), in degrees."""
    from scipy.spatial.transform import Rotation

    vector: NDArray[np.float64] = Rotation.from_matrix(rotation).as_rotvec(degrees=True)
    return vector


def _similarity(similarity: Mapping[str, Mapping[str, float | None]]) -> Metrics:
    found: Metrics = {}
    for name in ("ncc", "local_ncc"):
        before, after = similarity["before"][name], similarity["after"][name]
        gain = None if before is None or after is None else after - before
        found |= {f"{name}_before": before, f"{name}_after": after, f"{name}_gain": gain}
    return found


def _overlap(registration: Registration, images: Mapping[str, Image], backend: Backend) -> Metrics:
    fixed = images["fixed"]
    found: Metrics = {"foreground_dice": _dice_of(foreground_mask(fixed), foreground_mask(registration.warped))}
    if "fixed_mask" in images and "moving_mask" in images:
        carried = warp(images["moving_mask"], registration.transform, fixed.grid, order=0, backend=backend)
        found["mask_dice"] = _dice_of(images["fixed_mask"].data != 0, carried.data != 0)
    if "fixed_labels" in images and "warped_labels" in images:
        found |= _label_overlap(images["fixed_labels"], images["warped_labels"])
        if "moving_labels" in images:
            start = warp(images["moving_labels"], Chain(), fixed.grid, order=0, backend=backend)
            found["dice_before"] = _label_overlap(images["fixed_labels"], start)["dice"]
    return found


def _label_overlap(fixed: Image, warped: Image) -> Metrics:
    if not np.any((fixed.data == warped.data) & (fixed.data != 0)):
        return {"dice": 0.0, "dice_lowest": 0.0}
    found = overlap(fixed, warped)
    return {
        "dice": found.mean,
        "dice_lowest": min(found.dice.values()),
        "labels_missing": len(found.missing),
    }


def _dice_of(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    together = int(np.count_nonzero(first)) + int(np.count_nonzero(second))
    return 2 * int(np.count_nonzero(first & second)) / together if together else 0.0


def _coverage(registration: Registration, inside: NDArray[np.bool_]) -> float:
    grid, other = registration.alignment.fixed.grid, registration.alignment.moving.grid
    voxels = np.argwhere(inside)
    voxels = voxels[:: max(1, len(voxels) // _COVERAGE_SAMPLES)]
    reached = registration.transform.map_points(apply_affine(grid.affine, voxels))
    return float(other.contains(reached).mean())


def _deformation(field: Displacement, inside: NDArray[np.bool_], backend: Backend) -> Metrics:
    squared = sum(np.square(component[inside]) for component in field.field)
    determinant = jacobian_determinant(field, backend)[inside]
    least, p1, p99, largest = np.percentile(determinant, (0, 1, 99, 100)).tolist()
    return {
        "displacement_mean": float(np.sqrt(squared).mean(dtype=np.float64)),
        "displacement_max": float(np.sqrt(np.max(squared))),
        "jacobian_min": least,
        "jacobian_p1": p1,
        "jacobian_p99": p99,
        "jacobian_max": largest,
        "log_jacobian_sd": float(np.log(np.maximum(determinant, 0.01)).std(dtype=np.float64)),
    }


def _consistency(quality: Mapping[str, float | None] | None) -> Metrics:
    if quality is None:
        return {}
    return {"folded_share": quality["folds"], **{name: quality.get(name) for name in CONSISTENCY}}


def _spread(uncertainty: Mapping[str, Any] | None) -> Metrics:
    """How far perturbed runs end from the map, where there are some."""
    if uncertainty is None:
        return {}
    names = {"uncertainty_median": "median", "uncertainty_p95": "p95", "uncertainty_max": "largest"}
    return {column: uncertainty[name] for column, name in names.items()}


def _spent(budget: Mapping[str, Any] | None) -> Metrics:
    """What is limited, of the worse of both maps; determinants of the inverse as the forward map would have them."""
    if budget is None:
        return {}
    found: Metrics = {}
    for column, name in (("budget_bending", "max_bending"), ("budget_strain", "max_strain")):
        if budget[name] is not None:
            found[column] = budget[name]["worst"]
    if budget["jacobian"] is not None:
        found["budget_jacobian_min"], found["budget_jacobian_max"] = budget["jacobian"]["worst"]
    return found
