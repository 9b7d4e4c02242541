"""Brain masks of diffusion images by median filters and a threshold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from warpline.errors import UsageError
from warpline.images.median_otsu import largest_without_holes, median_otsu_mask


def median_otsu(
    input_volume: NDArray[Any],
    vol_idx: Sequence[int] | None = None,
    median_radius: int = 4,
    numpass: int = 4,
    autocrop: bool = False,
    dilate: int | None = None,
    finalize_mask: bool = False,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Mask the brain: median filters, then a threshold by Otsu's method (1979, doi:10.1109/TSMC.1979.4310076).

    Parameters
    ----------
    input_volume : (I, J, K) or (I, J, K, T)
        Image or series.
    vol_idx : sequence of int, optional
        Volumes of a series whose mean is used; needed for a series.
    median_radius : int
        Of the cubic window, in voxels.
    numpass : int
        How often the filter runs.
    autocrop : bool
        Cut both results to the box around the mask.
    dilate : int, optional
        Steps by which the mask grows through faces of voxels.
    finalize_mask : bool
        Keep the largest piece only and fill its holes.

    Returns
    -------
    masked : like `input_volume`
        Zero outside the mask.
    mask : (I, J, K)
        bool; int where `finalize_mask` changed it, as in DIPY.

    Raises
    ------
    UsageError
        When a series comes without `vol_idx`.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline.dipy import median_otsu
    >>> head = np.zeros((12, 12, 12))
    >>> head[3:9, 3:9, 3:9] = 100
    >>> masked, mask = median_otsu(head, median_radius=1, numpass=1)
    >>> int(mask.sum())
    160
    """
    volume = np.asarray(input_volume)
    if volume.ndim == 4 and vol_idx is None:
        raise UsageError("input_volume is a series of volumes; give vol_idx, the volumes to average")
    looked_at = volume if volume.ndim < 4 else np.mean(volume[..., tuple(vol_idx or ())], axis=3)
    mask: NDArray[Any] = median_otsu_mask(looked_at, radius=median_radius, passes=numpass, dilation=dilate)
    if finalize_mask and np.unique(mask).size == 2:
        mask = largest_without_holes(mask).astype(int)
    if autocrop:
        box = (ndimage.find_objects(mask.astype(np.int8)) or [(slice(0, 0),) * 3])[0]
        volume, mask = volume[box], mask[box]
    return volume * mask.reshape(mask.shape + (1,) * (volume.ndim - mask.ndim)), mask
