"""
Symmetric diffeomorphic registration in 2-D
===========================================

A circle becomes a C, without a tear and without a fold, and the way back comes with it. Then a slice of one brain
becomes a slice of another. The calls are those of DIPY's classes, from :mod:`warpline.dipy`: a script written for
DIPY changes its import lines.
"""

# %%
# A circle and a C
# ----------------
# Both are arrays of 0 and 1, blurred a little, so that there is a slope to follow.

import numpy as np
from scipy.ndimage import gaussian_filter

import warpline
from warpline.dipy import CCMetric, SSDMetric, SymmetricDiffeomorphicRegistration, regtools
from warpline.phantom import brain_pair

rows, columns = np.mgrid[:128, :128] - 63.5
radius, angle = np.hypot(rows, columns), np.arctan2(rows, columns)
static = gaussian_filter((radius < 40).astype(float), 2)
moving = gaussian_filter(((radius < 44) & (radius > 12) & (np.abs(angle) > 0.6)).astype(float), 2)
regtools.overlay_images(static, moving, "circle", "both", "C")

# %%
# A metric says what alike means, here equal grey values (SSD: sum of squared differences). ``level_iters`` are the
# iterations of each level, coarse to fine. ``optimize`` returns the mapping, from the static image to the moving one
# and back.

registration = SymmetricDiffeomorphicRegistration(SSDMetric(2), level_iters=[200, 100, 50, 25], inv_iter=50)
mapping = registration.optimize(static, moving)

# %%
# What is printed is no error. Parts of a C move further than a registration of anatomy is trusted with, and it says
# so.
#
# ``transform`` brings the moving image onto the static grid, ``transform_inverse`` the static one onto the moving
# grid.

warped_moving = mapping.transform(moving)
warped_static = mapping.transform_inverse(static)
regtools.overlay_images(static, warped_moving, "circle", "both", "C, warped")
regtools.overlay_images(warped_static, moving, "circle, warped", "both", "C")

# %%
# How far there is to go shows in a lattice that is bent along: no line crosses itself, since the map can be inverted
# everywhere.

lattices = regtools.plot_2d_diffeomorphic_map(mapping, delta=8)

# %%
print("mean difference before", np.abs(static - moving).mean().round(4))
print("mean difference after ", np.abs(static - warped_moving).mean().round(4))

# %%
# Slices of two brains
# --------------------
# Grey values of two scans are never equal, so the metric is the correlation in small windows (CC), which looks at
# edges and textures. ``CCMetric(2)`` is for 2-D. The moving brain is made from the same anatomy as the static one,
# deformed by a known map; it is brought to the static grid by the affine part of that map, so that only the
# deformation is left to find. The lesson in 3-D finds both.

pair = brain_pair((96, 112, 96), voxel_size=2.0)
warp, affine = pair.transform.parts
static = pair.fixed.data[:, :, 52]
moving = warpline.apply(pair.moving, pair.fixed, affine).data[:, :, 52]
regtools.overlay_images(static, moving, "static", "both", "moving")

# %%
registration = SymmetricDiffeomorphicRegistration(CCMetric(2), level_iters=[100, 60, 20])
mapping = registration.optimize(static, moving)
warped_moving = mapping.transform(moving)
regtools.overlay_images(static, warped_moving, "static", "both", "moving, warped")

# %%
# Yellow is where both are bright. What is left of red and green is anatomy that moved out of the slice: two
# dimensions cannot follow it.

for name, image in {"before": moving, "after": warped_moving}.items():
    print("correlation", name, np.corrcoef(static.ravel(), image.ravel())[0, 1].round(4))

# %%
# There and back
# --------------
# A point that goes through the map and through its inverse should be where it was. Here is how far off it is, in
# pixels:

points = np.argwhere(static > 0).astype(float)
there = mapping.transform_points(points)
back = mapping.transform_points_inverse(there)
print("mean", np.linalg.norm(back - points, axis=1).mean().round(4))
print("99 % of points below", np.quantile(np.linalg.norm(back - points, axis=1), 0.99).round(4))

# %%
# The same without DIPY's names is one call, :func:`warpline.register`, which takes 2-D arrays as well and finds the
# affine first.
