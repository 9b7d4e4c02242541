"""Filters that ITK computes, through SimpleITK: the bias field by N4, and histograms matched to another image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.backends import thread_count
from warpline.errors import InputError, UsageError
from warpline.extras import install_command

N4Progress = Callable[[int, int, float], None]

ITERATIONS, TOLERANCE, MESH = (50, 50, 50, 50), 1e-7, 1
"""Of N4, as ANTsPy has them: most iterations of each level, change of the field at its end, meshes of the first."""

BINS, POINTS = 256, 12
"""Of matched histograms, as antsRegistration has them: their bins, and the quantiles that are made equal."""

SHORTEST = 4
"""Voxels that are left along every axis, at least, where the images are shrunk."""


def n4_bias_field(
    volume: NDArray[Any],
    inside: NDArray[np.bool_],
    *,
    shrink: int = 4,
    iterations: tuple[int, ...] = ITERATIONS,
    tolerance: float = TOLERANCE,
    mesh: int | tuple[int, ...] = MESH,
    threads: int | None = None,
    progress: N4Progress | None = None,
) -> NDArray[np.float32]:
    """The smooth field by which intensities are multiplied, by N4 (Tustison et al. 2010, doi:10.1109/TMI.2010.2046908).

    Parameters
    ----------
    volume : (I, J, K)
        The image.
    inside : (I, J, K) bool
        Where the field is estimated, above 0; it is extrapolated elsewhere.
    shrink : int
        Factor by which the image is shrunk before, along axes that are long enough.
    iterations : tuple of int
        Most iterations of each level; the mesh of a level is twice as fine as that of the one before.
    tolerance : float
        Change of the field at which a level ends.
    mesh : int or tuple of int
        Meshes of the B-spline of the first level along every axis, or along each.
    threads : int, optional
        CPU threads, as in `warpline.backends.thread_count`; the result does not depend on them.
    progress : callable, optional
        Receives the level and the iteration that ended, both from 0, and the change of the field.

    Returns
    -------
    (I, J, K) float32
        ``volume / field`` is the corrected image.

    Raises
    ------
    UsageError
        When SimpleITK is not installed.
    InputError
        When the image has fewer than two axes, no voxel inside, or ITK finds no field.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.indices((32, 32, 1))[0]
    >>> tissue = np.where((x // 4) % 2, 100.0, 150.0)
    >>> shading = np.exp(0.02 * x)
    >>> corrected = tissue * shading / n4_bias_field(tissue * shading, np.ones(x.shape, bool), shrink=1)
    >>> bool(np.std(corrected[tissue == 100]) < 0.2 * np.std((tissue * shading)[tissue == 100]))
    True
    """
    sitk = _simpleitk("N4 bias correction")
    axes = [axis for axis in range(3) if volume.shape[axis] > 1]
    if len(axes) < 2 or not inside.any():
        count = np.count_nonzero(inside)
        raise InputError(
            f"an image of shape {volume.shape} has no bias field in {count} voxels; N4 needs two axes, and an object "
            "whose intensities are above 0"
        )
    squeezed = tuple(volume.shape[axis] for axis in axes)
    image, mask = (_to_sitk(sitk, one.reshape(squeezed)) for one in (volume, inside.astype(np.uint8)))
    factors = [max(1, min(shrink, n // SHORTEST)) for n in squeezed]
    n4 = sitk.N4BiasFieldCorrectionImageFilter()
    n4.SetNumberOfThreads(thread_count(threads))
    n4.SetMaximumNumberOfIterations(list(iterations))
    n4.SetConvergenceThreshold(tolerance)
    meshes = [mesh] * len(axes) if isinstance(mesh, int) else [mesh[axis] for axis in axes]
    n4.SetNumberOfControlPoints([n + n4.GetSplineOrder() for n in meshes])
    raised = _tell(n4, sitk.sitkIterationEvent, progress)
    try:
        n4.Execute(sitk.Shrink(image, factors), sitk.Shrink(mask, factors))
        logarithm = n4.GetLogBiasFieldAsImage(image)
    except RuntimeError as error:
        if raised:
            raise raised[0] from None
        raise InputError(f"ITK finds no bias field: …{' '.join(str(error).split())[-200:]}") from None
    field: NDArray[np.float32] = np.exp(_to_array(sitk, logarithm)).reshape(volume.shape)
    return field


def _tell(n4: Any, event: int, progress: N4Progress | None) -> list[BaseException]:
    """Have a callable told of every iteration; what it raises, which ITK would hide, ends the filter and is listed."""
    raised: list[BaseException] = []

    def tell() -> None:
        assert progress is not None
        try:
            progress(n4.GetCurrentLevel(), n4.GetElapsedIterations() - 1, n4.GetCurrentConvergenceMeasurement())
        except BaseException as error:
            raised.append(error)
            raise

    if progress is not None:
        n4.AddCommand(event, tell)
    return raised


def match_histogram(
    volume: NDArray[Any],
    reference: NDArray[Any],
    *,
    bins: int = BINS,
    points: int = POINTS,
    above_mean: bool = True,
) -> NDArray[np.float32]:
    """Intensities mapped so that their histogram is that of another image, by ITK; the defaults are antsRegistration's.

    Parameters
    ----------
    volume : (I, J, K)
        The image.
    reference : (I, J, K)
        The other one, of any shape.
    bins : int
        Of both histograms.
    points : int
        Quantiles that are made equal; between them the map is linear.
    above_mean : bool
        Count only voxels brighter than the mean, which leaves out most of the background.

    Returns
    -------
    (I, J, K) float32
        The image with other intensities.

    Raises
    ------
    UsageError
        When SimpleITK is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> ramp = np.arange(64.0).reshape(4, 4, 4)
    >>> float(match_histogram(ramp, 10 * ramp).max())
    630.0
    """
    sitk = _simpleitk("histogram matching")
    images = (_to_sitk(sitk, one) for one in (volume, reference))
    return _to_array(sitk, sitk.HistogramMatching(*images, bins, points, above_mean))


def _simpleitk(what: str) -> Any:
    try:
        import SimpleITK
    except ImportError:
        raise UsageError(
            f"{what} is done by SimpleITK, which is not installed; {install_command('itk')}, or leave it out"
        ) from None
    sitk: Any = SimpleITK
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    return sitk


def _to_sitk(sitk: Any, data: NDArray[Any]) -> Any:
    """A SimpleITK image with voxels of size 1: what the filters here do depends on no sizes."""
    kept = data if data.dtype == np.uint8 else data.astype(np.float32)
    return sitk.GetImageFromArray(np.ascontiguousarray(kept.T))


def _to_array(sitk: Any, image: Any) -> NDArray[np.float32]:
    array: NDArray[np.float32] = np.ascontiguousarray(sitk.GetArrayViewFromImage(image).T)
    return array
