r"""
Resampling between images
=========================

Two images of one head rarely share a grid: their voxels differ in size, their axes are turned. What joins them is the
world, in millimetres, which each image's affine leads to. This lesson carries the mean of a BOLD series onto the grid
of a structural image, three times: with every coordinate written down, with a matrix alone, and in one call.
"""

# %%
# Two grids in one world
# ----------------------
# A brain at 3 mm is the structural image. The series is the same brain on a coarser grid that is turned and shifted
# in the world, ten noisy volumes of it.

import matplotlib.pyplot as plt
import numpy as np
from nibabel.affines import to_matvec

import warpline
from warpline.phantom import brain_pair
from warpline.space import Grid, apply_affine

structural = brain_pair((64, 72, 64), voxel_size=3.0).fixed
turn = np.array([[0.98, -0.17, 0, 6.0], [0.17, 0.98, 0.05, -9.0], [0, -0.05, 1, 4.0], [0, 0, 0, 1]])
bold_grid = Grid((48, 54, 48), turn @ structural.grid.resized((48, 54, 48)).affine)
clean = warpline.resample(structural, like=bold_grid).data
noise = np.random.default_rng(0).normal(scale=30, size=(*clean.shape, 10))
bold = warpline.Image((clean[..., None] + noise).astype(np.float32), bold_grid, "made-up BOLD series")
mean = warpline.Image(bold.data.mean(axis=3), bold.grid, "mean of the series")

print("structural", structural.grid.shape, structural.grid.voxel_size.round(2), "mm")
print("series    ", bold.data.shape, bold.grid.voxel_size.round(2), "mm")

# %%
# The same voxel numbers lie at different places of the head:

middle = [24, 27, 24]
print("in the series   ", apply_affine(bold.affine, middle).round(1), "mm")
print("in the structure", apply_affine(structural.affine, middle).round(1), "mm")


def show(pictures: dict[str, np.ndarray]) -> None:
    """Draw the middle axial slice of each volume."""
    figure, axes = plt.subplots(1, len(pictures), figsize=(3.2 * len(pictures), 3.6))
    for axis, (title, volume) in zip(axes, pictures.items(), strict=True):
        axis.imshow(volume[:, :, volume.shape[2] // 2].T, origin="lower", cmap="gray", vmin=0, vmax=1000)
        axis.set_title(title)
        axis.set_axis_off()
    figure.tight_layout()


show({"structural": structural.data, "mean of the series": mean.data})

# %%
# From voxel to world to voxel
# ----------------------------
# A voxel of the structural image goes to the world by the affine of the structural image, and from the world to a
# voxel of the series by the inverse of the affine of the series:
#
# .. code-block:: text
#
#    bold_voxel = inv(bold.affine) @ structural.affine @ (i, j, k, 1)
#
# The product is one matrix.

to_bold = np.linalg.inv(mean.affine) @ structural.affine
print(to_bold.round(3))

# %%
# The long way: every coordinate
# ------------------------------
# Write down the voxel numbers of the whole structural grid, send them through the matrix, and read the mean of the
# series at each place. :func:`warpline.map_coordinates` has SciPy's arguments and gives SciPy's numbers, on every
# core.

voxels = np.stack(np.meshgrid(*(np.arange(n) for n in structural.grid.shape), indexing="ij"), axis=-1)
coordinates = np.moveaxis(apply_affine(to_bold, voxels), -1, 0)
by_coordinates = warpline.map_coordinates(mean.data, coordinates, order=1)
show({"structural": structural.data, "mean of the series, resampled": by_coordinates})

# %%
# The short way: the matrix alone
# -------------------------------
# Where all coordinates come from one affine, none has to be stored. :func:`warpline.affine_transform` takes its 3 by
# 3 part and its translation.

matrix, offset = to_matvec(to_bold)
by_matrix = warpline.affine_transform(mean.data, matrix, offset, output_shape=structural.grid.shape, order=1)
print("largest difference", np.abs(by_matrix - by_coordinates).max())

# %%
# In one call
# -----------
# :func:`warpline.resample` reads both affines itself. It takes what lies within the series only; SciPy's functions
# blend the rim with what lies outside.

in_one_call = warpline.resample(mean, like=structural)
inside = (by_coordinates != 0) & (in_one_call.data != 0)
print("largest difference inside", np.abs(in_one_call.data - by_coordinates)[inside].max())

# %%
# Orders of interpolation
# -----------------------
# ``order=0`` takes the nearest voxel, for labels; 1 is linear; 3 is a cubic spline, sharper, which may overshoot at
# edges.

show({f"order {n}": warpline.map_coordinates(mean.data, coordinates, order=n) for n in (0, 1, 3)})

# %%
# Resampled onto the structural grid, voxel (i, j, k) of both arrays is the same place of the head, as far as headers
# tell. Where they do not, the images have to be registered: the next lessons.
