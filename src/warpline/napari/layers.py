"""Images, label maps and displacement fields as layers of napari.

napari counts axes from the slowest one on, shows the last two, and lets the last but one point down. So the world comes
as z, y, x in LPS mm, as that of images which ITK reads for napari, and heads stand upright. Slices are cut along axes
of arrays only: arrays come with the axis that runs nearest along z first, whatever the order of the file.
"""

from __future__ import annotations

import re
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.images import Image
from warpline.io.lps import LPS
from warpline.space import Displacement
from warpline.space.grid import Grid, Shape

LayerData = tuple[NDArray[Any], dict[str, Any], str]
"""A layer as napari takes it: data, arguments of the layer, and what kind of layer it is."""

MOST_VECTORS, MOST_OF_A_SLICE = 100_000, 1000
"""The most arrows of a layer, and of one slice."""

_LABELS = re.compile(r"(?<![a-z])(dseg|seg|aseg|aparc|labels?|parcellation|mask)(?![a-z])", re.IGNORECASE)
"""Names of files that hold labels or masks."""


def image_layer(image: Image, name: str, **look: Any) -> LayerData:
    """An image, or a labels layer where the name says so and the values are whole numbers.

    Parameters
    ----------
    image : Image
        One volume, a series, or a 2-D image, which stays one.
    name : str
        Of the layer.
    **look
        Further arguments of an image layer, such as `colormap`.

    Returns
    -------
    LayerData
        Values (Z, Y, X) along the axes nearest to these, (T, Z, Y, X) of a series, (Y, X) in 2-D; only labels in
        floats are copied.
    """
    spatial = _slowest_first(image.grid)
    time = tuple(range(3, image.data.ndim))
    values = image.data.transpose((*time, *spatial, *({0, 1, 2} - {*spatial})))
    values = values[..., 0] if image.grid.flat else values
    arguments = {"name": name, **_placed(image.grid, len(time))}
    labels = _as_integers(values) if _LABELS.search(name) else None
    if labels is not None:
        return labels, arguments, "labels"
    return values, {**arguments, **look}, "image"


def vectors_layer(warp: Displacement, name: str) -> LayerData:
    """Arrows from voxels of the fixed image to where they are mapped to, coloured by their length in mm.

    All slices along z have arrows, as napari shows them in their own slice only; within a slice they stand so far apart
    that there are at most `MOST_VECTORS` in all. Where the field is not known (NaN) there are none.

    Parameters
    ----------
    warp : Displacement
        In mm, fixed world points to moving ones.
    name : str
        Of the layer.

    Returns
    -------
    LayerData
        (N, 2, 3), in 2-D (N, 2, 2): places and displacements, in voxels along the axes of `image_layer`, which the
        affine of the layer takes to the world.
    """
    grid = warp.grid
    shown = [np.arange((n // 2) % step, n, step) for n, step in zip(grid.shape, _steps(grid), strict=True)]
    places = np.stack(np.meshgrid(*shown, indexing="ij"), axis=-1).reshape(-1, 3)
    moves = warp.field[:, *places.T].T.astype(np.float64)
    known = np.isfinite(moves).all(axis=1)
    places, moves = places[known], moves[known]
    arrows = np.stack([places, moves @ grid.inverse_affine[:3, :3].T], axis=1)
    return (
        arrows[..., _slowest_first(grid)],
        {
            "name": name,
            **_placed(grid),
            "features": {"mm": np.linalg.norm(moves, axis=1)},
            "edge_color": "mm",
            "edge_colormap": "turbo",
            "vector_style": "arrow",
        },
        "vectors",
    )


def _as_integers(values: NDArray[Any]) -> NDArray[Any] | None:
    """Labels as napari takes them; None where some are no whole numbers. Many tools write labels as floats."""
    if values.dtype.kind in "biu":
        return values
    whole = np.abs(values).max() < 2**31 and np.array_equal(values, np.rint(values))  # False with NaN
    return values.astype(np.int32) if whole else None


def _slowest_first(grid: Grid) -> tuple[int, ...]:
    """The voxel axes nearest to world z, y and x; in 2-D to y and x."""
    (x, y, z), _ = grid.nearest_axes
    return (y, x) if grid.flat else (z, y, x)


def _placed(grid: Grid, time: int = 0) -> dict[str, Any]:
    """Where an array lies, with an axis of time before those of space or without: arguments of a layer.

    The affine takes indices to z, y, x in LPS mm, in 2-D to y, x; time stays as it is.
    """
    order = _slowest_first(grid)
    world = (2, 1, 0)[-len(order) :]
    to_lps = LPS @ grid.affine
    affine = np.eye(time + len(order) + 1)
    affine[time:-1, time:-1] = to_lps[np.ix_(world, order)]
    affine[time:-1, -1] = to_lps[world, 3]
    return {
        "affine": affine,
        "axis_labels": ("t",) * time + ("z", "y", "x")[-len(order) :],
        "units": ("pixel",) * time + ("mm",) * len(order),
    }


def _steps(grid: Grid) -> Shape:
    """Voxels between arrows along each axis: 1 along z, else about as many mm along one as along the other."""
    across = np.array([axis != grid.nearest_axes[0][2] for axis in range(3)])
    shape, size = np.array(grid.shape), grid.voxel_size
    most = max(1, min(MOST_OF_A_SLICE, MOST_VECTORS // int(shape[~across][0])))
    spacings = (n * size[across].min() / size for n in count(1))
    steps = (np.where(across, np.maximum(1, np.round(spacing)), 1).astype(int) for spacing in spacings)
    i, j, k = next(one for one in steps if np.prod(-(-shape // one)[across]) <= most)
    return int(i), int(j), int(k)
