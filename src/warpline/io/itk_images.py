"""Images in NRRD and MetaImage (``.nrrd``, ``.nhdr``, ``.mha``, ``.mhd``), read and written by ITK through SimpleITK.

ITK counts in LPS mm; this module turns them to RAS. Headers are checked before ITK sees them (`itk_headers`): data
are in the file itself or in one file beside it, and no larger than that file can hold.
"""

from __future__ import annotations

import math
import os
import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.errors import InputError, OutputError
from warpline.extras import install_command
from warpline.images import Image
from warpline.io import itk_headers, limits
from warpline.io.compression import peek
from warpline.io.lps import LPS
from warpline.io.nifti import STORED_AS
from warpline.space.grid import Matrix, check_affine

SUFFIXES = (".nrrd", ".nhdr", ".mha", ".mhd")
DETACHED = (".nhdr", ".mhd")
"""Of those, the ones whose values are in a second file."""

_COPIES = 2
"""Copies of the values in memory while an image is read: ITK's, and the result."""


@dataclass(frozen=True, eq=False)
class StoredImage:
    """An image as ITK reads it.

    Parameters
    ----------
    array : (I, J), (I, J, K) or (I, J, K, T)
        Values in C order; with several components per voxel these are last, and a 2-D image then has K = 1.
    affine : (4, 4)
        Voxel to world, RAS+ mm, checked.
    doubt : str
        A warning about what the header leaves open, or states and ITK ignores; mostly empty.
    """

    array: NDArray[Any] = field(repr=False)
    affine: Matrix
    doubt: str = ""


def matches(path: Path) -> bool:
    """Whether a file is NRRD or MetaImage, by content.

    Raises
    ------
    InputError
        When it is missing or unreadable.
    """
    head = peek(path, itk_headers.HEAD_SIZE)
    return itk_headers.is_nrrd(head) or itk_headers.is_metaimage(head)


def read(path: Path) -> StoredImage:
    """Read an image.

    Raises
    ------
    InputError
        When SimpleITK is not installed, the file is damaged, points to data elsewhere, promises more than it holds, or
        its geometry is singular.
    """
    reader, header, size = _open(path)
    limits.check_memory(path, _COPIES * size)
    itk_headers.check_data(path, header)
    try:
        image = reader.Execute()
    except RuntimeError as error:
        raise _unreadable(path, error) from None
    array, components = _simpleitk().GetArrayViewFromImage(image), image.GetNumberOfComponentsPerPixel()
    space = tuple(range(image.GetDimension()))[::-1]
    values = array.transpose(*space, *range(image.GetDimension(), array.ndim))
    if components > 1 and image.GetDimension() == 2:
        values = values[:, :, None]
    if components > 1 and values.ndim != 4:
        raise InputError(f"{path} holds {components} components at each of {image.GetSize()} voxels; give one volume")
    return StoredImage(np.array(values, order="C"), _affine(image, path), itk_headers.doubt(header))


def holds_vectors(path: Path) -> bool:
    """Whether the header of an image says that the components at each voxel are a vector."""
    return itk_headers.holds_vectors(itk_headers.read(path))


def read_place(path: Path) -> tuple[tuple[int, ...], Matrix]:
    """Sizes of the axes and voxel-to-world matrix (RAS+ mm) in the header of an image.

    Raises
    ------
    InputError
        As for `read`.
    """
    reader, *_ = _open(path)
    return tuple(reader.GetSize()), _affine(reader, path)


def encode(image: Image, name: str, *, vectors: bool = False) -> dict[str, bytes]:
    """The files of an image, compressed: their names, and their content in the order in which they are to be written.

    Parameters
    ----------
    image : Image
        Three or four axes; of two where the grid is flat.
    name : str
        Of the file, ending in one of `SUFFIXES`.
    vectors : bool
        Whether the fourth axis are components of vectors; else it is a fourth axis in the file too.

    Raises
    ------
    InputError
        When SimpleITK is not installed, or ITK cannot hold the data type.
    OutputError
        When the folder for temporary files is full.
    """
    sitk = _simpleitk(name)
    made = _to_sitk(sitk, image, vectors)
    with tempfile.TemporaryDirectory(prefix="warpline-") as folder:
        path = Path(folder) / name
        try:
            sitk.WriteImage(made, str(path), useCompression=True)
        except RuntimeError as error:
            reason = " ".join(str(error).split())[-200:]
            raise OutputError(f"{name} cannot be written by ITK: …{reason}; is {folder} full?") from None
        others = sorted(one for one in path.parent.iterdir() if one != path)
        return {one.name: one.read_bytes() for one in (*others, path)}


def _simpleitk(name: str | os.PathLike[str] = "NRRD or MetaImage") -> Any:
    try:
        import SimpleITK
    except ImportError:
        raise InputError(
            f"{os.fspath(name)}: NRRD and MetaImage are read and written by SimpleITK, which is not installed; "
            f"{install_command('itk')}"
        ) from None
    sitk: Any = SimpleITK
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    return sitk


def _open(path: Path) -> tuple[Any, dict[str, str], int]:
    """A reader that has read the header, the header's words, and the bytes of the values."""
    sitk = _simpleitk(path)
    header = itk_headers.read(path)
    data = itk_headers.data_of(path, header)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.SetImageIO("NrrdImageIO" if itk_headers.is_nrrd(peek(path, 8)) else "MetaImageIO")
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise _unreadable(path, error) from None
    bits = re.search(r"(\d+)-bit", sitk.GetPixelIDValueAsString(reader.GetPixelID()))
    itemsize = int(bits[1]) // 8 if bits else 1
    count = math.prod(map(int, reader.GetSize())) * max(reader.GetNumberOfComponents(), 1)
    held = itk_headers.values_held(data, header, itemsize)
    if not 0 < count <= held:
        raise InputError(f"{path} promises {count} values, but its data can hold at most {held}; copy it again")
    return reader, header, count * itemsize


def _affine(image: Any, path: Path) -> Matrix:
    """From a SimpleITK image or reader."""
    dimension = image.GetDimension()
    if dimension not in (2, 3, 4):
        raise InputError(f"{path} has {dimension} axes; an image of 2, 3 or 4 axes is needed")
    most = min(dimension, 3)
    affine = np.eye(4)
    directions = np.array(image.GetDirection(), np.float64).reshape(dimension, dimension)
    with np.errstate(all="ignore"):  # huge numbers overflow; the result is checked
        affine[:most, :most] = directions[:most, :most] * np.array(image.GetSpacing())[:most]
        affine[:most, 3] = np.array(image.GetOrigin())[:most]
        affine = LPS @ affine
    return check_affine(affine, f"{path}: the geometry in its header")


def _to_sitk(sitk: Any, image: Image, vectors: bool) -> Any:
    data = image.data.astype(STORED_AS.get(image.data.dtype.name, image.data.dtype), copy=False)
    if image.grid.flat and (data.ndim == 3 or vectors):
        data = data[:, :, 0]
    dimension = data.ndim - vectors
    axes = (*range(dimension)[::-1], *range(dimension, data.ndim))
    if data.dtype.kind not in "biuf" or data.dtype.itemsize > 8:
        raise InputError(f"data of type {image.data.dtype} cannot be stored by ITK; convert it to float32")
    made = sitk.GetImageFromArray(np.ascontiguousarray(data.transpose(axes)), isVector=vectors)
    most = min(dimension, 3)
    sizes, lps = image.grid.voxel_size, LPS @ image.affine
    directions = np.eye(dimension)
    directions[:most, :most] = (lps[:3, :3] / sizes)[:most, :most]
    made.SetDirection(directions.ravel().tolist())
    made.SetSpacing([*sizes[:most].tolist(), *[1.0] * (dimension - most)])
    made.SetOrigin([*lps[:most, 3].tolist(), *[0.0] * (dimension - most)])
    return made


def _unreadable(path: Path, error: RuntimeError) -> InputError:
    reason = " ".join(str(error).split())[-200:]
    return InputError(f"{path} is damaged or cut short, ITK says: …{reason}; copy or convert it again")
