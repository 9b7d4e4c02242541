"""Gradients of a diffusion series: its shells, and directions turned with the volumes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.errors import InputError
from warpline.io.gradients import read_bvals, read_bvecs
from warpline.space.grid import Grid, Matrix

UNWEIGHTED = 50.0
"""Highest b-value in s/mm^2 of a volume that counts as not weighted by diffusion."""

SHELL_GAP = 100.0
"""Difference of neighbouring b-values in s/mm^2 from which they are different shells: scanners round by less."""


@dataclass(frozen=True, eq=False)
class Gradients:
    """B-values and directions of the volumes.

    Parameters
    ----------
    bvals : (T,)
        In s/mm^2.
    bvecs : (T, 3), optional
        Unit vectors by FSL's convention, see `warpline.io.gradients`.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline.series import Gradients
    >>> Gradients(np.array([0.0, 1000.0, 1005.0, 5.0])).shells()
    [(0, [0, 3]), (1002, [1, 2])]
    """

    bvals: NDArray[np.float64]
    bvecs: NDArray[np.float64] | None = None

    @classmethod
    def read(cls, bvals: Any, bvecs: Any, count: int) -> Gradients:
        """From files or arrays.

        Raises
        ------
        InputError
            When they have other lengths than the series, or no volume is unweighted.
        """
        values = read_bvals(bvals)
        vectors = None if bvecs is None else read_bvecs(bvecs)
        for name, table in (("bval", values), ("bvec", vectors)):
            if table is not None and len(table) != count:
                raise InputError(f"{name} has {len(table)} entries and the series {count} volumes; give one for each")
        if not (values <= UNWEIGHTED).any():
            raise InputError(f"no volume is unweighted: all b-values are above {UNWEIGHTED:g} s/mm^2")
        return cls(values, vectors)

    def shells(self) -> list[tuple[int, list[int]]]:
        """B-value and volumes of each shell, the unweighted one first, as 0."""
        weighted = self.bvals > UNWEIGHTED
        found = [(0, np.flatnonzero(~weighted).tolist())]
        order = np.flatnonzero(weighted)[np.argsort(self.bvals[weighted], kind="stable")]
        starts = np.flatnonzero(np.diff(self.bvals[order]) > SHELL_GAP) + 1
        parts = [part for part in np.split(order, starts) if len(part)]
        return [*found, *((int(self.bvals[part].mean()), sorted(part.tolist())) for part in parts)]

    def turned(self, matrices: Matrix, grid: Grid, target: Grid) -> Gradients:
        """The gradients as the moved volumes have them.

        Parameters
        ----------
        matrices : (T, 4, 4)
            World of the result to the world of each volume; of their linear parts the rotation counts.
        grid, target : Grid
            Of the series, and of the result.
        """
        if self.bvecs is None:
            return self
        in_world = self.bvecs @ _axes(grid).T
        left, _, right = np.linalg.svd(matrices[:, :3, :3])
        back = np.einsum("tji,tj->ti", left @ right, in_world)
        return Gradients(self.bvals, back @ _axes(target))


def _axes(grid: Grid) -> Matrix:
    """Unit vectors of FSL's axes of a grid in its columns: those of the voxels, the first one flipped where det > 0."""
    left, _, right = np.linalg.svd(grid.affine[:3, :3] / grid.voxel_size)
    axes: Matrix = left @ right
    if np.linalg.det(axes) > 0:
        axes[:, 0] *= -1
    return axes
