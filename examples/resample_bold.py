"""Carry the mean of a BOLD series onto a structural image, in two ways that agree.

    python examples/resample_bold.py [STRUCTURAL BOLD [OUTPUT]]

Each voxel (i, j, k) of the structural image lies at a point of the world (RAS+ mm), and that point has a coordinate
in the voxels of the BOLD series:

    bold_voxel = inv(bold.affine) @ structural.affine @ (i, j, k, 1)

1. The long way: write down the voxel coordinates of the whole structural grid, send them through the matrix with
   `apply_affine`, and read the mean BOLD image there with `map_coordinates`.
2. The short way: split the matrix into its 3x3 part and its translation, and let `affine_transform` do it all.

Without arguments, a brain and a series are made up.
"""

from __future__ import annotations

import sys

import numpy as np
from nibabel.affines import to_matvec
from numpy.typing import NDArray

from warpline import Image, affine_transform, map_coordinates, read_image, resample, write_image
from warpline.phantom import brain_pair
from warpline.space import Grid, apply_affine


def by_coordinates(mean: Image, structural: Image) -> NDArray[np.float64]:
    """Resample with every coordinate written down."""
    to_bold = np.linalg.inv(mean.affine) @ structural.affine
    voxels = np.meshgrid(*(np.arange(n) for n in structural.grid.shape), indexing="ij")
    coordinates = apply_affine(to_bold, np.stack(voxels, axis=-1))
    return map_coordinates(mean.data, np.moveaxis(coordinates, -1, 0), order=1)


def by_matrix(mean: Image, structural: Image) -> NDArray[np.float64]:
    """Resample with the matrix alone."""
    mat, vec = to_matvec(np.linalg.inv(mean.affine) @ structural.affine)
    return affine_transform(mean.data, mat, vec, output_shape=structural.grid.shape, order=1)


def mean_volume(series: Image) -> Image:
    """Average a series over time; a single volume is its own mean."""
    data = np.asarray(series.data, dtype=np.float64)
    return Image(data if data.ndim == 3 else data.mean(axis=3), series.grid, f"mean of {series.name}")


def made_up_pair() -> tuple[Image, Image]:
    """Make a structural brain at 3 mm and a noisy series of it at 4 mm, on a grid turned and shifted in the world."""
    structural = brain_pair((64, 72, 64), voxel_size=3.0).fixed
    turn = np.array([[0.98, -0.17, 0.0, 6.0], [0.17, 0.98, 0.05, -9.0], [0.0, -0.05, 1.0, 4.0], [0, 0, 0, 1]])
    coarse = structural.grid.resized((48, 54, 48))
    grid = Grid(coarse.shape, turn @ coarse.affine)
    volume = resample(structural, like=grid).data
    noise = np.random.default_rng(0).normal(scale=0.05, size=(*volume.shape, 10))
    return structural, Image((volume[..., None] + noise).astype(np.float32), grid, "made-up BOLD series")


def load(arguments: list[str]) -> tuple[Image, Image]:
    """Read the files that were named, else make a pair up."""
    if arguments:
        return read_image(arguments[0]), read_image(arguments[1])
    return made_up_pair()


def main(arguments: list[str]) -> None:
    """Resample both ways, say how well they agree, and write the result where a name is given."""
    structural, bold = load(arguments[:2])
    mean = mean_volume(bold)
    long_way, short_way = by_coordinates(mean, structural), by_matrix(mean, structural)
    one_call = resample(mean, like=structural).data
    inside = long_way != 0
    print(f"structural   {structural.name}: {structural.grid.shape}, voxels {structural.grid.voxel_size.round(2)} mm")
    print(f"BOLD         {bold.name}: {bold.data.shape}, voxels {bold.grid.voxel_size.round(2)} mm")
    print(f"result       {short_way.shape}, {inside.mean():.0%} of it inside the BOLD field of view")
    print(f"two ways differ by at most        {np.abs(long_way - short_way).max():.2g}")
    print(f"warpline.resample differs inside by {np.abs(one_call - long_way)[inside].max():.2g}")
    if len(arguments) > 2:
        write_image(Image(short_way.astype(np.float32), structural.grid), arguments[2])
        print(f"written      {arguments[2]}")


if __name__ == "__main__":
    main(sys.argv[1:])
