"""Whole registrations in one call, from files, images or arrays."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import nibabel
import numpy as np
from numpy.typing import ArrayLike, NDArray

from warpline.dipy.affine_map import AffineMap, transform_centers_of_mass
from warpline.dipy.diffeomorphic_map import DiffeomorphicMap
from warpline.dipy.images import array_and_affine
from warpline.dipy.linear import AffineRegistration
from warpline.dipy.linear_transforms import (
    AffineTransform3D,
    RigidIsoScalingTransform3D,
    RigidScalingTransform3D,
    RigidTransform3D,
    Transform,
    TranslationTransform3D,
)
from warpline.dipy.metrics import CCMetric, EMMetric, SSDMetric, SynMetric
from warpline.dipy.mutual_information import MutualInformationMetric
from warpline.dipy.syn import SymmetricDiffeomorphicRegistration
from warpline.errors import InputError, UsageError
from warpline.space.grid import Matrix

SYN_METRICS: dict[str, Callable[..., SynMetric]] = {"CC": CCMetric, "EM": EMMetric, "SSD": SSDMetric}
"""Names of the metrics of `syn_registration`."""

STEPS: dict[str, type[Transform] | None] = {
    "center_of_mass": None,
    "translation": TranslationTransform3D,
    "rigid": RigidTransform3D,
    "rigid_isoscaling": RigidIsoScalingTransform3D,
    "rigid_scaling": RigidScalingTransform3D,
    "affine": AffineTransform3D,
}
"""Steps of the pipeline of `affine_registration`."""

PIPELINE = ("center_of_mass", "translation", "rigid", "affine")
"""What it runs by default."""


def affine_registration(
    moving: Any,
    static: Any,
    moving_affine: Matrix | None = None,
    static_affine: Matrix | None = None,
    pipeline: Sequence[str | Callable[..., Any]] | None = None,
    starting_affine: Matrix | None = None,
    metric: str = "MI",
    level_iters: Sequence[int] | None = None,
    sigmas: Sequence[float] | None = None,
    factors: Sequence[float] | None = None,
    ret_metric: bool = False,
    moving_mask: NDArray[Any] | None = None,
    static_mask: NDArray[Any] | None = None,
    optimizer_options: dict[str, Any] | None = None,
    **metric_kwargs: Any,
) -> tuple[Any, ...]:
    """Register linearly in steps of growing freedom.

    Parameters
    ----------
    moving, static : path, nibabel image or array
        3-D images.
    moving_affine, static_affine : (4, 4), optional
        Voxel to world (RAS+ mm); needed for arrays.
    pipeline : sequence, optional
        Keys of `STEPS` or the functions of those names;
        ``["center_of_mass", "translation", "rigid", "affine"]`` when None.
    starting_affine : (4, 4), optional
        Static world to moving world; identity when None. A step "center_of_mass" replaces it.
    metric : {"MI"}
        Mutual information.
    level_iters, sigmas, factors, optimizer_options
        As in `AffineRegistration`.
    ret_metric : bool
        Return parameters and energy of the last step as well.
    moving_mask, static_mask : arrays, optional
        Nonzero where an image counts.
    **metric_kwargs
        Options of `MutualInformationMetric`.

    Returns
    -------
    resampled : float64 array
        The moving image on the static grid.
    affine : (4, 4)
        Static world to moving world.
    parameters, energy
        With `ret_metric` only.

    Raises
    ------
    UsageError
        When a step or metric is not offered.
    InputError
        When an image is no volume.

    Examples
    --------
    >>> import numpy as np
    >>> x, y, z = np.indices((16, 16, 16)) - 7.5
    >>> static = np.exp(-(x**2 + 2 * y**2 + 4 * z**2) / 40)
    >>> moving = np.roll(static, 2, axis=0)
    >>> from warpline.dipy import affine_registration
    >>> resampled, matrix = affine_registration(
    ...     moving, static, np.eye(4), np.eye(4), pipeline=["center_of_mass", "translation"], level_iters=[10]
    ... )
    >>> matrix[:3, 3].round(1) + 0.0
    array([2., 0., 0.])
    """
    if metric.upper() != "MI":
        raise UsageError(f"metric {metric!r} is not offered; use 'MI'")
    names = [_name(step) for step in pipeline or PIPELINE]
    if starting_affine is not None and "center_of_mass" in names:
        warnings.warn("the step center_of_mass replaces starting_affine", UserWarning, stacklevel=2)
    if ret_metric and names == ["center_of_mass"]:
        raise UsageError("center_of_mass has no metric to return; add a step or set ret_metric=False")
    static, static_affine = array_and_affine(static, static_affine, "static")
    moving, moving_affine = array_and_affine(moving, moving_affine, "moving")
    if static.ndim != 3 or moving.ndim != 3:
        raise InputError(
            f"static has {static.ndim} axes and moving {moving.ndim}; volumes are needed: for 2-D images, use "
            "AffineRegistration with a 2-D transform"
        )
    affreg = AffineRegistration(
        MutualInformationMetric(**metric_kwargs), level_iters, sigmas, factors, options=optimizer_options
    )
    matrix: Any = np.eye(4) if starting_affine is None else np.asarray(starting_affine)
    outcome: tuple[Any, ...] = ()
    for kind in (STEPS[name] for name in names):
        if kind is None:
            counted = [_masked(static, static_mask), static_affine, _masked(moving, moving_mask), moving_affine]
            matrix = transform_centers_of_mass(*counted).affine
            continue
        found, *outcome_list = affreg.optimize(  # type: ignore[misc]
            static, moving, kind(), None, static_affine, moving_affine, matrix, True, static_mask, moving_mask
        )
        matrix, outcome = found.affine, tuple(outcome_list)
    resampled = AffineMap(matrix, static.shape, static_affine, moving.shape, moving_affine).transform(moving)
    return (resampled, matrix, *outcome) if ret_metric else (resampled, matrix)


def _masked(image: NDArray[Any], mask: NDArray[Any] | None) -> NDArray[Any]:
    return image if mask is None else image * mask


center_of_mass = partial(affine_registration, pipeline=["center_of_mass"])
translation = partial(affine_registration, pipeline=["translation"])
rigid = partial(affine_registration, pipeline=["rigid"])
rigid_isoscaling = partial(affine_registration, pipeline=["rigid_isoscaling"])
rigid_scaling = partial(affine_registration, pipeline=["rigid_scaling"])
affine = partial(affine_registration, pipeline=["affine"])


def syn_registration(
    moving: Any,
    static: Any,
    moving_affine: Matrix | None = None,
    static_affine: Matrix | None = None,
    step_length: float = 0.25,
    metric: str = "CC",
    dim: int = 3,
    level_iters: Sequence[int] | None = None,
    prealign: ArrayLike | None = None,
    **metric_kwargs: Any,
) -> tuple[NDArray[np.float32], DiffeomorphicMap]:
    """Register deformably by SyN.

    Parameters
    ----------
    moving, static : path, nibabel image or array
        Images of `dim` axes.
    moving_affine, static_affine : (dim + 1, dim + 1), optional
        Voxel to world (RAS+ mm); needed for arrays.
    step_length, level_iters
        As in `SymmetricDiffeomorphicRegistration`, with [10, 10, 5] iterations when None.
    metric : {"CC", "EM", "SSD"}
        Similarity.
    dim : {2, 3}
        Dimension of the images.
    prealign : (dim + 1, dim + 1), optional
        Static world to moving world.
    **metric_kwargs
        Options of the metric.

    Returns
    -------
    warped : float32 array
        The moving image on the static grid.
    mapping : DiffeomorphicMap
        The map.

    Raises
    ------
    UsageError
        When the metric is not offered.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline.dipy import syn_registration
    >>> x, y = np.indices((24, 24)) - 11.5
    >>> static, moving = np.exp(-(x**2 + y**2) / 40), np.exp(-((x - 1) ** 2 + y**2) / 40)
    >>> warped, mapping = syn_registration(moving, static, np.eye(3), np.eye(3), metric="SSD", dim=2, level_iters=[20])
    >>> warped.shape, mapping.dim
    ((24, 24), 2)
    """
    if metric.upper() not in SYN_METRICS:
        raise UsageError(f"metric {metric!r} is not offered; choose from {', '.join(SYN_METRICS)}")
    chosen = SYN_METRICS[metric.upper()](dim, **metric_kwargs)
    (static, static_affine), (moving, moving_affine) = (
        array_and_affine(static, static_affine, "static"),
        array_and_affine(moving, moving_affine, "moving"),
    )
    sdr = SymmetricDiffeomorphicRegistration(chosen, level_iters or [10, 10, 5], step_length)
    start = None if prealign is None else np.asarray(prealign, dtype=np.float64)
    mapping = sdr.optimize(static, moving, static_affine, moving_affine, start)
    return mapping.transform(moving), mapping


def resample(
    moving: Any,
    static: Any,
    moving_affine: Matrix | None = None,
    static_affine: Matrix | None = None,
    between_affine: Matrix | None = None,
) -> Any:
    """Carry an image onto the grid of another one through world space.

    Parameters
    ----------
    moving, static : path, nibabel image or array
        3-D images.
    moving_affine, static_affine : (4, 4), optional
        Voxel to world (RAS+ mm); needed for arrays.
    between_affine : (4, 4), optional
        Static world to moving world; identity when None.

    Returns
    -------
    nibabel.Nifti1Image
        float64, linear interpolation.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline.dipy import resample
    >>> coarse = np.diag([2.0, 2.0, 2.0, 1.0])
    >>> resample(np.ones((4, 4, 4)), np.zeros((8, 8, 8)), coarse, np.eye(4)).shape
    (8, 8, 8)
    """
    (static, static_affine), (moving, moving_affine) = (
        array_and_affine(static, static_affine, "static"),
        array_and_affine(moving, moving_affine, "moving"),
    )
    carried = AffineMap(between_affine, static.shape, static_affine, moving.shape, moving_affine).transform(moving)
    return nibabel.Nifti1Image(carried, static_affine)


def _name(step: str | Callable[..., Any]) -> str:
    """Name of a step that is given by name or as one of the functions above."""
    named = step.keywords["pipeline"][0] if isinstance(step, partial) else step
    if named not in STEPS:
        raise UsageError(f"pipeline step {step!r} is not offered; choose from {', '.join(STEPS)}")
    return str(named)
