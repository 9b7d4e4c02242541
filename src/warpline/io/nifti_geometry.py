"""The voxel-to-world affine of a NIfTI header: the one used here, and the one that each tool of the field uses.

A header can state it three times: by the sform (a matrix), by the qform (a rotation, with the voxel sizes in pixdim),
and by pixdim alone. The standard (https://nifti.nimh.nih.gov/nifti-1) has no rule for a file whose answers differ, and
each tool has its own: those below are read from the sources of the tools, ITK's (5.4) is also tested against SimpleITK.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from nibabel.nifti1 import Nifti1Header
from nibabel.quaternions import quat2mat
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from warpline.errors import UsageError
from warpline.io.lps import LPS
from warpline.space.grid import Matrix, Shape

CHOICES = ("sform", "qform")
"""What a user can choose where a header has both."""

UNITS = {0: 1.0, 1: 1e3, 2: 1.0, 3: 1e-3}
"""Code of the unit of length (xyzt_units) to mm: unknown, metre, mm, micrometre; unknown counts as mm everywhere."""

_ITK_SPACING = " with the voxel sizes of pixdim"


@dataclass(frozen=True, eq=False)
class Placement:
    """The fields of a header that place its voxels.

    Parameters
    ----------
    header : Nifti1Header
        As nibabel repairs it: voxel sizes positive, unknown codes 0.
    shape : (I, J, K)
        Voxels along each axis.
    pixdim : (4,)
        Handedness of the qform and voxel sizes, as stored.
    codes : dict
        ``"sform"`` and ``"qform"`` to their codes, as stored; above 0 where the matrix is set.
    """

    header: Nifti1Header
    shape: Shape
    pixdim: NDArray[np.float64]
    codes: dict[str, int]

    @classmethod
    def of(cls, stored: Nifti1Header, repaired: Nifti1Header) -> Placement:
        """The fields of a header, before and after nibabel's repairs."""
        i, j, k, *_ = (*(int(n) for n in repaired.get_data_shape()), 1, 1, 1)
        codes = {name: int(stored[f"{name}_code"]) for name in CHOICES}
        return cls(repaired, (i, j, k), np.array(stored["pixdim"][:4], np.float64), codes)

    @property
    def axes(self) -> int:
        """Number of axes in space, 3 at most."""
        return min(int(self.header["dim"][0]), 3)

    @property
    def unit(self) -> int:
        """Code of its unit of length."""
        return int(self.header["xyzt_units"]) & 7

    @property
    def to_mm(self) -> float:
        """Its unit of length in mm."""
        return UNITS.get(self.unit, 1.0)

    @property
    def sizes(self) -> NDArray[np.float64]:
        """Voxel sizes (3,) in its own unit, those that are none repaired: positive, and 1 in place of 0 and NaN."""
        return np.abs(usable(self.pixdim[1:]))

    def has(self, name: str) -> bool:
        """Whether the sform or the qform is set."""
        return self.codes[name] > 0

    def matrix(self, name: str) -> Matrix:
        """Voxel to world in mm, of ``"sform"``, ``"qform"``, or ``"none"``: centred, x to the left, as nibabel guesses.

        Raises
        ------
        HeaderDataError, ValueError
            When the quaternion of the qform is longer than 1.
        """
        return in_mm(_MATRICES[name](self.header), self.to_mm)


_MATRICES: dict[str, Callable[[Nifti1Header], Matrix]] = {
    "sform": lambda header: header.get_sform(),
    "qform": lambda header: header.get_qform(),
    "none": lambda header: header.get_base_affine(),
}


def chosen(place: Placement, geometry: str | None = None) -> str:
    """The matrix to use: the requested one where it is set, else sform before qform before neither.

    Raises
    ------
    UsageError
        When something else is asked for.
    """
    if geometry not in (None, *CHOICES):
        raise UsageError(f"geometry is {geometry!r}; choose from {', '.join(CHOICES)}, or leave it out")
    wanted = [geometry, *CHOICES] if geometry else CHOICES
    return next((name for name in wanted if place.has(name)), "none")


@dataclass(frozen=True, eq=False)
class Answer:
    """Where a tool sees the voxels.

    Parameters
    ----------
    source : str
        Name of what it uses; empty where that is not known.
    matrix : (4, 4) or None
        Voxel to world (RAS+ mm); None where it refuses the file, or its rule is not known.
    """

    source: str
    matrix: Matrix | None


def in_mm(matrix: Matrix, to_mm: float) -> Matrix:
    """A voxel-to-world matrix in another unit of length as one in mm; nothing is touched when it is mm already."""
    return matrix if to_mm == 1 else np.diag((to_mm, to_mm, to_mm, 1.0)) @ matrix


def usable(sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Voxel sizes with 1 in place of 0, NaN and infinity, as the NIfTI library reads them; signs are kept."""
    return np.where(np.isfinite(sizes) & (sizes != 0), sizes, 1.0)


def is_right_handed(place: Placement) -> bool:
    """Whether FSL takes the voxels for right-handed: by the sform before the qform, and not when neither is set."""
    name = chosen(place)
    matrix = {"sform": _sform, "qform": qform_of_library}.get(name)
    return matrix is not None and bool(np.linalg.det(matrix(place)[:3, :3]) > 0)


def words(place: Placement, name: str) -> str:
    """The name of a matrix with its code."""
    return f"the {name} (code {place.codes[name]})" if name in CHOICES else "pixdim alone"


def qform_of_library(place: Placement) -> Matrix:
    """The qform in the header's unit, as the NIfTI library builds it, with which ITK and AFNI read.

    Unlike nibabel's: a voxel size that is not above 0, or infinite, counts as 1, any negative pixdim[0] turns the third
    axis round, and a quaternion that is too long is normalised.
    """
    b, c, d = (float(place.header[f"quatern_{letter}"]) for letter in "bcd")
    length = b * b + c * c + d * d
    if 1 - length < 1e-7:
        shrink = 1 / math.sqrt(length)
        quaternion = (0.0, b * shrink, c * shrink, d * shrink)
    else:
        quaternion = (math.sqrt(1 - length), b, c, d)
    sizes = np.where(place.pixdim[1:] > 0, usable(place.pixdim[1:]), 1.0)
    if place.pixdim[0] < 0:
        sizes[2] = -sizes[2]
    matrix = np.eye(4)
    turn: Matrix = quat2mat(quaternion)
    matrix[:3, :3] = turn * sizes
    matrix[:3, 3] = [float(place.header[f"qoffset_{letter}"]) for letter in "xyz"]
    return matrix


def _sform(place: Placement) -> Matrix:
    return np.array(place.header.get_sform(), np.float64)


def _nibabel(place: Placement) -> Answer:
    """Sform, qform, or the middle of the volume at the origin and x to the left; unknown codes count as 0."""
    name = next((name for name in CHOICES if place.header[f"{name}_code"] > 0), "none")
    try:
        return Answer(words(place, name), place.matrix(name))
    except (HeaderDataError, ValueError):
        return Answer("refused: the quaternion is too long", None)


def _sform_first(place: Placement, *, neither: Callable[[Placement], Matrix], library: bool = True) -> Answer:
    """Sform, qform, or its own guess; `library`: whether its qform is known to be that of the NIfTI library."""
    name = chosen(place)
    if name == "qform" and not library and not np.all(place.pixdim[1:] > 0):
        return Answer("", None)
    made: dict[str, Callable[[Placement], Matrix]] = {"sform": _sform, "qform": qform_of_library, "none": neither}
    return Answer(words(place, name), in_mm(made[name](place), place.to_mm))


def _corner(place: Placement) -> Matrix:
    """The first voxel at the origin, axes to the right, the front and the top."""
    return np.diag((*place.sizes, 1.0))


def _centred_matrix(place: Placement) -> Matrix:
    """SPM's guess for files without orientation, which is nibabel's."""
    return np.asarray(place.header.get_base_affine(), np.float64)


def _freesurfer_guess(place: Placement) -> Matrix:
    """X to the left; the middle voxel as far from the origin as the volume is half wide."""
    matrix = np.diag((-place.sizes[0], place.sizes[1], place.sizes[2], 1.0))
    half = np.array(place.shape) / 2
    matrix[:3, 3] = place.sizes * half - matrix[:3, :3] @ half
    return matrix


def _itk(place: Placement, *, takes: Callable[[Placement], str]) -> Answer:
    """ITK: direction cosines and origin of sform or qform, voxel sizes always of pixdim."""
    name = takes(place)
    sizes = usable(place.pixdim[1:])
    if name == "refused":
        return Answer("refused, since no matrix without shear is set", None)
    if name == "none":
        matrix = LPS @ np.diag((*sizes, 1.0))
        return Answer(words(place, name), in_mm(matrix, place.to_mm))
    matrix = _sform(place) if name == "sform" else qform_of_library(place)
    lengths = np.linalg.norm(matrix[:3, :3], axis=0)
    own = words(place, name) + ("" if np.allclose(lengths, sizes, rtol=1e-3) else _ITK_SPACING)
    matrix[:3, :3] *= sizes / np.where(lengths > 0, lengths, np.nan)
    return Answer(own, in_mm(matrix, place.to_mm))


def _itk_takes(place: Placement) -> str:
    """The sform when it has no shear and has code 1, no qform beside it, or one that is the same; else the qform."""
    has_sform, has_qform = place.has("sform"), place.has("qform")
    if not (has_sform or has_qform):
        return "none"
    if has_sform and _is_rigid(_sform(place)):
        alike = has_qform and np.abs(_sform(place) - qform_of_library(place)).max() <= 1e-4
        if not has_qform or place.codes["sform"] == 1 or alike:
            return "sform"
    return "qform" if has_qform else "refused"


def _is_rigid(matrix: Matrix) -> bool:
    """Whether the columns of a matrix are at right angles, within ITK's tolerance."""
    lengths = np.linalg.norm(matrix[:3, :3], axis=0)
    if not (np.isfinite(matrix).all() and np.all(lengths > 0)):
        return False
    cosines = matrix[:3, :3] / lengths
    return bool(np.abs(cosines @ cosines.T - np.eye(3)).max() <= 1e-4)


ITK = "ITK (ANTs, SimpleITK, Slicer)"

TOOLS: dict[str, Callable[[Placement], Answer]] = {
    "nibabel": _nibabel,
    "FSL": partial(_sform_first, neither=_corner, library=False),
    "SPM": partial(_sform_first, neither=_centred_matrix),
    "FreeSurfer": partial(_sform_first, neither=_freesurfer_guess, library=False),
    "AFNI": partial(_sform_first, neither=_corner),
    ITK: partial(_itk, takes=_itk_takes),
    "older ITK": partial(_itk, takes=partial(chosen, geometry="qform")),
}
"""Tool to where it sees the voxels of a file, its unit of length turned into mm."""
