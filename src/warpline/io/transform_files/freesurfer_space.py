"""FreeSurfer's description of a volume: shape, voxel size, direction cosines, and the place of its middle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from warpline.space.grid import Grid, check_affine


@dataclass(frozen=True)
class Volume:
    """The geometry of a volume in FreeSurfer's terms.

    Parameters
    ----------
    shape : (3,)
        Number of voxels along each axis.
    voxel_size : (3,)
        In mm.
    cosines : (3, 3)
        Columns are the directions of the voxel axes in RAS.
    middle : (3,)
        World (RAS+ mm) of voxel index shape / 2.
    """

    shape: NDArray[np.float64]
    voxel_size: NDArray[np.float64]
    cosines: NDArray[np.float64]
    middle: NDArray[np.float64]

    @classmethod
    def of(cls, grid: Grid) -> Volume:
        """The description of a grid."""
        shape = np.array(grid.shape, dtype=np.float64)
        middle = grid.affine[:3, :3] @ (shape / 2) + grid.affine[:3, 3]
        return cls(shape, grid.voxel_size, grid.affine[:3, :3] / grid.voxel_size, middle)

    def grid(self, name: str) -> Grid:
        """The grid it describes.

        Raises
        ------
        InputError
            When it is singular, not finite or has no voxels; `name` says whose it is.
        """
        affine = np.eye(4)
        affine[:3, :3] = self.cosines * self.voxel_size
        affine[:3, 3] = self.middle - affine[:3, :3] @ (self.shape / 2)
        checked = check_affine(affine, name)
        return Grid(tuple(self.shape), checked)
