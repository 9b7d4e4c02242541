"""
Symmetric diffeomorphic registration in 3-D
===========================================

One brain onto another: an affine first, then a map that bends and can be inverted, both found here, looked at and
saved. As in DIPY's tutorial, by the same classes from :mod:`warpline.dipy`; the last section does it again in one
call of our own.
"""

# %%
# Two brains
# ----------
# They lie on grids of different voxel size and orientation, and their true map is known. DIPY's *static* image is our
# *fixed* one.

import tempfile
from pathlib import Path

import numpy as np

import warpline
from warpline.dipy import (
    AffineMap,
    CCMetric,
    SymmetricDiffeomorphicRegistration,
    affine_registration,
    read_mapping,
    regtools,
    save_nifti,
    write_mapping,
)
from warpline.phantom import brain_pair
from warpline.space import apply_affine

folder = Path(tempfile.mkdtemp())
pair = brain_pair((64, 72, 64), voxel_size=3.0)
static, static_affine = pair.fixed.data, pair.fixed.affine
moving, moving_affine = pair.moving.data, pair.moving.affine
print("static", static.shape, "moving", moving.shape)

# %%
# Resampled onto the static grid by their headers alone, the moving brain lies elsewhere: red and green are apart.

identity = AffineMap(np.eye(4), static.shape, static_affine, moving.shape, moving_affine)
resampled = identity.transform(moving)
figure = regtools.overlay_slices(static, resampled, None, 1, "Static", "Moving")

# %%
# The affine
# ----------
# Centres of mass, translation, rigid, affine: each stage starts where the one before ended.

pipeline = ["center_of_mass", "translation", "rigid", "affine"]
aligned, affine = affine_registration(
    moving, static, moving_affine, static_affine, pipeline=pipeline, level_iters=[100, 50, 20]
)
print(affine.round(3))
figure = regtools.overlay_slices(static, aligned, None, 1, "Static", "Moving, affine")

# %%
# The map that bends
# ------------------
# ``CCMetric(3)`` compares windows by their correlation. ``level_iters`` are the most iterations of each level, coarse
# to fine. The affine is where it starts.

registration = SymmetricDiffeomorphicRegistration(CCMetric(3), level_iters=[50, 30, 10])
mapping = registration.optimize(static, moving, static_affine, moving_affine, affine)
warped = mapping.transform(moving)
figure = regtools.overlay_slices(static, warped, None, 1, "Static", "Moving, warped")

# %%
# The inverse brings the static image onto the grid of the moving one.

warped_static = mapping.transform_inverse(static)
figure = regtools.overlay_slices(warped_static, moving, None, 1, "Static, warped", "Moving")

# %%
# How good it is
# --------------
# Correlation rises, and here the truth is known: the mean distance to it over the brain, in mm.

for name, image in {"by headers": resampled, "affine": aligned, "warped": warped}.items():
    print(f"correlation {name:10}", np.corrcoef(static.ravel(), image.ravel())[0, 1].round(4))

voxels = np.argwhere(pair.fixed_labels.data != 0)[::7]
points = apply_affine(static_affine, voxels)
truth = pair.transform.map_points(points)
by_affine = apply_affine(affine, points)
by_mapping = mapping.transform_points(points)
print("distance to the truth: affine", np.linalg.norm(by_affine - truth, axis=1).mean().round(2), "mm")
print("distance to the truth: warped", np.linalg.norm(by_mapping - truth, axis=1).mean().round(2), "mm")

# %%
# Saved, and read again
# ---------------------
# A mapping is one NIfTI file, which DIPY reads as well.

for name, data, matrix in (("static", static, static_affine), ("moving", moving, moving_affine)):
    save_nifti(folder / f"{name}.nii.gz", data, matrix)
write_mapping(mapping, folder / "mapping.nii.gz")
again = read_mapping(folder / "mapping.nii.gz", folder / "moving.nii.gz", folder / "static.nii.gz")
print("largest difference of the warped image", np.abs(again.transform(moving) - warped).max())

# %%
# In one call
# -----------
# :func:`warpline.register` finds both parts, measures folds and the error of the inverse, and says whether the result
# can be trusted.

result = warpline.register(pair.fixed, pair.moving)
print(result.report["judgement"]["outcome"])
print("folded voxels", result.report["quality"]["folded_voxels"])
found = result.transform.map_points(points)
print("distance to the truth:", np.linalg.norm(found - truth, axis=1).mean().round(2), "mm")

# %%
# At the end of a cell a result is its viewer: click into it, and the keys 1 to 9 choose what is shown.

result

# %%
# Labels go along without being blurred, and meet:

labels = warpline.apply(pair.moving_labels, pair.fixed, result.transform, interpolation="label")
from warpline.evaluation import overlap

print("mean Dice", round(overlap(pair.fixed_labels, labels).mean, 3))
