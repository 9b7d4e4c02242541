"""NIfTI files as arrays with their matrices."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from warpline.errors import UsageError
from warpline.io.atomic import write_atomic
from warpline.io.compression import compress
from warpline.operations import read
from warpline.space.grid import Matrix

FileName = str | os.PathLike[str]


def load_nifti(
    fname: FileName,
    return_img: bool = False,
    return_voxsize: bool = False,
    return_coords: bool = False,
    as_ndarray: bool = True,
) -> tuple[Any, ...]:
    """Read an image that nibabel reads.

    Parameters
    ----------
    fname : path
        The file.
    return_img, return_voxsize, return_coords : bool
        Add the nibabel image, the voxel sizes in mm, and the codes of the axes, such as ``("R", "A", "S")``.
    as_ndarray : bool
        False gives nibabel's lazy array.

    Returns
    -------
    (array, affine, ...)
        Array as in the file, scaled where its header says so; affine (4, 4), voxel to world (RAS+ mm).

    Examples
    --------
    >>> import numpy as np
    >>> from warpline.dipy import load_nifti, save_nifti
    >>> save_nifti("zeros.nii.gz", np.zeros((4, 5, 6), np.float32), np.diag([2.0, 2.0, 2.0, 1.0]))
    >>> data, affine, voxel_size = load_nifti("zeros.nii.gz", return_voxsize=True)
    >>> data.shape, voxel_size
    ((4, 5, 6), (np.float32(2.0), np.float32(2.0), np.float32(2.0)))
    """
    image: Any = nibabel.load(fname)
    array = np.asanyarray(image.dataobj) if as_ndarray else image.dataobj
    parts = [array, image.affine]
    if return_img:
        parts.append(image)
    if return_voxsize:
        parts.append(image.header.get_zooms()[:3])
    if return_coords:
        parts.append(nibabel.aff2axcodes(image.affine))
    return tuple(parts)


def load_nifti_data(fname: FileName, as_ndarray: bool = True) -> Any:
    """Read the array of an image, as `load_nifti` does.

    Parameters
    ----------
    fname, as_ndarray
        As in `load_nifti`.

    Returns
    -------
    array
        Values of the image.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline.dipy import load_nifti_data, save_nifti
    >>> save_nifti("zeros.nii", np.zeros((4, 5, 6), np.uint8), np.eye(4))
    >>> load_nifti_data("zeros.nii").dtype
    dtype('uint8')
    """
    return load_nifti(fname, as_ndarray=as_ndarray)[0]


def save_nifti(
    fname: FileName, data: NDArray[Any], affine: Matrix, hdr: Any = None, dtype: DTypeLike | None = None
) -> None:
    """Write an array as NIfTI, complete or not at all.

    Parameters
    ----------
    fname : path
        Compressed when it ends in ``.gz``.
    data : array
        Values; 64-bit integers need `hdr` or `dtype`, since other tools of the field often cannot read them.
    affine : (4, 4)
        Voxel to world (RAS+ mm).
    hdr : nibabel header, optional
        Further entries.
    dtype : optional
        Type on disk.

    Raises
    ------
    UsageError
        When the type is a 64-bit integer and neither `hdr` nor `dtype` is given.
    OutputError
        When the file cannot be written.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline.dipy import save_nifti
    >>> save_nifti("zeros.nii.gz", np.zeros((4, 5, 6), np.float32), np.eye(4))
    """
    if hdr is None and dtype is None and data.dtype in (np.int64, np.uint64):
        raise UsageError(f"data has type {data.dtype}, which other tools may not read; give dtype, such as numpy.int32")
    path = Path(fname)
    content = nibabel.Nifti1Image(data, affine, header=hdr, dtype=dtype).to_bytes()
    write_atomic(path, compress(content) if path.suffix == ".gz" else content)


def array_and_affine(source: Any, affine: ArrayLike | None, name: str) -> tuple[NDArray[Any], Matrix]:
    """Return array and matrix of a path, a nibabel image or an array; a given `affine` takes precedence.

    Raises
    ------
    UsageError
        When an array comes without a matrix.
    """
    if isinstance(source, np.ndarray):
        if affine is None:
            raise UsageError(f"{name} is an array; give {name}_affine as well")
        return source, np.asarray(affine, dtype=np.float64)
    image = read(source, name)
    return image.data, np.array(image.affine) if affine is None else np.asarray(affine, dtype=np.float64)
