"""Averages over a mask only: normalised convolution (Knutsson and Westin 1993, doi:10.1109/CVPR.1993.341081)."""

from __future__ import annotations

import numpy as np

from warpline.backends.arrays import Array
from warpline.backends.interface import Backend


def masked_average(weighted: Array, coverage: Array, least: float | Array) -> Array:
    """``blur(v m) / max(blur(m), least)``, given both blurs, in place of the first; `least` avoids divisions by 0."""
    weighted /= np.maximum(coverage, least)
    return weighted


def masked_blur(
    volume: Array, mask: Array, sigma: tuple[float, float, float], *, least: float, backend: Backend
) -> Array:
    """Gaussian of `sigma` voxels over the masked voxels of a volume: ``blur(v m) / max(blur(m), least)``.

    Parameters
    ----------
    volume, mask : (I, J, K) float32
        On the backend; the mask holds weights from 0 to 1.
    least : float
        Least share of the kernel inside the mask; where less of it is, the result fades to 0.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import backends
    >>> volume, mask = np.ones((5, 5, 5), np.float32), np.zeros((5, 5, 5), np.float32)
    >>> mask[1:4] = 1
    >>> blurred = masked_blur(volume, mask, (1.0, 1.0, 1.0), least=1e-3, backend=backends.select("numpy"))
    >>> bool(np.allclose(blurred[mask > 0], 1))
    True
    """
    return masked_average(backend.smooth(volume * mask, sigma), backend.smooth(mask, sigma), least)
