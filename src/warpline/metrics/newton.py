"""Gauss-Newton steps: the smooth displacement that explains the residual of two images to first order.

Minimises ``sum (r - g . c)^2 / s + |c - v|^2`` with v a Gaussian of c by alternation: c at every voxel for a given v,
then v from c (after Cachier et al. 2003, doi:10.1016/S1077-3142(03)00002-X). With one alternation it is a demons step
(Vercauteren et al. 2009, doi:10.1016/j.neuroimage.2008.10.040).
"""

from __future__ import annotations

import numpy as np

from warpline.backends import Array, Backend

TINY = 1e-10
"""Added to the denominator, which is 0 at flat voxels of variance 0."""


def newton_step(
    residual: Array,
    slope: Array,
    *,
    variance: Array | float,
    turns: int,
    sigma: float,
    backend: Backend,
    out: Array,
) -> None:
    """Write the step c of an image before its last smoothing: ``c = v + g q / (|g|^2 + s)`` with ``q = r - g . v``.

    Parameters
    ----------
    residual : (I, J, K) float32
        Residual r: the target of the image minus the image.
    slope : (3, I, J, K) float32
        Its gradient g, per voxel.
    variance : (I, J, K) or float
        Variance s of the residual.
    turns : int
        Alternations, at least one.
    sigma : float
        Of the Gaussian that makes v, in voxels.
    out : (3, I, J, K) float32
        Receives c; zero on the outer faces, axes of one voxel excepted.
    """
    sigmas = tuple(sigma if n > 1 else 0.0 for n in residual.shape)
    smooth, (left, total, scratch) = backend.zeros(out.shape), (backend.empty(residual.shape) for _ in range(3))
    for turn in range(turns):
        if turn:
            backend.smooth(out, (sigmas[0], sigmas[1], sigmas[2]), out=smooth)
        left[...] = residual
        for component, towards in zip(smooth, slope, strict=True):
            left -= np.multiply(towards, component, out=scratch)
        total[...] = variance
        total += np.float32(TINY)
        for towards in slope:
            total += np.multiply(towards, towards, out=scratch)
        left /= total
        for component, towards, found in zip(smooth, slope, out, strict=True):
            np.add(component, np.multiply(towards, left, out=scratch), out=found)
    clear_faces(out)


def clear_faces(field: Array) -> None:
    """Set the outermost voxels of a field (3, I, J, K) to zero, except along axes of one voxel."""
    for axis in (1, 2, 3):
        if field.shape[axis] > 1:
            for side in (0, -1):
                field[(*[slice(None)] * axis, side)] = 0
