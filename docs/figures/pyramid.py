"""A brain on the grids of the levels, coarse to fine."""

from matplotlib import pyplot

from brains import AXIAL, pair, show
from warpline.backends import select
from warpline.registration.pyramid import coarse_image

backend = select("numba")
fixed = pair().fixed
figure, axes = pyplot.subplots(1, 3, figsize=(9, 3.6))
for axis, factor in zip(axes, (4.0, 2.0, 1.0), strict=True):
    volume, grid = coarse_image(fixed.data, fixed.grid, (factor,) * 3, backend)
    shape = " x ".join(map(str, grid.shape))
    show(axis, volume[:, :, int(AXIAL / factor)], f"{grid.voxel_size[0]:g} mm, {shape} voxels")
