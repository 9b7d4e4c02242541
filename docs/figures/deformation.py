"""Both images before and after, and what the map does to a lattice."""

import numpy as np
from matplotlib import pyplot

import warpline
from brains import AXIAL, pair, registered, show

fixed, found = pair().fixed, registered()
warp, affine = found.transform.parts
before = warpline.apply(pair().moving, fixed, affine).data
planes = {"fixed": fixed.data, "moving, affine": before, "moving, warped": found.warped.data}
figure, axes = pyplot.subplots(1, 4, figsize=(12, 3.6))
for axis, (title, volume) in zip(axes, planes.items(), strict=False):
    show(axis, volume[:, :, AXIAL], title)

steps = 4
rows, columns = np.meshgrid(*(np.arange(0, n, steps) for n in fixed.grid.shape[:2]), indexing="ij")
shift = np.asarray(warp.field)[:2, ::steps, ::steps, AXIAL] / fixed.grid.voxel_size[0]
show(axes[3], fixed.data[:, :, AXIAL], "the map, every 4th voxel", alpha=0.35)
axes[3].plot(rows + shift[0], columns + shift[1], color="tab:blue", linewidth=0.6)
axes[3].plot((rows + shift[0]).T, (columns + shift[1]).T, color="tab:blue", linewidth=0.6)
