"""Images, label maps and displacement fields as layers of napari.

napari counts axes from the slowest one on, shows the last two, and lets the last but one point down. So arrays come as
(K, J, I) and the world as (z, y, x) in LPS mm, as that of images which ITK reads for napari: heads stand upright.
"""

from __future__ import annotations

import re
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.images import Image
from warpline.io.lps import LPS
from warpline.space import Displacement, Grid

LayerData = tuple[NDArray[Any], dict[str, Any], str]
"""A layer as napari takes it: data, arguments of the layer, and what kind of layer it is."""

MOST_VECTORS, MOST_OF_A_SLICE = 50_000, 1000
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
        Values (K, J, I), with (T, K, J, I) for a series and (J, I) in 2-D; no copy is made.
    """
    values = image.data[:, :, 0] if image.grid.flat else image.data
    arguments = {"name": name, **_placed(image.grid, values.ndim)}
    if _LABELS.search(name) and values.dtype.kind in "biu":
        return values.T, arguments, "labels"
    return values.T, {**arguments, **look}, "image"


def vectors_layer(warp: Displacement, name: str) -> LayerData:
    """Arrows from voxels of the fixed image to where they are mapped to, coloured by their length in mm.

    All slices along the third voxel axis have arrows, as napari shows them in their own slice only; within a slice they
    stand so far apart that there are at most `MOST_VECTORS`. Where the field is not known (NaN) there are none.

    Parameters
    ----------
    warp : Displacement
        In mm, fixed world points to moving ones.
    name : str
        Of the layer.

    Returns
    -------
    LayerData
        (N, 2, 3), in 2-D (N, 2, 2): places and displacements, in voxels (k, j, i) of the field's grid, which the affine
        of the layer takes to the world.
    """
    grid = warp.grid
    axes = 2 if grid.flat else 3
    shown = [np.arange((n // 2) % step, n, step) for n, step in zip(grid.shape, _steps(grid), strict=True)]
    places = np.stack(np.meshgrid(*shown, indexing="ij"), axis=-1).reshape(-1, 3)
    moves = warp.field[:, *places.T].T.astype(np.float64)
    known = np.isfinite(moves).all(axis=1)
    places, moves = places[known], moves[known]
    arrows = np.stack([places, moves @ grid.inverse_affine[:3, :3].T], axis=1)[..., :axes]
    return (
        np.ascontiguousarray(arrows[..., ::-1]),
        {
            "name": name,
            **_placed(grid, axes),
            "features": {"mm": np.linalg.norm(moves, axis=1)},
            "edge_color": "mm",
            "edge_colormap": "turbo",
            "vector_style": "arrow",
        },
        "vectors",
    )


def _placed(grid: Grid, axes: int) -> dict[str, Any]:
    """Where an array with so many axes lies: arguments of a layer.

    The affine (axes + 1, axes + 1) takes indices, slowest axis first, to z, y, x in LPS mm; time stays as it is.
    """
    spatial = 2 if grid.flat else 3
    to_lps = LPS @ grid.affine
    affine = np.eye(axes + 1)
    affine[-1 - spatial : -1, -1 - spatial : -1] = to_lps[:spatial, :spatial][::-1, ::-1]
    affine[-1 - spatial : -1, -1] = to_lps[:spatial, 3][::-1]
    time = axes - spatial
    return {
        "affine": affine,
        "axis_labels": ("t",) * time + ("z", "y", "x")[-spatial:],
        "units": ("pixel",) * time + ("mm",) * spatial,
    }


def _steps(grid: Grid) -> tuple[int, int, int]:
    """Voxels between arrows along each axis, about as many mm along the first as along the second."""
    *plane, slices = grid.shape
    most = max(1, min(MOST_OF_A_SLICE, MOST_VECTORS // slices))
    size = grid.voxel_size[:2]
    steps = (np.maximum(1, np.round(n * size.min() / size)).astype(int) for n in count(1))
    i, j = next(one for one in steps if np.prod(-(-np.array(plane) // one)) <= most)
    return int(i), int(j), 1
