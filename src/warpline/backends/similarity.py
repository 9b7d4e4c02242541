"""The operations of deformable metrics: the value of two volumes on one grid, and the force on either."""

from __future__ import annotations

from typing import Protocol

from warpline.backends.arrays import Array


class SimilarityOperations(Protocol):
    """A part of `warpline.backends.interface.Backend`, whose conventions hold.

    Values are to be minimised, and forces (3, I, J, K) lower them: per voxel, in units of the image per voxel. They are
    zero where `mask` (I, J, K) is not positive, and on the outer faces, axes of one voxel excepted. Elsewhere `mask` is
    the weight of a voxel, 1 without one: of its force, and of its part of the value. `value` (1,) is float32 or
    float64.
    """

    def local_cc(
        self,
        fixed: Array,
        moving: Array,
        radius: int,
        *,
        contrast_floor: float,
        mask: Array | None,
        out_fixed: Array,
        out_moving: Array,
        value: Array,
    ) -> None:
        """Local squared correlation in windows of (2 radius + 1)^3 voxels, and the force on either image.

        With sums over the window (clipped at the borders, masked voxels only, n of them), means m, variances
        ``s_ff = sum f^2 - n m_f^2`` and ``s_fm`` likewise, ``cc = s_fm^2 / (s_ff s_mm)``; windows with
        ``s_ff <= contrast_floor n`` or ``s_mm <= contrast_floor n`` count as 0 and exert no force. `value` becomes
        ``-sum weight cc / (number of voxels)``. The force at a voxel is the derivative of its own window's cc
        (the centre-voxel approximation of Avants et al. 2008, doi:10.1016/j.media.2007.06.004):
        ``out_fixed = 2 s_fm / (s_ff s_mm) ((m - m_m) - s_fm / s_ff (f - m_f)) grad f``, and the same with the roles
        exchanged for `out_moving`, times the weight; gradients are those of `gradient`. Zero where the mask is, and on
        the outer faces.
        """

    def squared_difference(
        self, fixed: Array, moving: Array, *, mask: Array | None, out_fixed: Array, out_moving: Array, value: Array
    ) -> None:
        """``value = mean w (f - m)^2``; forces ``w (m - f) grad f`` and ``w (f - m) grad m``, w the weight."""

    def mutual_information_forces(
        self,
        fixed: Array,
        moving: Array,
        bins: int,
        *,
        span: tuple[float, float],
        mask: Array | None,
        out_fixed: Array,
        out_moving: Array,
        value: Array,
    ) -> None:
        """Mutual information of the grey values of two volumes, and the force on either image.

        `value` becomes ``-sum p(f, m) log(p(f, m) / (p(f) p(m)))`` in nats, p the joint histogram of all voxels,
        after Mattes et al. 2003, doi:10.1109/TMI.2003.809072, with one Parzen window in both values: the cubic B-spline
        at whole numbers of bins, and linear between them. Fractions of a bin are rounded to 1/256, so that counts are
        integers and do not depend on their order. With ``S = W log(p / (p(f) p(m))) W``, W the window over bins, the
        force is ``out_fixed = dS(f, m)/df grad f``, S linear between its cells: the derivative of the value times the
        number of voxels, times the weight; every voxel of positive weight counts once in the histogram. The same with
        the roles exchanged for `out_moving`.

        Parameters
        ----------
        bins : int
            Along either axis of the histogram, at least 8.
        span : (float, float)
            Grey values at the centres of the second bin and of the last but one. Values beyond are counted there and
            feel no force.
        """
