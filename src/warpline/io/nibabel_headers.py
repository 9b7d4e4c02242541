"""Grids of the images that nibabel reads, with what their headers leave open."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from nibabel.analyze import AnalyzeHeader
from nibabel.freesurfer.mghformat import MGHHeader
from nibabel.nifti1 import Nifti1Header
from nibabel.spatialimages import HeaderDataError, SpatialImage

from warpline.errors import InputError
from warpline.io import nifti
from warpline.io.header_notes import PlacementDistance
from warpline.io.nifti_geometry import Placement, in_mm
from warpline.space.grid import Grid, GridHeader, Shape, check_affine

_ITK_ANALYZE = "ITK (ANTs, SimpleITK, Slicer) has the first voxel at the origin and y to the back"
_GOOD_RAS = slice(28, 30)
"""Bytes of an MGH header that say whether the file has an orientation."""


def grid_of(source: SpatialImage, name: str, geometry: str | None = None, head: bytes = b"") -> Grid:
    """The grid of an image, in mm.

    Parameters
    ----------
    source : SpatialImage
        As nibabel has it.
    name : str
        Of its file.
    geometry : {"sform", "qform"}, optional
        Which matrix of a NIfTI header to take where it has both.
    head : bytes
        How the file with its header begins; nibabel repairs headers when it reads them.

    Raises
    ------
    InputError
        When the affine is missing, singular or not finite.
    UsageError
        When `geometry` is something else.
    """
    if source.affine is None:
        raise InputError(f"{name} has no affine; write a valid sform or qform into the file")
    reader = next((read for kind, read in READERS.items() if isinstance(source.header, kind)), _plain)
    return reader(source, name, geometry, head)


def _plain(source: SpatialImage, name: str, geometry: str | None, head: bytes) -> Grid:
    """An image whose format has exactly one affine."""
    return Grid(_shape(source), check_affine(source.affine, f"{name}: the affine of its header"))


def _nifti(source: SpatialImage, name: str, geometry: str | None, head: bytes) -> Grid:
    """NIfTI, as a pair of files or in memory; an affine that was changed since reading counts before the header."""
    header: Any = source.header
    stored = nifti.stored_header(head, pair=True) or header
    place = Placement.of(stored, header)
    try:
        own = np.allclose(header.get_best_affine(), source.affine, rtol=1e-5, atol=1e-4)
    except (HeaderDataError, ValueError):
        own = True  # the reader reports the fault
    if not own:
        matrix = in_mm(np.asarray(source.affine, np.float64), place.to_mm)
        return Grid(_shape(source), check_affine(matrix, f"{name}: its affine"))
    grid = nifti.grid_of(place, name, geometry)
    kept = in_mm(np.asarray(source.affine, np.float64), place.to_mm)
    close = np.allclose(
        kept, grid.affine, rtol=1e-5, atol=1e-4
    )  # the affine of an image in memory is in full precision
    return Grid(_shape(source), kept if close else grid.affine, header=grid.header)


def _analyze(source: SpatialImage, name: str, geometry: str | None, head: bytes) -> Grid:
    """Analyze 7.5: voxel sizes, no orientation; SPM puts one beside it, in a .mat file."""
    grid = _plain(source, name, geometry, head)
    header: Any = source.header
    stored = type(header)(head[:348], check=False) if len(head) >= 348 else header
    sizes = np.array(stored["pixdim"][1:4], np.float64)
    notes = [
        f"{name}: its pixdim is {size:g} along {axis}, which is no size of a voxel: taken for {made:.4g}"
        for size, made, axis in zip(sizes, grid.voxel_size, "ijk", strict=True)
        if not size > 0
    ]
    if np.allclose(source.affine, header.get_best_affine()):
        itk = np.diag((-grid.voxel_size[0], -grid.voxel_size[1], grid.voxel_size[2], 1.0))
        gap = PlacementDistance.between(grid.affine, itk, grid.shape)
        notes.append(
            f"{name}: an Analyze file says nothing about orientation: left and right are a guess, x grows to the left, "
            f"as in nibabel, SPM and FSL; {_ITK_ANALYZE}, {gap}. Convert it to NIfTI with the orientation that you know"
        )
        return Grid(grid.shape, grid.affine, header=GridHeader("none", notes=tuple(notes)))
    notes.append(
        f"{name}: placed by the .mat file beside it, as in SPM and nibabel; ITK (ANTs, SimpleITK, Slicer), FSL and "
        "AFNI do not read that. Convert it to NIfTI"
    )
    return Grid(grid.shape, grid.affine, header=GridHeader("mat", notes=tuple(notes)))


def _mgh(source: SpatialImage, name: str, geometry: str | None, head: bytes) -> Grid:
    """FreeSurfer's MGH: one matrix, or a flag that there is none."""
    grid = _plain(source, name, geometry, head)
    if head[_GOOD_RAS] != b"\0\0":
        return grid
    note = (
        f"{name}: its header has no orientation (goodRASFlag 0): left and right are a guess, FreeSurfer's coronal "
        "slices of 1 mm with the middle at the origin. Write the right one with mri_convert"
    )
    return Grid(grid.shape, grid.affine, header=GridHeader("none", notes=(note,)))


def _shape(source: SpatialImage) -> Shape:
    i, j, k, *_ = (*source.shape, 1, 1, 1)
    return int(i), int(j), int(k)


Reader = Callable[[SpatialImage, str, str | None, bytes], Grid]

READERS: dict[type, Reader] = {Nifti1Header: _nifti, AnalyzeHeader: _analyze, MGHHeader: _mgh}
"""Kind of header, the more special one first, to what reads the grid from it."""
