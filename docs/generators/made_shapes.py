"""Surfaces, streamlines and a pyramid that guides name, made small."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import nibabel
import numpy as np
from nibabel.gifti import GiftiDataArray, GiftiImage
from nibabel.streamlines import Tractogram
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

import warpline
from warpline.phantom import PhantomPair

HEMISPHERES = {"lh": -25.0, "rh": 25.0}
"""Middle of each from left to right, in mm."""


def write_shapes(folder: Path, pair: PhantomPair) -> None:
    """Write all of them into a folder."""
    for side, middle in HEMISPHERES.items():
        points, triangles = _sphere(pair.fixed.grid.centre + (middle, 0, 0), 20.0)
        moved = pair.transform.map_points(points)
        for name, vertices in (("a", points), ("b", moved), ("white", points)):
            _write_surface(folder / f"{side}.{name}.surf.gii", vertices, triangles)
    _write_streamlines(folder / "bundle.trk", pair.moving)
    if find_spec("zarr"):
        _write_pyramid(folder / "atlas.ome.zarr", pair)


def _sphere(centre: NDArray[np.float64], radius: float) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Points of a sphere, and the triangles between them."""
    points = np.random.default_rng(0).standard_normal((200, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return centre + radius * points, ConvexHull(points).simplices.astype(np.int32)


def _write_surface(path: Path, points: NDArray[np.float64], triangles: NDArray[np.int32]) -> None:
    arrays = [
        GiftiDataArray(points.astype(np.float32), intent="NIFTI_INTENT_POINTSET"),
        GiftiDataArray(triangles, intent="NIFTI_INTENT_TRIANGLE"),
    ]
    nibabel.save(GiftiImage(darrays=arrays), path)


def _write_streamlines(path: Path, image: warpline.Image) -> None:
    """Two straight ones through the middle of an image."""
    steps = np.linspace(-20, 20, 9)[:, None]
    lines = [image.grid.centre + steps * along for along in np.eye(3)[:2]]
    tractogram = Tractogram(lines, affine_to_rasmm=np.eye(4))
    nibabel.streamlines.save(tractogram, str(path), header=nibabel.Nifti1Image(image.data, image.affine).header)


def _write_pyramid(path: Path, pair: PhantomPair) -> None:
    """The fixed image with voxels so short along its first axis that there are three levels."""
    finer, grid = 7, pair.fixed.grid
    affine = grid.affine @ np.diag([1 / finer, 1, 1, 1])
    affine[:3, 3] += (affine[:3, 0] - grid.affine[:3, 0]) / 2
    data = np.repeat(pair.fixed.data, finer, axis=0)
    warpline.write_image(warpline.Image(data, warpline.Grid(data.shape, affine)), path)
