"""The inputs of one registration, read and checked."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from warpline.errors import InputError
from warpline.images import Image
from warpline.io.header_notes import once
from warpline.io.images import Source, as_image
from warpline.io.transform_files import read_transform
from warpline.io.unknown import fill_unknown
from warpline.recipe import Recipe
from warpline.registration.checks import check_pair
from warpline.registration.clock import Clock
from warpline.registration.image_pairs import ImagePair, LoadedImages
from warpline.registration.preparation import check_libraries
from warpline.registration.provenance import describe
from warpline.space import Affine, Chain

Initial = Affine | str | os.PathLike[str] | ArrayLike
"""An affine from fixed world to moving world (RAS+ mm): a transform, a transform file or a (4, 4) matrix."""

Loader = Callable[[Source, str, str | None], tuple[Image, dict[str, Any]]]
"""Reads and describes one image; see `load`."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """The inputs of one registration, read and checked.

    Parameters
    ----------
    recipe : Recipe
        What to run.
    images : dict
        ``"fixed"``, ``"moving"``, and ``"fixed_mask"``, ``"moving_mask"`` where given.
    described : dict
        Path, shape, voxel size and checksum of each image.
    initial : Affine or None
        Where to start, fixed world to moving world.
    origin : str, list or None
        The file or matrix that `initial` comes from.
    seconds : dict
        Wall-clock time of each part.
    geometry : str or None
        Which matrix of NIfTI headers was asked for.
    notes : tuple of str
        A sentence for every assumption about the images, for the warnings of the report.
    pairs : tuple of LoadedImages
        Further images to compare.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Image
    >>> from warpline.registration import Inputs
    >>> image = Image.from_array(np.arange(64.0).reshape(8, 8), name="image")
    >>> from warpline import Recipe
    >>> inputs = Inputs(Recipe.load("rigid"), {"fixed": image, "moving": image}, {}, None, None, {})
    >>> inputs.recipe.name
    'rigid'
    """

    recipe: Recipe
    images: dict[str, Image]
    described: dict[str, Any]
    initial: Affine | None
    origin: Any
    seconds: dict[str, float]
    geometry: str | None = None
    notes: tuple[str, ...] = ()
    pairs: tuple[LoadedImages, ...] = ()


def load(source: Source, name: str, geometry: str | None = None) -> tuple[Image, dict[str, Any]]:
    """Read one image, and describe it as reports do: path, shape, voxel size, matrix of its header, checksum.

    Parameters
    ----------
    source : path, nibabel image, Image, array or (array, affine)
        What to read.
    name : str
        What messages call an image without a path.
    geometry : {"sform", "qform"}, optional
        As for `register`.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline.registration import load
    >>> image, description = load(np.zeros((8, 8)), "fixed")
    >>> description["path"], description["shape"]
    (None, [8, 8, 1])
    """
    image = as_image(source, name, geometry)
    return image, describe(image, source)


def read(
    fixed: Source,
    moving: Source,
    recipe: str | Path | Recipe = "syn",
    fixed_mask: Source | None = None,
    moving_mask: Source | None = None,
    *,
    initial: Initial | None = None,
    geometry: str | None = None,
    pairs: Sequence[ImagePair] = (),
    load: Loader = load,
) -> Inputs:
    """Read and check everything one registration needs; nothing is computed, so it can run ahead in a thread.

    Parameters
    ----------
    fixed, moving, recipe, fixed_mask, moving_mask, initial, geometry, pairs
        As for `register`.
    load : callable
        Reads and describes one image; another than `load` may cache what many pairs share.

    Raises
    ------
    UsageError, InputError
        As for `register`.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Image
    >>> from warpline.registration import read
    >>> image = Image.from_array(np.arange(64.0).reshape(8, 8), name="image")
    >>> inputs = read(image, image, "rigid")
    >>> inputs.recipe.name, sorted(inputs.images)
    ('rigid', ['fixed', 'moving'])
    """
    recipe = Recipe.load(recipe)
    check_libraries(recipe.prepare)
    clock = Clock()
    given = {"fixed": fixed, "moving": moving, "fixed_mask": fixed_mask, "moving_mask": moving_mask}
    further = {name: source for number, pair in enumerate(pairs, 2) for _, name, source in pair.sources(number)}
    with clock.step("read"):
        sources = {**given, **further}
        loaded = {name: load(source, name, geometry) for name, source in sources.items() if source is not None}
        start = _read_initial(initial)
    together = in_one_plane({name: image for name, (image, _) in loaded.items()})
    images = {name: image for name, image in together.items() if name in given}
    loaded_pairs = tuple(pair.loaded(number, together) for number, pair in enumerate(pairs, 2))
    with clock.step("check"):
        filled = {name: fill_unknown(images[name], images.get(f"{name}_mask")) for name in ("fixed", "moving")}
        images |= {name: image for name, (image, _) in filled.items()}
        check_pair(**images, recipe=recipe, initial=start)
        for pair in loaded_pairs:
            pair.check(recipe, images["fixed"])
    described = {name: description for name, (_, description) in loaded.items()}
    origin = os.fspath(initial) if isinstance(initial, (str, os.PathLike)) else start and start.matrix.tolist()
    notes = (*once(*(image.grid for image in together.values())), *(note for _, note in filled.values() if note))
    notes += tuple(note for pair in loaded_pairs for note in pair.notes())
    return Inputs(recipe, images, described, start, origin, clock.seconds, geometry, notes, loaded_pairs)


def in_one_plane(images: Mapping[str, Image]) -> dict[str, Image]:
    """The images, 2-D ones all in the plane of the fixed one: their positions along the third axis are ignored.

    Parameters
    ----------
    images : dict
        ``"fixed"``, ``"moving"``, and others, by their names.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Image
    >>> from warpline.registration import in_one_plane
    >>> raised = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 7], [0, 0, 0, 1]])
    >>> images = {"fixed": Image.from_array(np.eye(4)), "moving": Image.from_array(np.eye(4), raised)}
    >>> float(in_one_plane(images)["moving"].affine[2, 3])
    0.0
    """
    fixed = images["fixed"].grid
    if not (fixed.flat and images["moving"].grid.flat):
        return dict(images)
    return {name: replace(image, grid=image.grid.in_plane_of(fixed)) for name, image in images.items()}


def _read_initial(initial: Initial | None) -> Affine | None:
    if initial is None or isinstance(initial, Affine):
        return initial
    if not isinstance(initial, (str, os.PathLike)):
        return Affine(np.asarray(initial, dtype=np.float64))
    transform = Chain.of(read_transform(initial)).simplified()
    if not isinstance(transform, Affine):
        raise InputError(f"{initial} is not affine; an affine transform is needed to start from")
    return transform
