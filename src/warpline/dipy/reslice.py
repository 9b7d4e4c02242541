"""Other voxel sizes by DIPY's rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline import resampling
from warpline.backends.splines import Mode
from warpline.errors import InputError
from warpline.space.grid import Matrix


def reslice(
    data: NDArray[Any],
    affine: Matrix,
    zooms: Sequence[float],
    new_zooms: Sequence[float],
    order: int = 1,
    mode: Mode = "constant",
    cval: float = 0,
    num_processes: int = 1,
    new_shape: Sequence[int] | None = None,
) -> tuple[NDArray[Any], Matrix]:
    """Resample an image to another voxel size; the centre of the first voxel stays where it is.

    Parameters
    ----------
    data : (I, J, K) or (I, J, K, T)
        Image or series; the data type is kept.
    affine : (4, 4)
        Voxel to world (RAS+ mm).
    zooms, new_zooms : (3,)
        Voxel sizes in mm, of `data` and wanted.
    order : int
        Of the spline, 0 (nearest) to 5.
    mode : str
        SciPy's boundary mode beyond the outermost voxel centres: constant, nearest, reflect, wrap, ...
    cval : float
        Value there, for "constant".
    num_processes : int
        Kept for DIPY's signature: threads are used.
    new_shape : (3,), optional
        Shape of the result; ``round(shape zooms / new_zooms)`` when None.

    Returns
    -------
    data : (I', J', K') or (I', J', K', T)
        On the new grid.
    affine : (4, 4)
        Its voxel to world matrix.

    Raises
    ------
    InputError
        When `data` has neither 3 nor 4 axes, or a voxel size is not above 0.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline.dipy import reslice
    >>> data, affine = reslice(np.ones((4, 4, 4)), 2 * np.eye(4), (2, 2, 2), (1, 1, 1))
    >>> data.shape
    (8, 8, 8)
    """
    array = np.asarray(data)
    if array.ndim not in (3, 4):
        raise InputError(f"data has {array.ndim} axes; 3 or 4 are allowed")
    old, new = (np.asarray(sizes, dtype=np.float64) for sizes in (zooms, new_zooms))
    for name, sizes in (("zooms", old), ("new_zooms", new)):
        if sizes.shape != (3,) or not (sizes > 0).all():
            raise InputError(f"{name} is {sizes.tolist()}; three voxel sizes above 0 are needed")
    ratio = new / old
    shape = np.round(old / new * array.shape[:3]).astype(int) if new_shape is None else np.asarray(new_shape, int)
    size = (int(shape[0]), int(shape[1]), int(shape[2]))
    out = np.empty((*size, *array.shape[3:]), array.dtype)
    for at in np.ndindex(array.shape[3:]):
        place = (..., *at)
        out[place] = resampling.affine_transform(
            array[place], np.diag(ratio), output_shape=size, order=order, mode=mode, cval=cval
        )
    return out, np.asarray(affine, dtype=np.float64) @ np.diag([*ratio, 1.0])
