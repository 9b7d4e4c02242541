"""Templates under ANTsPy's name."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from warpline import template
from warpline.ants.images import to_nibabel
from warpline.ants.registering import recipe_for
from warpline.errors import UsageError
from warpline.io.images import as_image, read_image, write_image

_log = logging.getLogger(__name__)


def build_template(
    initial_template: Any = None,
    image_list: Sequence[Any] | None = None,
    iterations: int = 3,
    gradient_step: float = 0.2,
    blending_weight: float | None = 0.75,
    weights: Sequence[float] | None = None,
    useNoRigid: bool = True,  # noqa: N803
    output_dir: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Any:
    """The mean shape and mean image of several images.

    Parameters
    ----------
    initial_template : nibabel image, path, Image or (array, affine), optional
        Where to start; the mean of all images, their centres brought together, when None.
    image_list : sequence of the same
        One volume each.
    iterations : int
        Rounds at the voxel size of the images; coarser ones come before.
    gradient_step : float
        Share of the mean displacement that a round takes out of the shape.
    blending_weight : float, optional
        Of the mean beside its sharpened copy, from 0 to 1; None does not sharpen.
    weights : sequence of float, optional
        Equal ones only: how much an image counts follows from how it fits.
    useNoRigid : bool
        Without effect: the mean pose is taken out of the template.
    output_dir : path, optional
        Where maps and records stay, see `warpline.template.build`; a temporary folder that is removed when None.
    **options
        `type_of_transform`, and those of `registration` that change its recipe.

    Returns
    -------
    nibabel.Nifti1Image
        The template, on a grid of its own along the axes of the world, its bright values at about 1. Images that do
        not belong to the others are left out, which is logged as a warning.

    Raises
    ------
    UsageError
        When an argument is not offered.
    InputError
        When an image cannot be used, or fewer than two fit together.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import ants
    >>> x, y = np.indices((24, 24)) - 11.5
    >>> texture = 2 + np.sin(x) + np.cos(1.3 * y + x / 3)
    >>> shapes = [np.exp(-(x**2 + 2 * y**2) / width) * texture for width in (60, 80)]
    >>> images = [(shape.astype(np.float32), np.eye(3)) for shape in shapes]
    >>> ants.build_template(image_list=images, iterations=1, type_of_transform="Rigid").ndim
    2
    """
    if not image_list:
        raise UsageError("build_template needs image_list, two images or more")
    if weights is not None and len(set(weights)) > 1:
        raise UsageError("build_template takes equal weights only: how much an image counts follows from how it fits")
    recipe = recipe_for(options.pop("type_of_transform", "SyN"), options)
    with tempfile.TemporaryDirectory(prefix="warpline-") as folder:
        names = [_written(image, Path(folder, f"image{n:04d}.nii")) for n, image in enumerate(image_list)]
        start = None if initial_template is None else _written(initial_template, Path(folder, "initial.nii"))
        chosen = template.Options(
            recipe=recipe,
            rounds=iterations,
            step=gradient_step,
            sharpen=0.0 if blending_weight is None else 1.0 - blending_weight,
            initial=start,
            redo=True,
        )
        made = template.build(names, Path(folder, "out") if output_dir is None else output_dir, chosen)
        for one in made.left_out:
            _log.warning("%s is left out: %s", one.id, one.reason)
        return to_nibabel(read_image(made.image))


def _written(source: Any, path: Path) -> Path:
    write_image(as_image(source, path.stem), path)
    return path
