"""Series of volumes: each volume registered to one of them, or to a template.

Pipelines that end in ``"rigid"`` or ``"affine"`` are run by least squares (`warpline.series`), in a fraction of the
time; volumes of another contrast than the reference, other pipelines, and options of an optimiser by mutual
information, a volume at a time.
"""

from __future__ import annotations

import logging
import numbers
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from warpline.dipy.affine_map import AffineMap
from warpline.dipy.diffeomorphic_map import DiffeomorphicMap
from warpline.dipy.images import array_and_affine
from warpline.dipy.one_call import PIPELINE, affine_registration, syn_registration
from warpline.errors import InputError, UsageError
from warpline.series import register_series as register_series_of_volumes
from warpline.series.motion import numbered
from warpline.space.grid import Matrix

LEAST_SQUARES = ("rigid", "affine")
"""Last stages of a pipeline that least squares can take the place of."""

ALIKE = 0.9
"""Correlation with the reference from which the contrast of a volume is the same."""

B0_THRESHOLD = 50.0
"""Highest b-value, s/mm^2, of a volume that counts as not weighted by diffusion, where files are given."""

_log = logging.getLogger(__name__)

Pipeline = Sequence[str | Callable[..., Any]]


def register_series(
    series: Any,
    ref: Any,
    pipeline: Pipeline | None = None,
    series_affine: Matrix | None = None,
    ref_affine: Matrix | None = None,
    static_mask: NDArray[Any] | None = None,
    level_iters: Sequence[int] | None = None,
    optimizer_options: dict[str, Any] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Register every volume of a series linearly to a reference.

    Parameters
    ----------
    series : path, nibabel image or array (I, J, K, T)
        The volumes.
    ref : int, or path, nibabel image or array (I, J, K)
        Number of a volume of the series, which is left as it is, or an image.
    pipeline : sequence, optional
        As in `affine_registration`.
    series_affine, ref_affine : (4, 4), optional
        Voxel to world (RAS+ mm); needed for arrays.
    static_mask : array (I, J, K), optional
        Nonzero where the reference counts.
    level_iters, optimizer_options
        As in `AffineRegistration`.

    Returns
    -------
    xformed : (I', J', K', T) float64
        The volumes on the grid of the reference.
    affines : (4, 4, T)
        Reference world to volume world; the last axis counts volumes, as in DIPY.

    Raises
    ------
    InputError
        When the series has not four axes, or the reference not three.

    Examples
    --------
    >>> import numpy as np
    >>> x, y, z = np.indices((16, 16, 16)) - 7.5
    >>> static = np.exp(-(x**2 + 2 * y**2 + 4 * z**2) / 40)
    >>> from warpline.dipy import register_series
    >>> series = np.stack([static, np.roll(static, 1, axis=2)], axis=-1)
    >>> registered, affines = register_series(series, 0, ["center_of_mass"], np.eye(4))
    >>> affines[:3, 3, 1].round(1) + 0.0
    array([0., 0., 1.])
    """
    volumes, series_affine = _series(series, series_affine)
    count = volumes.shape[-1]
    chosen = int(ref) if isinstance(ref, numbers.Integral) else None
    if chosen is None:
        static, ref_affine = array_and_affine(ref, ref_affine, "ref")
    elif not -count <= chosen < count:
        raise InputError(f"ref is {chosen}; the series has {count} volumes, from 0 to {count - 1}")
    else:
        chosen %= count
        static, ref_affine = volumes[..., chosen], series_affine
    if static.ndim != 3:
        raise InputError(f"ref has {static.ndim} axes; give one volume, or its number in the series")
    how: dict[str, Any] = {"level_iters": level_iters, "optimizer_options": optimizer_options}
    fits = _fits((volumes, series_affine), chosen, (static, ref_affine), pipeline, static_mask, **how)
    xformed, affines = np.empty((*static.shape, count)), np.empty((4, 4, count))
    for number in range(count):
        if number == chosen:
            moved = volumes[..., number], np.eye(4)
        elif number in fits:
            moved = _moved(volumes[..., number], series_affine, (static, ref_affine), fits[number]), fits[number]
        else:
            moved = affine_registration(
                volumes[..., number], static, series_affine, ref_affine, pipeline or PIPELINE,
                static_mask=static_mask, **how,
            )  # fmt: skip
        xformed[..., number], affines[..., number] = moved
    return xformed, affines


def _fits(
    series: tuple[NDArray[Any], Matrix],
    chosen: int | None,
    ref: tuple[NDArray[Any], Matrix],
    pipeline: Pipeline | None,
    mask: NDArray[Any] | None,
    **options: Any,
) -> dict[int, Matrix]:
    """Reference world to volume world of the volumes that least squares can align, by their numbers."""
    model = _model(pipeline, options)
    if model is None:
        return {}
    reference: Any = ref if chosen is None else chosen
    found = register_series_of_volumes(series, reference, model=model, mask=_mask(mask, ref[1]))
    aligned = {number: one for number, one in enumerate(found.fits) if one.converged and one.correlation >= ALIKE}
    return {number: one.matrix for number, one in aligned.items()}


def _model(pipeline: Pipeline | None, options: Mapping[str, Any]) -> str | None:
    """The model of least squares that a pipeline ends in; None where it or its options ask for mutual information."""
    stages = list(PIPELINE if pipeline is None else pipeline)
    named = bool(stages) and all(isinstance(one, str) for one in stages) and stages[-1] in LEAST_SQUARES
    return str(stages[-1]) if named and all(one is None for one in options.values()) else None


def _mask(mask: NDArray[Any] | None, affine: Matrix) -> tuple[NDArray[np.uint8], Matrix] | None:
    return None if mask is None else (np.not_equal(mask, 0).astype(np.uint8), affine)


def _moved(
    volume: NDArray[Any], affine: Matrix, ref: tuple[NDArray[Any], Matrix], matrix: Matrix
) -> NDArray[np.float64]:
    """A volume on the grid of the reference, linear, as DIPY moves it."""
    mapped = AffineMap(matrix, ref[0].shape[:3], ref[1], volume.shape, affine)
    return np.asarray(mapped.transform(volume), dtype=np.float64)


def register_dwi_series(
    data: Any,
    gtab: Any,
    affine: Matrix | None = None,
    b0_ref: int = 0,
    pipeline: Pipeline | None = None,
    static_mask: NDArray[Any] | None = None,
    level_iters: Sequence[int] | None = None,
    optimizer_options: dict[str, Any] | None = None,
) -> tuple[Any, NDArray[np.float64]]:
    """Register a diffusion series to its unweighted volumes.

    By least squares each shell is fitted to its own mean, and those to one unweighted volume. Other pipelines register
    the unweighted volumes to one of them, and all others to their mean.

    Parameters
    ----------
    data : path, nibabel image or array (I, J, K, T)
        The series.
    gtab : DIPY's GradientTable, or (bvals, bvecs)
        Identifies the unweighted volumes. Files or arrays; of these, b-values up to `B0_THRESHOLD` count.
    affine : (4, 4), optional
        Voxel to world (RAS+ mm); needed for an array.
    b0_ref : int
        Which of the unweighted volumes the others are registered to.
    pipeline, static_mask, level_iters, optimizer_options
        As in `register_series`.

    Returns
    -------
    registered : nibabel.Nifti1Image
        The series, float64.
    affines : (4, 4, T)
        Reference world to volume world.

    Raises
    ------
    InputError
        When no volume is unweighted, or the table has another length than the series.

    Examples
    --------
    >>> import numpy as np
    >>> x, y, z = np.indices((16, 16, 16)) - 7.5
    >>> static = np.exp(-(x**2 + 2 * y**2 + 4 * z**2) / 40)
    >>> from warpline.dipy import register_dwi_series
    >>> series = np.stack([static, np.roll(static, 1, axis=0), static / 2], axis=-1)
    >>> gradients = [0, 0, 1000], np.array([[0, 0, 0], [0, 0, 0], [1, 0, 0]])
    >>> registered, affines = register_dwi_series(series, gradients, np.eye(4), pipeline=["center_of_mass"])
    >>> registered.shape, affines.shape
    ((16, 16, 16, 3), (4, 4, 3))
    """
    volumes, affine = _series(data, affine)
    plain = _unweighted_volumes(gtab, volumes.shape[-1])
    options: dict[str, Any] = {"level_iters": level_iters, "optimizer_options": optimizer_options}
    model = _model(pipeline, options)
    if model is not None:
        chosen = _unweighted(plain, b0_ref)
        bvals = np.where(plain, 0.0, np.maximum(_b_values_of(gtab, plain), 2 * B0_THRESHOLD))
        return _by_shell((volumes, affine), bvals, chosen, model=model, mask=_mask(static_mask, affine))
    register: Callable[..., Any] = partial(register_series, pipeline=pipeline, static_mask=static_mask, **options)
    registered, affines = np.empty(volumes.shape), np.empty((4, 4, volumes.shape[-1]))
    registered[..., plain], affines[..., plain] = register(
        volumes[..., plain], b0_ref, series_affine=affine, ref_affine=None
    )
    if not plain.all():
        mean = registered[..., plain].mean(axis=-1)
        registered[..., ~plain], affines[..., ~plain] = register(
            volumes[..., ~plain], mean, series_affine=affine, ref_affine=affine
        )
    return nibabel.Nifti1Image(registered, affine), affines


def _unweighted(plain: NDArray[np.bool_], number: int) -> int:
    """The volume that is so many among the unweighted ones."""
    volumes = np.flatnonzero(plain)
    if not -len(volumes) <= number < len(volumes):
        raise InputError(
            f"b0_ref is {number}; there are {len(volumes)} unweighted volumes, from 0 to {len(volumes) - 1}"
        )
    return int(volumes[number])


def _by_shell(
    series: tuple[NDArray[Any], Matrix], bvals: NDArray[np.float64], chosen: int, **how: Any
) -> tuple[Any, NDArray[np.float64]]:
    """Every shell fitted to its own reference, and those to the unweighted volume that was chosen."""
    volumes, affine = series
    found = register_series_of_volumes(series, chosen, bvals=bvals, **how)
    lost = found.report["outliers"]["not_aligned"]
    if lost:
        _log.warning("volumes that cannot be aligned, and are moved as their neighbours: %s", numbered(lost))
    registered, affines = np.empty(volumes.shape), np.moveaxis(found.matrices, 0, -1).copy()
    for number in range(volumes.shape[-1]):
        volume = volumes[..., number]
        still = number == chosen
        registered[..., number] = volume if still else _moved(volume, affine, series, affines[..., number])
    return nibabel.Nifti1Image(registered, affine), affines


motion_correction = partial(register_dwi_series, pipeline=list(PIPELINE))
"""`register_dwi_series` with the whole linear pipeline, as in DIPY."""


def register_dwi_to_template(
    dwi: Any,
    gtab: Any,
    dwi_affine: Matrix | None = None,
    template: Any = None,
    template_affine: Matrix | None = None,
    reg_method: str = "syn",
    **reg_kwargs: Any,
) -> tuple[NDArray[Any], DiffeomorphicMap | Matrix]:
    """Register the mean of the unweighted volumes of a diffusion series to a template.

    Parameters
    ----------
    dwi : path, nibabel image or array (I, J, K, T)
        The series, its volumes aligned with each other already, see `register_dwi_series`.
    gtab : DIPY's GradientTable, or (bvals, bvecs)
        As in `register_dwi_series`.
    dwi_affine, template_affine : (4, 4), optional
        Voxel to world (RAS+ mm); needed for arrays.
    template : path, nibabel image or array (I, J, K)
        What to register to. There is no default here: DIPY downloads one.
    reg_method : {"syn", "aff"}
        `syn_registration` or `affine_registration`.
    **reg_kwargs
        Further arguments of that.

    Returns
    -------
    warped : (I', J', K')
        The mean unweighted volume on the grid of the template.
    mapping : DiffeomorphicMap, or (4, 4)
        The map, or template world to series world.

    Raises
    ------
    UsageError
        When there is no template, or the method is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> x, y, z = np.indices((16, 16, 16)) - 7.5
    >>> static = np.exp(-(x**2 + 2 * y**2 + 4 * z**2) / 40)
    >>> from warpline.dipy import register_dwi_to_template
    >>> series = np.stack([np.roll(static, 1, axis=0), static / 2], axis=-1)
    >>> gradients = [0, 1000], np.array([[0, 0, 0], [1, 0, 0]])
    >>> warped, matrix = register_dwi_to_template(
    ...     series, gradients, np.eye(4), static, np.eye(4), reg_method="aff", pipeline=["center_of_mass"]
    ... )
    >>> matrix[:3, 3].round() + 0.0
    array([1., 0., 0.])
    """
    if reg_method.lower() not in _METHODS:
        raise UsageError(f"reg_method is {reg_method!r}; choose from {', '.join(_METHODS)}")
    if template is None:
        raise UsageError("template is None; give an image, such as DIPY's dipy.data.read_mni_template()")
    volumes, dwi_affine = _series(dwi, dwi_affine)
    mean = volumes[..., _unweighted_volumes(gtab, volumes.shape[-1])].mean(axis=-1)
    target, template_affine = array_and_affine(template, template_affine, "template")
    warped, mapping = _METHODS[reg_method.lower()](mean, target, dwi_affine, template_affine, **reg_kwargs)
    return warped, mapping


_METHODS: dict[str, Callable[..., tuple[Any, ...]]] = {"syn": syn_registration, "aff": affine_registration}


def _series(given: Any, affine: Matrix | None) -> tuple[NDArray[Any], Matrix]:
    volumes, matrix = array_and_affine(given, affine, "series")
    if volumes.ndim != 4:
        raise InputError(
            f"the series has {volumes.ndim} axes, shape {volumes.shape}; four are needed, the last of time"
        )
    return volumes, matrix


def _unweighted_volumes(gtab: Any, count: int) -> NDArray[np.bool_]:
    """Which of so many volumes have no diffusion weighting."""
    if hasattr(gtab, "b0s_mask"):
        plain = np.asarray(gtab.b0s_mask, dtype=bool)
    elif isinstance(gtab, Sequence) and not isinstance(gtab, str) and len(gtab) == 2:
        plain = _b_values(gtab[0]) <= B0_THRESHOLD
    else:
        raise UsageError(f"gtab is {type(gtab).__name__}; give a GradientTable of DIPY's, or (bvals, bvecs)")
    if plain.shape != (count,):
        raise InputError(f"gtab has {plain.size} entries and the series {count} volumes; give one for each")
    if not plain.any():
        raise InputError(f"no volume is unweighted: all b-values are above {B0_THRESHOLD:g} s/mm^2")
    return plain


def _b_values_of(gtab: Any, plain: NDArray[np.bool_]) -> NDArray[np.float64]:
    """B-values of a table; of one that says no more than which volumes are weighted, one shell."""
    given = getattr(gtab, "bvals", None) if hasattr(gtab, "b0s_mask") else gtab[0]
    return np.where(plain, 0.0, 1000.0) if given is None else _b_values(given)


def _b_values(given: Any) -> NDArray[np.float64]:
    """B-values from a text file of numbers, or as given."""
    if not isinstance(given, (str, os.PathLike)):
        return np.asarray(given, dtype=np.float64).ravel()
    try:
        return np.loadtxt(given, dtype=np.float64, ndmin=1).ravel()
    except (OSError, ValueError) as error:
        raise InputError(f"bvals {os.fspath(given)} cannot be read: {error}") from None
