"""ITK's displacement fields as transform parameters, in its HDF5 and text files.

The fixed parameters of a ``DisplacementFieldTransform`` are size, origin, spacing and direction of its grid, the others
its vectors in LPS mm, components fastest, then x, y, z.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.errors import InputError
from warpline.io.lps import LPS, SIGNS, flip_components
from warpline.io.nifti import c_ordered
from warpline.io.transform_files import itk_warp
from warpline.space import Displacement
from warpline.space.grid import Grid, check_affine

NAMES = {False: "DisplacementFieldTransform_float_3_3", True: "DisplacementFieldTransform_float_2_2"}
"""Whether a field is that of 2-D images, to the name under which it is written."""


def to_displacement(parameters: NDArray[Any], fixed: NDArray[np.float64], dimension: int, path: Path) -> Displacement:
    """The field of a ``DisplacementFieldTransform``.

    Parameters
    ----------
    parameters, fixed : (n,)
        As in the file.
    dimension : int
        2 or 3.
    path : Path
        What error messages call the file.

    Raises
    ------
    InputError
        When the numbers are no field.
    """
    grid = lattice(fixed, dimension, path)
    if parameters.size != dimension * np.prod(grid.shape, dtype=object):
        shape = grid.shape[:dimension]
        raise InputError(f"{path}: {parameters.size} numbers are no field of {dimension} x {shape}; copy it anew")
    vectors = parameters.reshape((dimension, *grid.shape), order="F")
    return Displacement(components(list(vectors), path), grid)


def lattice(fixed: NDArray[np.float64], dimension: int, path: Path) -> Grid:
    """The grid that fixed parameters describe: size, origin, spacing and direction.

    Raises
    ------
    InputError
        When they describe none.
    """
    needed = dimension * (dimension + 3)
    if fixed.size != needed or not np.isfinite(fixed).all():
        raise InputError(f"{path} has {fixed.size} fixed parameters for a field; {needed} finite ones are needed")
    sizes, origin, spacing = fixed[: 3 * dimension].reshape(3, dimension)
    affine = np.eye(4)
    affine[:dimension, :dimension] = fixed[3 * dimension :].reshape(dimension, dimension) * spacing
    affine[:dimension, 3] = origin
    shape = tuple(int(n) for n in sizes)
    if min(shape) < 1:
        raise InputError(f"{path} holds a field of {shape} voxels; at least one along each axis is needed")
    affine = check_affine(LPS @ affine, f"{path}: the grid of its displacement field")
    return Grid((*shape, 1)[:3], affine, flat=dimension == 2)  # type: ignore[arg-type]


def components(vectors: list[NDArray[Any]], path: Path) -> NDArray[np.float32]:
    """A field (3, I, J, K) along R, A, S from two or three components (I, J, K) along L, P, S.

    Raises
    ------
    InputError
        When they are not finite.
    """
    field = np.zeros((3, *vectors[0].shape), np.float32)
    for axis, values in enumerate(vectors):
        field[axis] = c_ordered(values, np.float32) * np.float32(SIGNS[axis])
    if not np.isfinite(field).all():
        raise InputError(f"{path} has NaN or infinite displacements; write the field again")
    return field


def from_displacement(part: Displacement, *, flat: bool = False) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Parameters and fixed parameters of a field, in 2-D when `flat`.

    Raises
    ------
    UsageError
        When it does not fit a 2-D file.
    """
    if flat:
        itk_warp.check_flat(part)
    dimension = 2 if flat else 3
    grid, spacing = part.grid, part.grid.voxel_size[:dimension]
    affine = LPS @ grid.affine
    directions = affine[:dimension, :dimension] / spacing
    fixed = np.concatenate([grid.shape[:dimension], affine[:dimension, 3], spacing, directions.ravel()])
    return c_ordered(flip_components(part.field)[:dimension].T, np.float32).ravel(), fixed
