"""Intensities corrected before registration, with ANTsPy's arguments: bias fields, noise, histograms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline import operations
from warpline.ants.images import PIXELTYPES, to_nibabel
from warpline.errors import InputError, UsageError
from warpline.images import Image
from warpline.images.checks import check_finite, check_mask, check_one_volume
from warpline.images.denoising import denoise_nlmeans
from warpline.images.itk_filters import match_histogram, n4_bias_field

NOISE_MODELS = {"Rician": True, "Gaussian": False}
"""Noise model to whether it is Rician."""

_CONVERGENCE: Mapping[str, Any] = MappingProxyType({"iters": (50, 50, 50, 50), "tol": 1e-7})


def n4_bias_field_correction(
    image: Any,
    mask: Any = None,
    rescale_intensities: bool = False,
    shrink_factor: int = 4,
    convergence: Mapping[str, Any] = _CONVERGENCE,
    spline_param: Sequence[int] | None = None,
    return_bias_field: bool = False,
    verbose: bool = False,
    weight_mask: None = None,
) -> Any:
    """Divide an image by its bias field, which ITK's N4 finds.

    The directions of the axes are left aside: ITK's field depends on them where they are oblique, and ours does not.

    Parameters
    ----------
    image : nibabel image, path, Image or (array, affine)
        2-D or 3-D.
    mask : like `image`, optional
        Where the field is estimated, and the image corrected; the whole image when None.
    rescale_intensities : {False}
        Not offered.
    shrink_factor : int
        Factor by which the image is shrunk before.
    convergence : dict
        ``iters``, most iterations of each level, and ``tol``, the change at which a level ends.
    spline_param : sequence of int, optional
        Meshes of the B-spline along each axis; 1 when None. One number, a distance, is not offered.
    return_bias_field : bool
        Return the field in place of the image.
    verbose : bool
        Without effect.
    weight_mask : None
        Not offered.

    Returns
    -------
    nibabel.Nifti1Image
        float32.

    Raises
    ------
    UsageError
        When an argument is not offered, or SimpleITK is not installed.
    InputError
        When the image cannot be used, or the mask does not lie on its grid.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import ants
    >>> shading = np.exp(0.02 * np.indices((24, 24))[0])
    >>> corrected = ants.n4_bias_field_correction((100 * shading, np.eye(4)))
    >>> bool(np.std(corrected.dataobj) < 0.2 * np.std(100 * shading))
    True
    """
    if rescale_intensities or weight_mask is not None:
        raise UsageError("rescale_intensities and weight_mask are not offered; leave them out")
    if set(convergence) != set(_CONVERGENCE):
        raise UsageError(f"convergence is {convergence!r}; both {' and '.join(_CONVERGENCE)} are needed")
    source, inside = _volume_and_mask(image, mask)
    axes = 2 if source.grid.flat else 3
    meshes = [1] * axes if spline_param is None else list(np.atleast_1d(spline_param))
    if len(meshes) != axes:
        raise UsageError(f"spline_param is {spline_param!r}; the number of meshes along each of {axes} axes is needed")
    field = n4_bias_field(
        source.data,
        inside,
        shrink=shrink_factor,
        iterations=tuple(convergence["iters"]),
        tolerance=convergence["tol"],
        mesh=tuple(int(n) for n in (*meshes, 1)[:3]),
    )
    values = source.data.astype(np.float32)
    return to_nibabel(replace(source, data=field if return_bias_field else np.where(inside, values / field, values)))


def denoise_image(
    image: Any,
    mask: Any = None,
    shrink_factor: int = 1,
    p: int = 1,
    r: int = 2,
    noise_model: str = "Rician",
    v: int = 0,
) -> Any:
    """Remove noise by non-local means, which DIPY computes; ANTs has another variant, with noise that varies in space.

    Parameters
    ----------
    image : nibabel image, path, Image or (array, affine)
        2-D or 3-D.
    mask : like `image`, optional
        Where noise is removed; everywhere when None.
    shrink_factor : {1}
        Others are not offered.
    p, r : int
        Radius of patches, and of the window in which alike patches are looked for, in voxels.
    noise_model : {"Rician", "Gaussian"}
        What the noise is taken for.
    v : int
        Without effect.

    Returns
    -------
    nibabel.Nifti1Image
        Of the type of the image where that is one of `PIXELTYPES`, else float32.

    Raises
    ------
    UsageError
        When an argument is not offered, or DIPY is not installed.
    InputError
        When the image cannot be used, or the mask does not lie on its grid.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import ants
    >>> noise = np.random.default_rng(0).normal(0, 5, (12, 12, 12))
    >>> denoised = ants.denoise_image((100 + noise, np.eye(4)))
    >>> bool(np.std(denoised.dataobj) < 0.5 * np.std(noise))
    True
    """
    if noise_model not in NOISE_MODELS:
        raise UsageError(f"noise_model is {noise_model!r}; choose from {', '.join(NOISE_MODELS)}")
    if shrink_factor != 1 or not all(isinstance(radius, int) and radius >= 1 for radius in (p, r)):
        raise UsageError("denoise_image takes whole numbers of at least 1 for p and r, and no shrink_factor")
    source, inside = _volume_and_mask(image, mask)
    rician = NOISE_MODELS[noise_model]
    found = denoise_nlmeans(source.data, inside, patch_radius=p, search_radius=r, rician=rician)
    return _like(source, found.volume)


def histogram_match_image(
    source_image: Any,
    reference_image: Any,
    number_of_histogram_bins: int = 255,
    number_of_match_points: int = 64,
    use_threshold_at_mean_intensity: bool = False,
) -> Any:
    """Give an image the histogram of another one, by ITK.

    Parameters
    ----------
    source_image, reference_image : nibabel image, path, Image or (array, affine)
        The image, and whose histogram it gets; 2-D or 3-D, of any shapes.
    number_of_histogram_bins : int
        Of both histograms.
    number_of_match_points : int
        Quantiles that are made equal.
    use_threshold_at_mean_intensity : bool
        Count only voxels brighter than the mean.

    Returns
    -------
    nibabel.Nifti1Image
        Of the type of the image where that is one of `PIXELTYPES`, else float32.

    Raises
    ------
    UsageError
        When SimpleITK is not installed.
    InputError
        When an image cannot be used.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import ants
    >>> ramp = np.arange(64.0).reshape(4, 4, 4)
    >>> float(ants.histogram_match_image((ramp, np.eye(4)), (10 * ramp, np.eye(4))).dataobj[3, 3, 3])
    630.0
    """
    source, reference = (
        _volume(*one) for one in ((source_image, "source_image"), (reference_image, "reference_image"))
    )
    bins, points = number_of_histogram_bins, number_of_match_points
    above_mean = bool(use_threshold_at_mean_intensity)
    matched = match_histogram(source.data, reference.data, bins=bins, points=points, above_mean=above_mean)
    return _like(source, matched)


def _volume(image: Any, name: str) -> Image:
    found = operations.read(image, name)
    check_one_volume(found)
    check_finite(found)
    return found


def _volume_and_mask(image: Any, mask: Any) -> tuple[Image, NDArray[np.bool_]]:
    """An image, and where it counts."""
    source = _volume(image, "image")
    if mask is None:
        return source, np.ones(source.grid.shape, bool)
    marked = operations.read(mask, "mask")
    if marked.grid != source.grid:
        raise InputError(f"{marked.name} does not lie on the grid of {source.name}: resample it with order 0")
    check_mask(marked, source)
    return source, marked.data != 0


def _like(source: Image, data: NDArray[np.float32]) -> Any:
    """An image with other values, of its own type where ANTsPy has that."""
    kept = source.data.dtype if source.data.dtype in PIXELTYPES.values() else np.dtype(np.float32)
    return to_nibabel(replace(source, data=data.astype(kept)))
