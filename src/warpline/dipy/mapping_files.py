"""DIPY's mapping files, written and read as DIPY does; exchanged images and a lost prealignment are corrected."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from nibabel.nifti1 import Nifti1Extension
from numpy.typing import NDArray

from warpline.dipy.diffeomorphic_map import DiffeomorphicMap
from warpline.errors import InputError, UsageError
from warpline.io.atomic import write_atomic
from warpline.io.compression import compress
from warpline.io.transform_files import dipy_mapping
from warpline.operations import grid_of
from warpline.space import Displacement
from warpline.space.grid import Grid, Matrix

_NOTE = "warpline.prealign"
"""Key of the header's comment that holds the prealignment."""


def write_mapping(mapping: DiffeomorphicMap, fname: str | os.PathLike[str]) -> None:
    """Write a 3-D map as DIPY does: shape (I, J, K, 3, 2), the forward and the backward field in mm.

    DIPY has no place for the prealignment; it goes into a comment of the header, which DIPY passes over.

    Parameters
    ----------
    mapping : DiffeomorphicMap
        3-D, with both fields.
    fname : path
        Ends in ``.nii`` or ``.nii.gz``.

    Raises
    ------
    UsageError
        When the map is 2-D or has no fields, or the name does not end in ``.nii`` or ``.nii.gz``.
    OutputError
        When the file cannot be written.

    Examples
    --------
    >>> from warpline.dipy import DiffeomorphicMap, write_mapping
    >>> mapping = DiffeomorphicMap(3, (4, 5, 6))
    >>> mapping.allocate()
    >>> write_mapping(mapping, "mapping.nii.gz")
    """
    path = Path(fname)
    if mapping.dim != 3 or mapping.forward is None or mapping.backward is None:
        raise UsageError("only 3-D maps with both fields can be written as a mapping file")
    if not path.name.endswith((".nii", ".nii.gz")):
        raise UsageError(f"{path} must end in .nii or .nii.gz to hold a mapping")
    affine = np.eye(4) if mapping.codomain_grid2world is None else mapping.codomain_grid2world
    grid = Grid(mapping.forward.shape[:3], affine)
    stored = Displacement(_channels_first(mapping.backward), grid, _channels_first(mapping.forward))
    content = dipy_mapping.encode(stored)
    if mapping.prealign is not None:
        content = _with_prealign(content, mapping.prealign)
    write_atomic(path, compress(content) if path.suffix == ".gz" else content)


def read_mapping(
    disp: str | os.PathLike[str], domain_img: Any, codomain_img: Any, prealign: Matrix | None = None
) -> DiffeomorphicMap:
    """Read a map that `write_mapping` or DIPY wrote.

    Parameters
    ----------
    disp : path
        The mapping file.
    domain_img, codomain_img : path, nibabel image, or (array, affine)
        The moving and the static image, in this order; of a 4-D image the first three axes count. When the grids
        in the file show that they were exchanged, they are swapped back with a warning.
    prealign : (4, 4), optional
        **Inverse** of the matrix that was given to `optimize`: moving world to static world. When None, the one that
        `write_mapping` noted in the file; DIPY's files have none.

    Returns
    -------
    DiffeomorphicMap
        As `SymmetricDiffeomorphicRegistration.optimize` returned it.

    Raises
    ------
    InputError
        When the file is damaged or of another kind.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline.dipy import DiffeomorphicMap, read_mapping, write_mapping
    >>> mapping = DiffeomorphicMap(3, (4, 5, 6))
    >>> mapping.allocate()
    >>> write_mapping(mapping, "mapping.nii.gz")
    >>> image = np.zeros((4, 5, 6)), np.eye(4)
    >>> read_mapping("mapping.nii.gz", image, image).forward.shape
    (4, 5, 6, 3)
    """
    stored = dipy_mapping.read(Path(disp))
    moving, static = grid_of(domain_img, "domain_img"), grid_of(codomain_img, "codomain_img")
    if _lies_on(stored.grid, moving) and not _lies_on(stored.grid, static):
        warnings.warn(
            f"{disp} lies on the grid of the second argument of read_mapping, which is meant for the moving image; "
            "the two images were exchanged for you. Call read_mapping(file, moving, static, prealign=inv(P)), with P "
            "the prealign matrix of the registration, which a file from DIPY does not hold",
            UserWarning,
            stacklevel=2,
        )
        moving, static = static, moving
    if stored.inverse_field is None:
        raise InputError(f"{disp} holds no forward field; write the mapping again")
    mapping = DiffeomorphicMap(
        3,
        stored.grid.shape,
        np.array(stored.grid.affine),
        moving.shape,
        np.array(moving.affine),
        static.shape,
        np.array(static.affine),
        _noted_prealign(disp) if prealign is None else prealign,
    )
    mapping.forward, mapping.backward = _channels_last(stored.inverse_field), _channels_last(stored.field)
    mapping.is_inverse = True
    return mapping


def _with_prealign(content: bytes, prealign: Matrix) -> bytes:
    image = nibabel.Nifti1Image.from_bytes(content)
    note = json.dumps({_NOTE: np.asarray(prealign, dtype=np.float64).tolist()})
    image.header.extensions.append(Nifti1Extension("comment", note.encode()))
    noted: bytes = image.to_bytes()
    return noted


def _noted_prealign(disp: str | os.PathLike[str]) -> Matrix | None:
    header: Any = nibabel.load(disp).header
    for extension in header.extensions:
        try:
            return np.array(json.loads(extension.get_content())[_NOTE], dtype=np.float64)
        except (ValueError, TypeError, KeyError, RecursionError):  # another program's extension
            continue
    return None


def _lies_on(file: Grid, image: Grid) -> bool:
    """Compare grids to a hundredth of a voxel: the header keeps the inverse matrix in single precision."""
    return file.shape == image.shape and bool(
        np.abs(file.corners() - image.corners()).max() <= 0.01 * image.voxel_size.min()
    )


def _channels_first(field: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.ascontiguousarray(np.moveaxis(field, -1, 0), dtype=np.float32)


def _channels_last(field: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.ascontiguousarray(np.moveaxis(field, 0, -1))
