"""Motion of a series by ANTsPy's name and return values, found by least squares."""

from __future__ import annotations

import os
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.ants.images import to_nibabel
from warpline.errors import UsageError
from warpline.images import Image
from warpline.images.foreground import foreground_mask
from warpline.io.transform_files import write_transform
from warpline.operations import read
from warpline.series import SeriesRegistration, register_series
from warpline.space.grid import apply_affine

MODELS = {
    "BOLDRigid": "rigid",
    "Rigid": "rigid",
    "QuickRigid": "rigid",
    "DenseRigid": "rigid",
    "BOLDAffine": "affine",
    "Affine": "affine",
    "AffineFast": "affine",
}
"""ANTs' linear types to the models of least squares."""


def motion_correction(
    image: Any,
    fixed: Any = None,
    type_of_transform: str = "BOLDRigid",
    mask: Any = None,
    fdOffset: float = 50,  # noqa: N803 - ANTsPy's name
    outprefix: str = "",
    verbose: bool = False,
) -> dict[str, Any]:
    """Correct a series for motion.

    Parameters
    ----------
    image : path, nibabel image, Image or (array, affine)
        Four axes, the last of time.
    fixed : like `image`, optional
        One volume of the same contrast that all are registered to; when None the trimmed mean of volumes moved onto
        the most typical one, where ANTs takes the mean of all as they are.
    type_of_transform : str
        A key of `MODELS`; others are not offered for series.
    mask : like `image`, optional
        Where the fixed image counts.
    fdOffset : float
        Twice the distance in mm from the centre at which points measure framewise displacement.
    outprefix : str
        What the names of the transforms begin with; a new folder for temporary files when empty.
    verbose : bool
        Taken for ANTsPy's sake; nothing is printed.

    Returns
    -------
    dict
        ``motion_corrected``, a nibabel image of four axes on the grid of the fixed image; ``motion_parameters``, a list
        with the transforms of each volume as a list of one file, as `apply_transforms` takes it; ``FD`` (T,) in mm.

    Raises
    ------
    UsageError
        When the type is not offered.
    InputError
        When an image cannot be used.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import ants
    >>> x, y, z = np.indices((16, 16, 16)) - 7.5
    >>> still = np.exp(-(x**2 + 2 * y**2 + 4 * z**2) / 40).astype(np.float32)
    >>> series = np.stack([still, np.roll(still, 1, axis=1)], axis=-1)
    >>> found = ants.motion_correction((series, np.eye(4)), outprefix="moco_")
    >>> found["motion_corrected"].shape, found["FD"].round(1).tolist()
    ((16, 16, 16, 2), [0.0, 1.0])
    """
    if type_of_transform not in MODELS:
        raise UsageError(
            f"type_of_transform is {type_of_transform!r}; of series choose from {', '.join(MODELS)}, or call "
            "registration for each volume"
        )
    reference = "robust" if fixed is None else read(fixed, "fixed")
    found = register_series(image, reference, model=MODELS[type_of_transform], mask=mask)
    prefix = outprefix or tempfile.mkdtemp(prefix="warpline-") + os.sep
    Path(f"{prefix}x").parent.mkdir(parents=True, exist_ok=True)
    return {
        "motion_corrected": to_nibabel(found.moved()),
        "motion_parameters": _files(found, prefix),
        "FD": _displacement(found, fdOffset, None if mask is None else read(mask, "mask")),
    }


def _files(found: SeriesRegistration, prefix: str) -> list[list[str]]:
    files = []
    for number, transform in enumerate(found.transforms):
        files.append([f"{prefix}{number:05d}_0GenericAffine.mat"])
        write_transform(transform, files[-1][0])
    return files


def _displacement(found: SeriesRegistration, offset: float, mask: Image | None) -> NDArray[np.float64]:
    """Sum of the mean absolute differences along each axis, at twelve points around the centre of the object."""
    inside = foreground_mask(found.reference) if mask is None else np.not_equal(mask.data, 0)
    affine = (found.reference if mask is None else mask).affine
    centre = apply_affine(affine, np.argwhere(inside)).mean(axis=0)
    corners = [point for point in product((-1, 0, 1), repeat=3) if np.abs(point).sum() == 2]
    points = centre + np.array(corners) * offset / 2
    there = np.stack([apply_affine(matrix, points) for matrix in found.matrices])
    steps = np.abs(np.diff(there, axis=0)).mean(axis=1).sum(axis=1)
    return np.concatenate([[0.0], steps])
