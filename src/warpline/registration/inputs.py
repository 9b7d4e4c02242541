"""The inputs of one registration, read and checked."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from warpline.backends import Backend
from warpline.errors import UsageError
from warpline.images import Image
from warpline.images.checks import check_mask
from warpline.images.label_maps import looks_like_labels
from warpline.images.masks import on_grid
from warpline.io.header_notes import once
from warpline.io.images import Source, as_image
from warpline.io.nitransforms_objects import from_nitransforms, is_nitransforms
from warpline.io.transform_lists import Entry, order_warning_of, read_entries
from warpline.io.unknown import fill_unknown
from warpline.recipe import Recipe
from warpline.registration.checks import check_pair, check_same_dimension, unheeded_masks
from warpline.registration.clock import Clock
from warpline.registration.image_pairs import ImagePair, LoadedImages, sources_of
from warpline.registration.landmarks import Landmarks, LandmarkSource
from warpline.registration.planes import led_into_plane
from warpline.registration.preparation import check_libraries
from warpline.registration.provenance import describe
from warpline.registration.surfaces import LoadedSurfaces, SurfacePair, load_surfaces
from warpline.space import Affine, Chain, Displacement, Transform
from warpline.space.grid import Grid

Start = Transform | str | os.PathLike[str] | ArrayLike
"""A map from fixed world to moving world (RAS+ mm): a transform, a transform file, ``"[file,1]"``, its inverse, or a
(4, 4) matrix."""

Initial = Start | Sequence[Start]
"""One of them or several, in the order in which points of the fixed image go through them, as for ANTs."""

Loader = Callable[[Source, str, str | None], tuple[Image, dict[str, Any]]]
"""Reads and describes one image; see `load`."""

_LABELS = (
    "{} looks like a label map, a few whole numbers in patches, which would be compared as grey values: give the image "
    "it was drawn on and carry labels with apply --interpolation label, or compare label maps by "
    "--pair A,B,metric=labels"
)


@dataclass(frozen=True, eq=False)
class Inputs:
    """The inputs of one registration, read and checked.

    Parameters
    ----------
    recipe : Recipe
        What to run.
    images : dict
        ``"fixed"``, ``"moving"``, and where given ``"fixed_mask"``, ``"moving_mask"``, on the grids of these, and
        ``"fixed_weights"``, ``"moving_weights"``.
    described : dict
        Path, shape, voxel size and checksum of each image.
    initial : Affine, Displacement, Chain or None
        Where to start, fixed world to moving world.
    origin : str, list or None
        The file, matrix or list of them that `initial` comes from.
    seconds : dict
        Wall-clock time of each part.
    geometry : str or None
        Which matrix of NIfTI headers was asked for.
    notes : tuple of str
        A sentence for every assumption about the images, for the warnings of the report.
    pairs : tuple of LoadedImages
        Further images to compare.
    landmarks : Landmarks or None
        Where places of both images are known.
    landmark_files : tuple of str, optional
        The tables that they were read from.
    surfaces : tuple of LoadedSurfaces
        Surfaces and curves that shall come together.

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
    initial: Transform | None
    origin: Any
    seconds: dict[str, float]
    geometry: str | None = None
    notes: tuple[str, ...] = ()
    pairs: tuple[LoadedImages, ...] = ()
    landmarks: Landmarks | None = None
    landmark_files: tuple[str, ...] | None = None
    surfaces: tuple[LoadedSurfaces, ...] = ()


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
    fixed_weights: Source | None = None,
    moving_weights: Source | None = None,
    initial: Initial | None = None,
    landmarks: LandmarkSource | None = None,
    landmark_space: str = "ras",
    surfaces: SurfacePair | Sequence[SurfacePair] = (),
    geometry: str | None = None,
    pairs: Sequence[ImagePair] = (),
    backend: str | Backend | None = None,
    load: Loader = load,
) -> Inputs:
    """Read and check everything one registration needs; nothing is computed, so it can run ahead in a thread.

    Parameters
    ----------
    fixed, moving, recipe, fixed_mask, moving_mask, fixed_weights, moving_weights
        As for `register`.
    initial, landmarks, landmark_space, surfaces, geometry, pairs
        As for `register`.
    backend : str or Backend, optional
        What inverts a warp to start from, where that is asked for.
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
    given |= {"fixed_weights": fixed_weights, "moving_weights": moving_weights}
    with clock.step("read"):
        sources = {**given, **sources_of(pairs)}
        loaded = {name: load(source, name, geometry) for name, source in sources.items() if source is not None}
        known = None if landmarks is None else Landmarks.of(landmarks, landmark_space)
        meeting = load_surfaces(surfaces, landmark_space)
    planar = in_one_plane({name: image for name, (image, _) in loaded.items()})
    together, moved = masks_on_grids(planar)
    images = {name: image for name, image in together.items() if name in given}
    with clock.step("read"):
        start = _in_plane(_read_initial(initial, images, backend), images, loaded["moving"][0].grid)
    loaded_pairs = tuple(pair.loaded(number, together) for number, pair in enumerate(pairs, 2))
    with clock.step("check"):
        filled = {name: fill_unknown(images[name], images.get(f"{name}_mask")) for name in ("fixed", "moving")}
        images |= {name: image for name, (image, _) in filled.items()}
        check_pair(**images, recipe=recipe, initial=start)
        for pair in loaded_pairs:
            pair.check(recipe, images["fixed"])
    filled_notes = (*(note for _, note in filled.values() if note), *moved)
    notes = (*once(*(image.grid for image in together.values())), *filled_notes, *unheeded_masks(images, recipe))
    notes += (*(note for pair in loaded_pairs for note in pair.notes()), *_label_notes(images), *_order_notes(initial))
    return Inputs(
        recipe,
        images,
        described={name: description for name, (_, description) in loaded.items()},
        initial=start,
        origin=_origin(initial, start),
        seconds=clock.seconds,
        geometry=geometry,
        notes=notes + _point_notes(known, meeting, images, start),
        pairs=loaded_pairs,
        landmarks=known,
        landmark_files=_files_of(landmarks),
        surfaces=meeting,
    )


def _label_notes(images: Mapping[str, Image]) -> Iterator[str]:
    """A sentence for each image that looks like a label map."""
    return (_LABELS.format(image.name) for image in (images["fixed"], images["moving"]) if looks_like_labels(image))


def _order_notes(initial: Initial | None) -> list[str]:
    """A sentence where the start names affine and warp of a registration in the wrong order."""
    warning = order_warning_of([_entry(one) for one in _listed(initial)])
    return [] if warning is None else [warning]


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


def masks_on_grids(images: Mapping[str, Image]) -> tuple[dict[str, Image], tuple[str, ...]]:
    """Images with every mask on the grid of what it belongs to, and a sentence for each that lay on another one.

    Parameters
    ----------
    images : dict
        By their names: ``"moving_mask"`` belongs to ``"moving"``.

    Raises
    ------
    InputError
        When such a mask marks nothing of its image.
    """
    placed, notes = dict(images), []
    for name, mask in images.items():
        image = images[name.removesuffix("_mask")]
        if mask.grid == image.grid:
            continue
        check_same_dimension(mask, image)
        check_mask(mask, image)
        placed[name] = on_grid(mask, image.grid)
        notes.append(f"{mask.name} lies on another grid than {image.name} and was resampled by nearest neighbour")
    return placed, tuple(notes)


def _read_initial(
    initial: Initial | None, images: Mapping[str, Image], backend: str | Backend | None
) -> Transform | None:
    """The start as one transform, neighbouring affines multiplied; None where there is none."""
    entries = [_entry(one) for one in _listed(initial)]
    if not entries:
        return None
    return read_entries(entries, images["fixed"].grid, images["moving"].grid, backend=backend).simplified()


def _in_plane(start: Transform | None, images: Mapping[str, Image], before: Grid) -> Transform | None:
    """The start, led on into the plane in which a 2-D moving image is seen, where it leads to that of its header.

    Parameters
    ----------
    start : Transform, optional
        Fixed world to moving world; of 2-D images, it may as well stay in the plane of the fixed one.
    images : dict
        As `in_one_plane` returns them.
    before : Grid
        Of the moving image by its header.
    """
    after = images["moving"].grid
    if start is None or before == after:
        return start
    return led_into_plane(start, images["fixed"].grid, float(before.centre[2]), float(after.centre[2]))


def _listed(initial: Initial | None) -> list[Start]:
    """One start or several, as a list; a matrix written as a list of rows is one."""
    if initial is None:
        return []
    rows = isinstance(initial, (list, tuple)) and any(np.ndim(one) == 1 for one in initial)
    return list(initial) if isinstance(initial, (list, tuple)) and not rows else [initial]  # type: ignore[list-item]


def _entry(one: Start) -> Entry:
    if isinstance(one, (Affine, Displacement, Chain, str, os.PathLike)):
        return one
    if is_nitransforms(one):
        return from_nitransforms(one)
    try:
        matrix = np.asarray(one, dtype=np.float64)
    except (TypeError, ValueError):
        kind = type(one).__name__
        raise UsageError(f"initial holds a {kind}; transforms, files or (4, 4) matrices are needed") from None
    return Affine(matrix)


def _origin(initial: Initial | None, start: Transform | None) -> Any:
    """What a start was given as, for the report: a path or a matrix; a list of several; of fields what they are."""
    described = [_described(_entry(one)) for one in _listed(initial)]
    if len(described) > 1 and isinstance(start, Affine) and not any(isinstance(one, str) for one in described):
        return start.matrix.tolist()
    return described[0] if len(described) == 1 else described or None


def _described(one: Entry) -> Any:
    if isinstance(one, (str, os.PathLike)):
        return os.fspath(one)
    return one.matrix.tolist() if isinstance(one, Affine) else repr(one)


def _point_notes(
    landmarks: Landmarks | None,
    surfaces: Sequence[LoadedSurfaces],
    images: Mapping[str, Image],
    start: Transform | None,
) -> tuple[str, ...]:
    """Sentences for points beyond their image, and for a start that they are not asked for."""
    grids = images["fixed"].grid, images["moving"].grid
    beyond = () if landmarks is None else landmarks.beyond(*grids)
    for number, both in enumerate(surfaces, 1):
        beyond += (*both.unlike(number), *both.beyond(number, *grids))
    if start is None or (landmarks is None and not surfaces):
        return beyond
    known = "surfaces" if landmarks is None else "landmarks"
    return (*beyond, f"a start was given, and is taken in place of one fitted to the {known}")


def _files_of(landmarks: LandmarkSource | None) -> tuple[str, ...] | None:
    if landmarks is None or isinstance(landmarks, Landmarks):
        return None
    return tuple(os.fspath(one) for one in landmarks if isinstance(one, (str, os.PathLike))) or None
