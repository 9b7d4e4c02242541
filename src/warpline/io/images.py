"""Images: files, nibabel images and arrays to `Image`, and `Image` to NIfTI files."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from nibabel.arrayproxy import ArrayProxy
from nibabel.spatialimages import SpatialImage
from numpy.typing import ArrayLike, NDArray

from warpline.errors import InputError, UsageError
from warpline.images import Image
from warpline.io import itk_images, nibabel_headers, nifti, ome_zarr, zarr_names
from warpline.io.atomic import Transaction, write_atomic
from warpline.io.compression import compress, peek
from warpline.io.image_formats import open_image, with_clear_errors
from warpline.io.physical_size import with_size_note
from warpline.io.scaling import apply_scaling, restore_integers
from warpline.space.grid import Grid, lies_in_plane

Source = Any
"""A path, a nibabel image, an `Image`, an array, or a pair (array, affine)."""

_log = logging.getLogger(__name__)

_TILTED = (
    "%s is 2-D, but does not lie in the plane of world x and y, where ITK and ANTs take 2-D images to be: it is taken "
    "as one slice of a volume, and its transforms are written in 3-D"
)


def read_image(path: str | os.PathLike[str], geometry: str | None = None) -> Image:
    """Read NIfTI (``.nii``, ``.nii.gz``), NRRD, MetaImage, OME-Zarr or one of `warpline.io.image_formats.FORMATS`.

    Unscaled data keep their type, so labels stay exact; data that the header scales become integers where all values
    are whole, else float32, see `warpline.io.scaling.apply_scaling`. Axes of one voxel after the third are dropped.
    Lengths are converted to mm. What the header leaves open is in the `notes` of the image's grid.

    Parameters
    ----------
    path : path
        The file; compression is detected by content. Of OME-Zarr the finest level, or another one, a channel and a time
        as in ``name.ome.zarr:1,c=0,t=2``.
    geometry : {"sform", "qform"}, optional
        Which matrix of a NIfTI header to take where it has both; the sform when None.

    Returns
    -------
    Image
        C-contiguous (I, J, K) or (I, J, K, T), with the file's voxel-to-world matrix (RAS+ mm).

    Raises
    ------
    InputError
        When the file is missing, truncated, damaged, not an image, of 1 or more than 4 axes, not of real
        numbers, or its affine is singular or not finite, or float64 would merge its scaled values.
    UsageError
        When `geometry` is something else.
    """
    return _sized(_read(Path(path), geometry))


def _read(path: Path, geometry: str | None) -> Image:
    if zarr_names.is_zarr(path):
        return ome_zarr.read(path)
    stored = nifti.read(path, geometry)
    if stored is None:
        return _read_by_itk(path) if itk_images.matches(path) else _read_other(path, geometry)
    return _image(
        apply_scaling(stored.array, nifti.scaling(stored.header, str(path)), str(path)), stored.grid, str(path)
    )


def read_grid(path: str | os.PathLike[str], geometry: str | None = None) -> Grid:
    """The grid of an image; of NIfTI, NRRD, MetaImage and OME-Zarr only the header is read.

    Parameters
    ----------
    path, geometry
        As of `read_image`.

    Raises
    ------
    InputError
        When the file is missing, damaged, not an image, or its affine is singular or not finite.
    """
    return with_size_note(_read_grid(Path(path), geometry), str(Path(path)))


def _read_grid(path: Path, geometry: str | None) -> Grid:
    if zarr_names.is_zarr(path):
        return ome_zarr.read_grid(path)
    grid = nifti.read_grid(path, geometry)
    if grid is None and itk_images.matches(path):
        shape, affine = itk_images.read_place(path)
        i, j, k, *_ = (*shape, 1, 1)
        grid = Grid((i, j, k), affine, len(shape) == 2 and lies_in_plane(affine))
    return _read(path, geometry).grid if grid is None else grid


def write_image(image: Image, path: str | os.PathLike[str]) -> None:
    """Write an image as NIfTI, gzip-compressed when the name ends in ``.gz``, NRRD, MetaImage or OME-Zarr.

    Its type is kept. The files appear complete or not at all, and equal images give equal bytes.

    Parameters
    ----------
    image : Image
        Three or four axes.
    path : path
        Ends in ``.nii``, ``.nii.gz``, ``.nrrd``, ``.nhdr``, ``.mha``, ``.mhd`` or ``.zarr``; of ``.nhdr`` and ``.mhd``
        the values become a second file beside it, of ``.zarr`` a folder with a pyramid.

    Raises
    ------
    UsageError
        When the name ends otherwise.
    OutputError
        When the file cannot be written.
    InputError
        When the format cannot hold the data type or the grid, or needs a library that is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> import warpline
    >>> grid = warpline.Grid((4, 5, 6), np.diag([2.0, 2.0, 2.0, 1.0]))
    >>> warpline.write_image(warpline.Image(np.zeros(grid.shape, np.float32), grid), "zeros.nii.gz")
    >>> warpline.read_image("zeros.nii.gz").grid == grid
    True
    """
    path = Path(path)
    check_name(path)
    if zarr_names.is_zarr(path):
        ome_zarr.write(image, path)
        return
    if path.suffix in itk_images.SUFFIXES:
        write_by_itk(image, path)
        return
    content = encode_image(image)
    write_atomic(path, compress(content) if path.suffix == ".gz" else content)


def write_by_itk(image: Image, path: Path, *, vectors: bool = False) -> None:
    """Write an image as NRRD or MetaImage, its fourth axis as components of vectors where it is one of `vectors`."""
    with Transaction() as files:
        for name, content in itk_images.encode(image, path.name, vectors=vectors).items():
            files.write(path.with_name(name), content)


def check_name(path: str | os.PathLike[str]) -> None:
    """Refuse a name that promises another format than those that are written.

    Raises
    ------
    UsageError
        When the name ends neither in ``.nii`` or ``.nii.gz`` nor in one of `warpline.io.itk_images.SUFFIXES` or
        ``.zarr``.
    """
    if not os.fspath(path).endswith((".nii", ".nii.gz", *itk_images.SUFFIXES, ".zarr")):
        others = ", ".join((*itk_images.SUFFIXES, ".ome.zarr"))
        raise UsageError(
            f"{os.fspath(path)} is no name for an image to write; let it end in .nii.gz or .nii, or in {others}"
        )


def encode_image(image: Image) -> bytes:
    """The bytes of an uncompressed NIfTI file; one of two axes where the grid is flat."""
    flat = image.grid.flat and image.data.ndim == 3
    return nifti.encode(image.data[:, :, 0] if flat else image.data, image.affine)


def as_image(source: Source, name: str, geometry: str | None = None) -> Image:
    """An `Image` from a path, a nibabel image, an `Image`, an array or (array, affine).

    Parameters
    ----------
    source : path, nibabel image, Image, array or (array, affine)
        An array has 2, 3 or 4 axes; an affine is (4, 4), or (3, 3) for a 2-D array. Both may be of NumPy, CuPy,
        PyTorch, JAX or another library, see `warpline.images.array_exchange.as_numpy`; one on a GPU stays there as
        well (`Image.on_gpu`). An array alone has the affine in its attribute `affine`, as MONAI's MetaTensor has one,
        else the identity.
    name : str
        What error messages call an image that has no file name.
    geometry : {"sform", "qform"}, optional
        Which matrix of a NIfTI header to take, as in `read_image`.

    Raises
    ------
    InputError
        When it cannot be read or has the wrong shape.
    """
    if isinstance(source, Image):
        return source
    if isinstance(source, (str, os.PathLike)):
        return read_image(source, geometry)
    if isinstance(source, SpatialImage):
        return _sized(_from_nibabel(source, source.get_filename() or name, geometry))
    array, affine = source if _is_placed(source) else (source, getattr(source, "affine", None))
    image = Image.from_array(array, affine, name)
    _check_real(image.data, name)
    whole = replace(image, data=np.ascontiguousarray(image.data))
    return whole if affine is None else _sized(whole, "affine")


def placed(sources: Mapping[str, Source | None], affine: ArrayLike | None) -> dict[str, Source | None]:
    """Sources, those that are arrays alone with an affine.

    Parameters
    ----------
    sources : dict
        As for `as_image`, by the names of arguments.
    affine : (4, 4) or (3, 3), optional
        Voxel to world (RAS+ mm).

    Raises
    ------
    UsageError
        When there is an affine, and each source has its own.

    Examples
    --------
    >>> import numpy as np
    >>> array, affine = placed({"fixed": np.zeros((4, 5, 6))}, np.diag([2.0, 2.0, 2.0, 1.0]))["fixed"]
    >>> array.shape, affine.shape
    ((4, 5, 6), (4, 4))
    """
    if affine is None:
        return dict(sources)
    bare = {name for name, source in sources.items() if source is not None and _is_array_alone(source)}
    if not bare:
        raise UsageError("affine is given, and every image has its own; it is for images that are arrays alone")
    return {name: (source, affine) if name in bare else source for name, source in sources.items()}


def _is_array_alone(source: Source) -> bool:
    other = isinstance(source, (str, os.PathLike, Image, SpatialImage)) or _is_placed(source)
    return not other and getattr(source, "affine", None) is None


def _is_placed(source: Source) -> bool:
    """Whether it is a pair (array, affine)."""
    return isinstance(source, tuple) and len(source) == 2


def _read_by_itk(path: Path) -> Image:
    stored = itk_images.read(path)
    if stored.doubt:
        _log.warning("%s %s", path, stored.doubt)
    i, j, k, *_ = (*stored.array.shape, 1, 1)
    return _image(stored.array, Grid((i, j, k), stored.affine), str(path))


def _read_other(path: Path, geometry: str | None) -> Image:
    loaded = open_image(path)
    return with_clear_errors(path, lambda: _from_nibabel(loaded, str(path), geometry, _head(loaded)))


def _from_nibabel(source: SpatialImage, name: str, geometry: str | None, head: bytes = b"") -> Image:
    return _image(_values(source, name), nibabel_headers.grid_of(source, name, geometry, head), name)


def _head(loaded: SpatialImage) -> bytes:
    """First bytes of the file that holds the header of an image."""
    holder = loaded.file_map.get("header") or loaded.file_map["image"]
    return b"" if holder.filename is None else peek(Path(holder.filename), nifti.HEAD_SIZE)


def _values(source: SpatialImage, name: str) -> NDArray[np.generic]:
    proxy = source.dataobj
    if type(proxy) is ArrayProxy:  # not AFNI's, which has a factor per volume
        return apply_scaling(proxy.get_unscaled(), (proxy.slope, proxy.inter), name)
    values = np.asanyarray(proxy)
    if nibabel.is_proxy(proxy) and values.dtype != source.get_data_dtype():  # scaled by the rules of its format
        values = restore_integers(values)
    return apply_scaling(values, (None, None), name)


def _image(values: NDArray[np.generic], grid: Grid, name: str) -> Image:
    while values.ndim > 3 and values.shape[-1] == 1:
        values = values[..., 0]
    _check_real(values, name)
    if values.ndim not in (2, 3, 4):
        hint = " (apply takes vectors with --vectors)" if values.shape[3:] == (1, 3) else ""
        raise InputError(
            f"{name} has {values.ndim} axes, shape {values.shape}; an image of 2, 3 or 4 axes is needed{hint}"
        )
    if values.ndim == 2:
        values = values[:, :, None]
        flat = lies_in_plane(grid.affine)
        grid = replace(grid, flat=flat)
        if not flat:
            _log.warning(_TILTED, name)
    return Image(np.ascontiguousarray(values), grid, name)


def _sized(image: Image, source: str = "header") -> Image:
    """With a note on its grid where that is larger or smaller than what is registered; `source` says its size."""
    grid = with_size_note(image.grid, image.name, source)
    return image if grid is image.grid else replace(image, grid=grid)


def _check_real(values: NDArray[np.generic], name: str) -> None:
    if values.dtype.kind not in "biuf":
        raise InputError(f"{name} holds values of type {values.dtype}; real numbers are needed")
