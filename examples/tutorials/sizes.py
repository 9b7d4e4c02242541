"""
Microscopy and mice: units and levels
=====================================

Nothing has to be told about size. A mouse brain is registered in a unit in which it is as large as a head, a section
of many pixels begins on more levels, and what does not fit into memory is planned for before.
"""

# %%
# A mouse
# -------
# The same brains, a sixteenth as large: voxels of 0.19 mm, as files of mice have them.

import matplotlib.pyplot as plt
import numpy as np

import warpline
from warpline.phantom import brain_pair
from warpline.registration import plan_memory
from warpline.space import Grid

pair = brain_pair((64, 72, 64), voxel_size=3.0)
smaller = np.diag([1 / 16, 1 / 16, 1 / 16, 1])


def mouse(image: warpline.Image) -> warpline.Image:
    """The image with all lengths divided by 16."""
    return warpline.Image(image.data, Grid(image.grid.shape, smaller @ image.affine), f"mouse, {image.name}")


large = warpline.register(pair.fixed, pair.moving)
small = warpline.register(mouse(pair.fixed), mouse(pair.moving))
points = np.array([[10.0, -20.0, 15.0], [-30.0, 10.0, 20.0]])
print("head ", large.transform.map_points(points).round(3).tolist())
print("mouse", (16 * small.transform.map_points(points / 16)).round(3).tolist(), "times 16")
print(small.report["judgement"]["outcome"])

# %%
# Files that give lengths in metres or micrometres are converted when they are read. An image that would span more than
# 3 m, or less than 10 micrometres, is named in a warning, and so is a header without a unit whose voxels cannot be in
# mm; a wrong unit that gives a possible size is believed: :doc:`headers <../headers>`.
#
# Levels
# ------
# SyN runs at a quarter, half and full resolution. An image with more than 72 voxels across at a quarter gets coarser
# levels before these, until one has not.

for shape in ((200, 160, 160), (1000, 1000, 500), (20000, 20000, 1)):
    grid = Grid(shape, np.diag([0.002, 0.002, 0.002, 1]), flat=shape[2] == 1)
    plan = plan_memory(grid, grid, warpline.Recipe.load("syn"), image_bytes=0, memory=1000)
    print(shape, "factors", [round(level.voxel / 0.002) for level in plan.levels])

# %%
# Their own numbers are ``syn.factors`` and ``syn.iterations`` of a :doc:`recipe <../reference/recipe>`, coarse to
# fine.
#
# Sections
# --------
# 2-D images are registered as they are. Two sections, one turned by 8 degrees:

rows, columns = np.mgrid[:256, :256] - 127.5
draw = np.random.default_rng(1)
centres = draw.uniform(-90, 90, (150, 2))
widths = draw.uniform(3, 7, 150)


def section(degrees: float) -> np.ndarray:
    """Cells in a disc, turned about its middle."""
    angle = np.radians(degrees)
    x = np.cos(angle) * rows + np.sin(angle) * columns
    y = -np.sin(angle) * rows + np.cos(angle) * columns
    image = 100.0 * (np.hypot(x / 110, y / 95) < 1)
    for (cx, cy), width in zip(centres, widths, strict=True):
        image += 120 * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * width**2)) * (image > 0)
    return image.astype(np.float32)


fixed, moving = section(0), section(8)
found = warpline.register(fixed, moving, recipe="rigid")
figure, axes = plt.subplots(1, 3, figsize=(9, 3.4))
shown = {"one section": fixed, "the next": moving, "the next, registered": found.warped.data[:, :, 0]}
for axis, (title, picture) in zip(axes, shown.items(), strict=True):
    axis.imshow(picture, cmap="gray")
    axis.set_title(title, fontsize=9)
    axis.set_axis_off()
matrix = found.transform.parts[0].matrix
print("turned by", np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0])).round(2), "degrees")

# %%
# What fits into memory
# ---------------------
# A volume of light-sheet microscopy, 1000 by 1000 by 500 voxels of 8 bits, within 24 GB: the plan is made from the
# grids alone.

grid = Grid((1000, 1000, 500), np.diag([0.002, 0.002, 0.002, 1]))
plan = plan_memory(grid, grid, warpline.Recipe.load("syn"), image_bytes=2 * 500_000_000, memory=24)
print("blocks of", plan.blocks[0], "voxels are registered as one;", round(plan.predicted / 1e9, 2), "GB at most")

# %%
# On the command line ``warpline register a.nii b.nii -o out/ --memory 24 --plan`` prints it and ends. The images
# themselves are warped at full size, part by part: :doc:`large images <../large-images>`.
