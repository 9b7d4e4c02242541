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
    gradients: Array,
    *,
    variance: Array | float,
    alternations: int,
    sigma: float,
    backend: Backend,
    out: Array,
) -> None:
    """Write the step c of an image before its last smoothing: ``c = v + g q / (|g|^2 + s)`` with ``q = r - g . v``.

    Parameters
    ----------
    residual : (I, J, K) float32
        Residual r: the target of the image minus the image.
    gradients : (3, I, J, K) float32
        Its gradient g, per voxel.
    variance : (I, J, K) or float
        Variance s of the residual.
    alternations : int
        Alternations, at least one.
    sigma : float
        Of the Gaussian that makes v, in voxels.
    out : (3, I, J, K) float32
        Receives c; zero on the outer faces, axes of one voxel excepted.
    """
    sigmas = tuple(sigma if n > 1 else 0.0 for n in residual.shape)
    smooth = backend.zeros(out.shape)
    remaining, denominator, scratch = (backend.empty(residual.shape) for _ in range(3))
    for alternation in range(alternations):
        if alternation:
            backend.smooth(out, (sigmas[0], sigmas[1], sigmas[2]), out=smooth)
        remaining[...] = residual
        for component, gradient in zip(smooth, gradients, strict=True):
            remaining -= np.multiply(gradient, component, out=scratch)
        denominator[...] = variance
        denominator += np.float32(TINY)
        for gradient in gradients:
            denominator += np.multiply(gradient, gradient, out=scratch)
        remaining /= denominator
        for component, gradient, found in zip(smooth, gradients, out, strict=True):
            np.add(component, np.multiply(gradient, remaining, out=scratch), out=found)
    clear_faces(out)


def clear_faces(field: Array) -> None:
    """Set the outermost voxels of a field (3, I, J, K) to zero, except along axes of one voxel."""
    for axis in (1, 2, 3):
        if field.shape[axis] > 1:
            for side in (0, -1):
                field[(*[slice(None)] * axis, side)] = 0
