"""FNIRT's coefficient files (``--cout``): NIfTI of shape (I, J, K, 3), intent 2007, read only.

Coefficients of cubic B-splines whose product is the displacement in FSL's mm (`fsl_space`); the header holds the
spacing of the knots in voxels of the fixed image (pixdim), its shape (offsets of the qform), its voxel size
(parameters of the intent), and the affine A that FNIRT started from, a FLIRT matrix (sform): a point goes to
``A^-1 x + d(x)``. See Andersson et al. 2007, FMRIB technical report TR07JA2.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from warpline.errors import InputError
from warpline.io import nifti
from warpline.io.transform_files import fsl_fnirt, fsl_space, nifti_fields, numbers
from warpline.io.transform_files.format import Format, Grids, Head
from warpline.space import Displacement, Transform
from warpline.space.grid import Grid

_CUBIC = 2007
_OTHERS = {2008: "cosine", 2009: "quadratic"}


def matches(head: Head) -> bool:
    """Whether a file has the intent of FNIRT's coefficients."""
    return head.shape[3:] == (3,) and head.intent in (_CUBIC, *_OTHERS)


def read(path: Path, grids: Grids) -> Transform:
    """Evaluate the splines on the fixed grid: fixed world to moving world.

    Raises
    ------
    InputError
        When the file is damaged, its splines are not cubic, a grid is missing, or the fixed grid is not that on which
        FNIRT ran.
    """
    stored = nifti_fields.read(path, ((3,),))
    intent = int(stored.header["intent_code"])
    if intent != _CUBIC:
        kind = _OTHERS.get(intent, "other")
        raise InputError(f"{path} holds {kind} coefficients; expand them with fnirtfileutils and read the field")
    fixed, moving = grids.need_both(f"{path}: FNIRT's coefficients count from the geometry of their images")
    _check_grid(stored, fixed, path)
    knots = stored.header.get_zooms()[:3]
    if not np.isfinite(knots).all() or min(knots) <= 0:
        raise InputError(f"{path} has the knot spacing {knots} in its header (pixdim); positive numbers are needed")
    field = np.asarray(stored.array, np.float64)
    for axis, (size, step) in enumerate(zip(fixed.shape, knots, strict=True)):
        weights = _splines(size, float(step), field.shape[axis])
        field = np.asarray(np.moveaxis(np.tensordot(weights, field, (1, axis)), 0, axis), np.float64)
    start = numbers.affine(stored.header.get_sform(), path)
    before = nifti_fields.transform_vectors(nifti_fields.components_first(field), start.matrix, np.zeros((4, 4)))
    return fsl_fnirt.between(before, fixed, moving, start.inverse().matrix)  # A^-1 x + d = A^-1 (x + A d)


def _check_grid(stored: nifti.StoredArray, fixed: Grid, path: Path) -> None:
    header = stored.header
    shape = tuple(float(header[f"qoffset_{axis}"]) for axis in "xyz")
    size = np.array([float(header[f"intent_p{n}"]) for n in (1, 2, 3)])
    if shape != fixed.shape or not np.allclose(size, fsl_space.sizes(fixed), rtol=1e-3):
        raise InputError(
            f"{path} was made on a fixed image of {tuple(shape)} voxels of {size.tolist()} mm; the one given has "
            f"{fixed.shape} of {fsl_space.sizes(fixed).tolist()}: give the reference of that run"
        )


def _splines(size: int, step: float, count: int) -> NDArray[np.float64]:
    """Weight of each of `count` coefficients at each of `size` voxels: knot n lies at voxel (n - 1) step."""
    distance = np.abs(np.arange(size)[:, None] / step - (np.arange(count) - 1))
    near, far = 2 / 3 - distance**2 + distance**3 / 2, np.clip(2 - distance, 0, None) ** 3 / 6
    return np.where(distance < 1, near, far)


FORMAT = Format(
    about="FSL FNIRT spline coefficients (--cout)",
    stores="fixed to moving",
    unit="mm, FSL's scaled voxels",
    holds=Displacement,
    suffixes=(".nii", ".nii.gz"),
    matches=matches,
    read=read,
    needs_grids=True,
)
