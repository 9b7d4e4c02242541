"""NIfTI files with headers that say where the voxels are in several ways, or not at all."""

from __future__ import annotations

import nibabel
import numpy as np
from scipy.spatial.transform import Rotation

SHAPE = (6, 7, 8)
SIZES = (2.0, 3.0, 4.0)


def placed(turn, shift, sizes=SIZES):
    """A voxel-to-world matrix."""
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag(sizes)
    affine[:3, 3] = shift
    return affine


ONE = placed(Rotation.from_rotvec((0.1, 0.2, 0.3)).as_matrix(), (-10, 5, 7))
MIRRORED = placed(Rotation.from_rotvec((-0.3, 0.2, 0.1)).as_matrix() @ np.diag((-1, 1, 1)), (30, -20, 11))
SHEAR = np.eye(4) + 0.2 * np.eye(4, k=1) * (np.arange(4) == 1)
SHEARED = ONE @ SHEAR
SCALED = ONE @ np.diag((1.1, 1.1, 1.1, 1))
FLAT = np.diag((0.0, 1, 1, 1))

HEADERS = {
    "both equal": {"sform": ONE, "qform": ONE},
    "both equal, sform 4": {"sform": ONE, "qform": ONE, "sform_code": 4},
    "sform": {"sform": ONE, "sform_code": 2},
    "qform": {"qform": MIRRORED},
    "both 1": {"sform": ONE, "qform": MIRRORED},
    "sform 2": {"sform": ONE, "qform": MIRRORED, "sform_code": 2},
    "sform 4": {"sform": ONE, "qform": MIRRORED, "sform_code": 4},
    "sform 7": {"sform": ONE, "sform_code": 7},
    "neither": {},
    "sheared": {"sform": SHEARED},
    "sheared, qform": {"sform": SHEARED, "qform": ONE},
    "scaled 4, qform": {"sform": SCALED, "qform": ONE, "sform_code": 4},
    "singular, qform": {"sform": FLAT, "qform": MIRRORED},
    "pixdim 1": {"sform": ONE, "pixdim": (1, 1, 1)},
    "negative": {"qform": MIRRORED, "pixdim": (-2, 3, 4)},
    "negative, sform": {"sform": ONE, "pixdim": (-2, 3, 4)},
    "zero": {"qform": MIRRORED, "pixdim": (0, 3, 4)},
    "zero, sform": {"sform": ONE, "pixdim": (0, 3, 4)},
    "nan, sform": {"sform": ONE, "pixdim": (np.nan, 3, 4)},
    "infinite, both": {"sform": ONE, "qform": MIRRORED, "pixdim": (2, 3, np.inf)},
    "negative, neither": {"pixdim": (-2, 3, 4)},
    "qfac 0": {"qform": MIRRORED, "qfac": 0},
    "qfac -3": {"qform": MIRRORED, "qfac": -3},
    "micrometres": {"sform": ONE, "qform": ONE, "units": 3},
    "metres": {"qform": MIRRORED, "units": 1},
    "no unit": {"sform": ONE, "units": 5},
}
"""What a header says, in the arguments of `write_header`."""


def write_header(path, *, sform=None, qform=None, sform_code=1, kind=nibabel.Nifti1Image, data=None, **entries):
    """Write a single NIfTI file with exactly these entries; matrices that are None have the code 0."""
    data = np.zeros(SHAPE, np.float32) if data is None else data
    header = kind(data, None).header
    for name, matrix, code in (("qform", qform, 1), ("sform", sform, sform_code)):
        if matrix is not None:
            getattr(header, f"set_{name}")(matrix, 1)
        header[f"{name}_code"] = 0 if matrix is None else code
    header["pixdim"][1:4] = entries.get("pixdim", SIZES)
    header["pixdim"][0] = entries.get("qfac", header["pixdim"][0])
    header["xyzt_units"] = entries.get("units", 2)
    header.set_slope_inter(1, 0)
    header["vox_offset"], header["magic"] = header.single_vox_offset, header.single_magic
    block = header.binaryblock
    path.write_bytes(block + bytes(header.single_vox_offset - len(block)) + data.tobytes("F"))
    return path
