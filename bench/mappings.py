"""Every tool's transform files, read into one form: `y = A(x + u(x))` in RAS millimetres.

``x`` is a world point of the fixed image, ``u`` the displacement, ``A`` the affine, ``y`` the world
point of the moving image. All the tools compared here keep their fields on the fixed grid.
"""

from __future__ import annotations

from dataclasses import dataclass

import nibabel as nib
import numpy as np
from scipy.io import loadmat

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Mapping:
    """The map from fixed to moving world points.

    Attributes
    ----------
    grid : ndarray, shape (4, 4)
        Affine of the fixed grid, voxel to RAS mm.
    affine : ndarray, shape (4, 4)
        The linear part ``A``, applied after the displacement.
    displacement : ndarray, shape (I, J, K, 3)
        ``u`` on the fixed grid, RAS mm.
    inverse : ndarray or None
        ``v`` with ``x = z + v(z)`` for ``z = x + u(x)``, same layout; None where the tool gives none.
    """

    grid: np.ndarray
    affine: np.ndarray
    displacement: np.ndarray
    inverse: np.ndarray | None


def read_itk_field(path: str) -> np.ndarray:
    """Read a displacement field written by ITK (LPS components) as (I, J, K, 3) RAS mm."""
    data = np.asanyarray(nib.load(path).dataobj, dtype=np.float32)
    return np.squeeze(data, axis=3) * np.array([-1, -1, 1], dtype=np.float32)


def read_itk_affine(path: str) -> np.ndarray:
    """Read an ITK ``.mat`` affine as a 4x4 RAS matrix, fixed world to moving world."""
    content = loadmat(path)
    centre = content.pop("fixed").ravel().astype(float)
    parameters = next(v for v in content.values() if getattr(v, "size", 0) == 12).ravel()
    matrix = np.eye(4)
    matrix[:3, :3] = parameters[:9].reshape(3, 3)
    matrix[:3, 3] = parameters[9:] + centre - matrix[:3, :3] @ centre
    return LPS_TO_RAS @ matrix @ LPS_TO_RAS


def itk_mapping(fixed: str, affine: str, warp: str, inverse: str) -> Mapping:
    """Mapping from the three files that ANTs writes (and warpline, in the same formats)."""
    return Mapping(_grid(fixed), read_itk_affine(affine), read_itk_field(warp), read_itk_field(inverse))


def greedy_mapping(fixed: str, affine: str, warp: str, inverse: str) -> Mapping:
    """Mapping from Greedy's text affine (RAS) and its ITK-style fields."""
    matrix = np.loadtxt(affine)
    return Mapping(_grid(fixed), matrix, read_itk_field(warp), read_itk_field(inverse))


def dipy_mapping(fixed: str, affine: str, fields: str) -> Mapping:
    """Mapping from a DIPY mapping file (both fields, RAS mm) and the pre-alignment saved beside it."""
    both = np.asanyarray(nib.load(fields).dataobj, dtype=np.float32)
    return Mapping(_grid(fixed), np.loadtxt(affine), both[..., 1], both[..., 0])


def whole_map_mapping(fixed: str, affine: str, field: str) -> Mapping:
    """Mapping from a field (ITK's format) that holds the whole map, and the affine inside it (ITK's ``.mat``).

    ``u(x) = A^-1 (x + w(x)) - x``; there is no inverse.
    """
    grid, whole = _grid(fixed), read_itk_field(field)
    matrix = read_itk_affine(affine)
    back = np.linalg.inv(matrix)
    voxels = np.stack(np.meshgrid(*map(np.arange, whole.shape[:3]), indexing="ij"), axis=-1)
    world = (voxels @ grid[:3, :3].T + grid[:3, 3]).astype(np.float32)
    displacement = (world + whole) @ back[:3, :3].T + back[:3, 3] - world
    return Mapping(grid, matrix, displacement.astype(np.float32), None)


def _grid(path: str) -> np.ndarray:
    return np.asarray(nib.load(path).affine, dtype=float)
