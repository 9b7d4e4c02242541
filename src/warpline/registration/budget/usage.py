"""What a map and its inverse use of a deformation budget: measured values, and the voxels that exceed it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from warpline.backends import Array, Backend
from warpline.recipe import Budget
from warpline.space import fields
from warpline.space.deformation import bending_density, largest_jacobian, largest_strain
from warpline.space.grid import Grid

MARGIN = 3
"""Voxels around the foreground in which determinants and strain are limited as well: masks of others may be wider."""

REACH = MARGIN + 2
"""Voxels around the foreground that derivatives there look at."""


@dataclass(frozen=True)
class Usage:
    """What one map shows of what a budget limits; None where there is no limit.

    Parameters
    ----------
    bending : float or None
        Mean bending energy inside the foreground, 1/mm^2.
    jacobian_min, jacobian_max : float or None
        Least and largest Jacobian determinant by any differences, inside it and up to `MARGIN` voxels around.
    strain : float or None
        Largest principal logarithmic strain, absolute, likewise.
    """

    bending: float | None = None
    jacobian_min: float | None = None
    jacobian_max: float | None = None
    strain: float | None = None

    def share_of(self, budget: Budget, *, inverse: bool = False) -> float:
        """The largest share of any limit that is used, of determinants by their logarithms; 1 is all of it."""
        shares = [0.0]
        if budget.max_bending is not None and self.bending is not None:
            shares.append(self.bending / budget.max_bending)
        if budget.max_strain is not None and self.strain is not None:
            shares.append(self.strain / budget.max_strain)
        if budget.jacobian is not None and self.jacobian_min is not None and self.jacobian_max is not None:
            low, high = jacobian_range(budget.jacobian, inverse=inverse)
            shares.append(math.log(self.jacobian_min) / math.log(low) if self.jacobian_min > 0 else math.inf)
            shares.append(math.log(self.jacobian_max) / math.log(high) if self.jacobian_max > 0 else math.inf)
        return max((math.inf if math.isnan(share) else share) for share in shares)


def jacobian_range(limits: tuple[float, float], *, inverse: bool, share: float = 1.0) -> tuple[float, float]:
    """Least and largest determinant allowed of a map or its inverse, with a share of the logarithms of the limits."""
    low, high = (limit**share for limit in limits)
    return (1 / high, 1 / low) if inverse else (low, high)


class Meter:
    """Measures displacements against a budget on a box of the fixed grid.

    Parameters
    ----------
    budget : Budget
        What is limited.
    foreground : (I, J, K) uint8
        Not 0 where the limits must hold, on the backend.
    grid : Grid
        Of the box.
    backend : Backend
        Where everything is.
    """

    def __init__(self, budget: Budget, foreground: Array, grid: Grid, backend: Backend) -> None:
        self.budget, self._backend = budget, backend
        extent = backend.extent((foreground != 0).astype(np.float32), np.eye(4))
        self._is_empty = not np.isfinite(extent).all()
        start = np.zeros(3, int) if self._is_empty else np.maximum(extent[0].astype(int) - REACH, 0)
        stop = np.ones(3, int) if self._is_empty else np.minimum(extent[1].astype(int) + 1 + REACH, grid.shape)
        self._spans = tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))
        self._grid = grid.cropped(tuple(start.tolist()), tuple(stop.tolist()))
        self._inside = foreground[self._spans] != 0
        spread = backend.smooth(self._inside.astype(np.float32), (MARGIN / 3,) * 3, out=backend.empty(self._grid.shape))
        self._near = spread > 0
        self._shape = foreground.shape

    def usage(self, field: Array) -> Usage:
        """Of a displacement (3, I, J, K) in voxels of the box."""
        if self._is_empty:
            return Usage()
        part, found = self._part(field), {}
        if self.budget.max_bending is not None:
            found["bending"] = self._bending(part)
        if self.budget.jacobian is not None:
            found["jacobian_min"] = -self._largest(-self._backend.least_jacobian(part))
            found["jacobian_max"] = self._largest(largest_jacobian(part, self._backend))
        if self.budget.max_strain is not None:
            found["strain"] = self._largest(self._strain(part))
        return Usage(**found)

    def bending(self, field: Array) -> float:
        """Mean bending energy of a displacement (3, I, J, K) in voxels of the box, 1/mm^2."""
        return 0.0 if self._is_empty else self._bending(self._part(field))

    def excess(self, field: Array, share: float, *, inverse: bool) -> Array | None:
        """1 where determinants or strain exceed a share of their limits, else 0 (I, J, K); None for nowhere."""
        if self._is_empty:
            return None
        part, beyond = self._part(field), self._backend.zeros(self._grid.shape, np.bool_)
        if self.budget.jacobian is not None:
            low, high = jacobian_range(self.budget.jacobian, inverse=inverse, share=share)
            beyond |= self._backend.least_jacobian(part) < np.float32(low)
            beyond |= largest_jacobian(part, self._backend) > np.float32(high)
        if self.budget.max_strain is not None:
            beyond |= self._strain(part) > np.float32(share * self.budget.max_strain)
        beyond &= self._near
        if not self._to_host(beyond.any()):
            return None
        whole = self._backend.zeros(self._shape)
        whole[self._spans] = beyond
        return whole

    def share(self, excess: Array) -> float:
        """Voxels that `excess` marks, as a share of those that are looked at."""
        return self._to_host(excess.sum(dtype=np.float64)) / self._to_host(self._near.sum(dtype=np.float64))

    def _part(self, field: Array) -> Array:
        """A copy of the field around the foreground, with all that derivatives inside look at."""
        return field[(slice(None), *self._spans)].copy()

    def _bending(self, part: Array) -> float:
        density = bending_density(fields.to_world(part, self._grid), self._grid, self._backend)
        count, total, _ = self._backend.sums(density, mask=self._inside.astype(np.uint8)).tolist()
        return float(total / count)

    def _strain(self, part: Array) -> Array:
        return largest_strain(fields.to_world(part, self._grid), self._grid, self._backend)

    def _largest(self, volume: Array) -> float:
        return float(self._to_host(np.where(self._near, volume, -np.inf).max()))

    def _to_host(self, value: Array) -> float:
        return float(self._backend.download(value.reshape(1).astype(np.float64))[0])
