"""Register a made pair of any size within a limit of memory: the peak against the plan, and the error of the map.

    python bench/large.py 700,700,350 --memory 8 --work /scratch/large

The pair are cells in an ellipsoid, 8 bits, the moving one moved by up to 12 voxels through a known map. Files stay in
the folder, so that a second run makes nothing anew.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from warpline import Image, read_image, write_image
from warpline.backends import select
from warpline.io.transform_files import read_transform, write_transform
from warpline.registration import AFFINE, INVERSE_WARP, REPORT
from warpline.resampling.streaming import warp_in_parts
from warpline.space import Affine, Displacement, Transform
from warpline.space.grid import Grid, Shape, apply_affine

COARSER, LONGEST = 8, 12.0
"""Voxels of the pair between two of what it is drawn from; the longest displacement, in voxels of the pair."""

POINTS = 100_000


def make(shape: Shape, voxel: float, folder: Path) -> None:
    """Write the fixed and the moving image, and the map from moving to fixed that was put in."""
    drawn, rng = tuple(max(n // COARSER, 1) for n in shape), np.random.default_rng(3)
    flat = shape[2] == 1
    place = np.stack(np.meshgrid(*(np.linspace(-1, 1, n) if n > 1 else [0.0] for n in drawn), indexing="ij"))
    edges = [COARSER * voxel, COARSER * voxel, voxel if flat else COARSER * voxel, 1.0]
    grid = Grid((drawn[0], drawn[1], drawn[2]), np.diag(edges), flat)
    source, truth = Image(_cells(place, rng), grid), Displacement(_motion(place, voxel, rng), grid)
    whole, backend = Grid(shape, np.diag([voxel, voxel, voxel, 1.0]), flat), select()
    for name, transform in (("fixed", Affine.identity()), ("moving", truth)):
        write_image(warp_in_parts(source, transform, whole, outside=0, backend=backend), folder / f"{name}.nii")
    write_transform(truth, folder / "truth.nii.gz")


def _cells(place: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.uint8]:
    coarse, fine = (gaussian_filter(rng.random(place.shape[1:]), sigma) for sigma in (2, 0.7))
    inside = (place**2 * np.reshape((1.6, 1.9, 1.9), (3, 1, 1, 1))).sum(axis=0) < 1
    low, high = np.percentile(coarse[inside], (1, 99))
    values = 60 + 150 * np.clip((coarse - low) / (high - low), 0, 1) + 20 * (fine - 0.5)
    return np.where(inside, np.rint(values), 0).astype(np.uint8)


def _motion(place: NDArray[np.float64], voxel: float, rng: np.random.Generator) -> NDArray[np.float32]:
    field = np.stack([gaussian_filter(rng.standard_normal(place.shape[1:]), COARSER) for _ in range(3)])
    field[[n == 1 for n in place.shape[1:]]] = 0
    fading = np.prod(np.clip((1 - np.abs(place)) * 4, 0, 1), axis=0)
    return (field / np.abs(field).max() * LONGEST * voxel * fading).astype(np.float32)


def error(folder: Path, out: Path, voxel: float) -> tuple[float, float]:
    """Mean and 99th percentile of the distance of points of the moving image from where they belong, in voxels."""
    moving, rng = read_image(folder / "moving.nii"), np.random.default_rng(0)
    voxels = rng.integers(0, moving.grid.shape, (POINTS, 3))
    points = apply_affine(moving.affine, voxels[moving.data[tuple(voxels.T)] > 0])
    affine = read_transform(out / AFFINE)
    found: Transform = read_transform(out / INVERSE_WARP)
    arrived = found.map_points(affine.inverse().map_points(points))
    distances = np.linalg.norm(arrived - read_transform(folder / "truth.nii.gz").map_points(points), axis=1) / voxel
    return float(distances.mean()), float(np.percentile(distances, 99))


def main() -> None:
    """Make, register, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shape", help="voxels along each axis: 700,700,350; 8000,8000,1 for a section")
    parser.add_argument("--memory", type=float, required=True, help="GB")
    parser.add_argument("--voxel", type=float, default=0.002, help="edge in mm")
    parser.add_argument("--work", type=Path, required=True, help="folder for all files")
    options = parser.parse_args()
    i, j, k = map(int, options.shape.split(","))
    folder = options.work / options.shape.replace(",", "x")
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "truth.nii.gz").exists():
        make((i, j, k), options.voxel, folder)
    out, start = folder / f"within-{options.memory:g}", time.perf_counter()
    program = [sys.executable, "-c", "import sys; from warpline.cli.main import main; sys.exit(main())", "register"]
    files = [str(folder / "fixed.nii"), str(folder / "moving.nii")]
    subprocess.run([*program, *files, "-o", f"{out}/", "--memory", f"{options.memory}"], check=True)
    seconds, report = time.perf_counter() - start, json.loads((out / REPORT).read_text())
    memory, (mean, worst) = report["memory"], error(folder, out, options.voxel)
    print(
        f"{options.shape}: blocks {memory['blocks'][0]} ({math.prod((i, j, k)) / 1e6:.0f} million voxels); "
        f"peak {memory['peak'] / 1e9:.2f} GB, expected {memory['predicted'] / 1e9:.2f}; {seconds:.0f} s; "
        f"error {mean:.2f} voxels, 99 % {worst:.2f}; folds {report['quality']['folded_voxels']}"
    )


if __name__ == "__main__":
    main()
