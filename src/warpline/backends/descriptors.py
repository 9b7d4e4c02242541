"""The operations on descriptors: several small numbers at every voxel, compared by their differences."""

from __future__ import annotations

from typing import Protocol

from warpline.backends.arrays import Array

CHANNELS, LARGEST = 16, 127
"""Numbers of a descriptor, so that a voxel is one vector of the CPU and one load of a GPU, and the largest of them, so
that a difference has 8 bits."""

SIMILARITY_PAIRS = (
    *((0, 2), (0, 3), (0, 4), (0, 5), (1, 2), (1, 3)),
    *((1, 4), (1, 5), (2, 4), (2, 5), (3, 4), (3, 5)),
)
"""Pairs of the six neighbours of a voxel (below and above along each axis) that lie on different axes."""


class DescriptorOperations(Protocol):
    """A part of `warpline.backends.interface.Backend`, as its attribute `descriptors`; its conventions hold.

    Descriptors are uint8 (I, J, K, 16) with entries of at most 127. Forces and values are sums of integers, so that
    they have the same bits everywhere where descriptors do.
    """

    def describe(self, volume: Array, *, floor: float, out: Array | None = None) -> Array:
        """Self-similarity context of a volume: MIND-SSC of Heinrich et al. 2013, doi:10.1007/978-3-642-40811-3_24.

        For the twelve `SIMILARITY_PAIRS` of neighbours of a voxel, D is the mean squared difference of the 3^3 voxels
        around either, less the least of the twelve, and V the mean of the twelve D; entries are
        ``127 exp(-D / (V + floor))``, rounded. The last four are 0. The volume continues as a constant beyond its grid.

        Parameters
        ----------
        volume : (I, J, K) float32
            Scaled to a range of about 1.
        floor : float
            Squared difference that counts as noise, above 0: where there is less, all neighbours are alike.
        """

    def warp(self, descriptors: Array, field: Array, *, out: Array) -> Array:
        """Each of the descriptors (S, I, J, K, 16) at ``i + field(i)``, linear, rounded, clamped at the border.

        Parameters
        ----------
        field : (S, 3, I, J, K) float32
            In voxels.
        out : (S, I, J, K, 16) uint8
        """

    def forces(
        self, fixed: Array, moving: Array, *, mask: Array | None, out_fixed: Array, out_moving: Array, value: Array
    ) -> None:
        """Mean squared difference of two descriptors, and the force on either, zero as in `Backend.local_cc`.

        With d the differences ``(moving - fixed) / 127`` of a voxel, `value` is the mean over voxels of the sum of d^2,
        and the forces are ``sum d grad fixed`` and ``-sum d grad moving``, over the channels, with gradients, likewise
        over 127, as `Backend.gradient` has them.
        """
