"""Transform files, with ANTsPy's functions."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from warpline import operations
from warpline.ants.transforms import ANTsTransform
from warpline.errors import InputError, UsageError
from warpline.io import transform_files


def read_transform(filename: str | os.PathLike[str], precision: str = "double") -> ANTsTransform:
    """Read a transform file of ITK's or of any other format that says what it is.

    Parameters
    ----------
    filename : path
        The file.
    precision : str
        Without effect: transforms are kept in double precision.

    Raises
    ------
    InputError
        When the file cannot be read.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Affine, ants
    >>> shift = np.eye(4)
    >>> shift[1, 3] = 5  # to the front, along -y of LPS
    >>> transform = ants.ANTsTransform(Affine(shift))
    >>> ants.write_transform(transform, "shift.mat")
    >>> ants.read_transform("shift.mat").parameters[-3:]
    array([ 0., -5.,  0.])
    """
    found = transform_files.identify(Path(filename).expanduser())
    if found.transform is None:
        raise InputError(found.needs)
    return ANTsTransform(found.transform, 2 if found.format.endswith("-2d") else 3)


def write_transform(transform: ANTsTransform, filename: str | os.PathLike[str]) -> None:
    """Write a transform, complete or not at all: an affine as ``.mat``, ``.txt`` or ``.tfm``, a warp as NIfTI.

    Parameters
    ----------
    transform : ANTsTransform
        As `read_transform` returns it.
    filename : path
        Its suffix chooses the format.

    Raises
    ------
    UsageError
        When it is no `ANTsTransform`, or nothing stores it under this name.
    OutputError
        When the file cannot be written.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Affine, ants
    >>> shift = np.eye(4)
    >>> shift[1, 3] = 5  # to the front, along -y of LPS
    >>> transform = ants.ANTsTransform(Affine(shift))
    >>> ants.write_transform(transform, "shift.mat")
    """
    if not isinstance(transform, ANTsTransform):
        raise UsageError(f"transform is {type(transform).__name__}; give what read_transform or registration makes")
    path = Path(filename).expanduser()
    flat = transform.dimension == 2 and path.suffix == ".mat"
    transform_files.write_transform(transform.transform, path, "itk-affine-2d" if flat else None)


def fsl2antstransform(matrix: ArrayLike, reference: Any, moving: Any) -> ANTsTransform:
    """Make a transform of a FLIRT matrix (4, 4).

    Parameters
    ----------
    matrix : (4, 4)
        From FSL's mm of the moving image to those of the reference, as FLIRT writes it.
    reference, moving : nibabel image, path, Image or (array, affine)
        The images, 3-D, whose grids FSL's mm depend on.

    Raises
    ------
    InputError
        When the matrix has another shape or no inverse, or the geometry of an image does not fit FSL's.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import ants
    >>> image = np.zeros((4, 4, 4), np.float32), np.diag([-2.0, 2.0, 2.0, 1.0])
    >>> ants.fsl2antstransform(np.eye(4), image, image).apply_to_point((1, 2, 3))
    (1.0, 2.0, 3.0)
    """
    values = np.asarray(matrix, dtype=np.float64)
    if values.shape != (4, 4):
        raise InputError(f"matrix has shape {values.shape}; (4, 4) is needed")
    grids = {"fixed": operations.read(reference, "reference").grid, "moving": operations.read(moving, "moving").grid}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "flirt.mat"
        np.savetxt(path, values, fmt="%.17g")
        return ANTsTransform(transform_files.read_transform(path, "fsl-flirt", **grids))
