"""
Lesions: masks and robust weights
=================================

A lesion is in one image only. A map that tries to make it fit pulls healthy tissue along. A mask leaves it out; where
there is none, weights are learnt from the images.
"""

# %%
# A made lesion
# -------------
# The true map of the pair is known, so that what the lesion does to it can be measured.

import matplotlib.pyplot as plt
import numpy as np

import warpline
from warpline.phantom import brain_pair
from warpline.space import apply_affine

pair = brain_pair((64, 72, 64), voxel_size=3.0)
centre = pair.transform.map_points([[34.0, -20.0, 24.0]])[0]
voxels = np.moveaxis(np.indices(pair.moving.grid.shape), 0, -1)
distance = np.linalg.norm(apply_affine(pair.moving.affine, voxels) - centre, axis=-1)
inside = (distance < 15) & (pair.moving.data > 0)
patient = warpline.Image(np.where(inside, 150, pair.moving.data).astype(np.float32), pair.moving.grid, "patient")
healthy = warpline.Image((~inside).astype(np.uint8), pair.moving.grid, "without the lesion")

# %%
# Three ways
# ----------
# As if nothing were there; with a mask; with ``syn.robust``, which lets a place count little where one image shows what
# the other does not predict. On the command line these are ``--moving-mask without_lesion.nii.gz`` and ``--robust``.
#
# **In the mask 1 is healthy tissue, whose voxels count, and 0 is the lesion.** Tools for lesions write the reverse, 1
# in the lesion. Invert such a mask as ``healthy`` was made from ``inside`` above; of a file,
# ``warpline.Image((lesion.data == 0).astype("uint8"), lesion.grid)``.

robust = warpline.Recipe.load("syn").with_options("syn.robust=true")
found = {
    "as it is": warpline.register(pair.fixed, patient),
    "with a mask": warpline.register(pair.fixed, patient, moving_mask=healthy),
    "robust": warpline.register(pair.fixed, patient, robust),
}

# %%
# How far each map is off in the 30 mm around the lesion:

brain = np.argwhere(pair.fixed_labels.data != 0)
points = apply_affine(pair.fixed.affine, brain)
truth = pair.transform.map_points(points)
near = np.linalg.norm(truth - centre, axis=1) < 30
errors = {}
for name, result in found.items():
    errors[name] = np.linalg.norm(result.transform.map_points(points) - truth, axis=1)
    print(
        f"{name:12}",
        errors[name][near].mean().round(2),
        "mm near the lesion,",
        errors[name][~near].mean().round(2),
        "mm elsewhere",
    )

# %%
# The same as a picture, in the slice of the lesion.

k = int(np.rint(np.linalg.inv(pair.fixed.affine) @ [34, -20, 24, 1])[2])
figure, axes = plt.subplots(1, 4, figsize=(12, 3.6))
seen = warpline.apply(patient, pair.fixed, pair.transform).data
axes[0].imshow(seen[:, :, k].T, origin="lower", cmap="gray")
axes[0].set_title("patient, by the true map", fontsize=9)
for axis, (name, error) in zip(axes[1:], errors.items(), strict=True):
    volume = np.zeros(pair.fixed.grid.shape)
    volume[tuple(brain.T)] = error
    shown = axis.imshow(volume[:, :, k].T, origin="lower", cmap="inferno", vmin=0, vmax=6)
    axis.set_title(f"error, {name}", fontsize=9)
for axis in axes:
    axis.set_axis_off()
figure.colorbar(shown, ax=axes, label="mm", shrink=0.8)

# %%
# The weights that were learnt are a hint at the lesion, and no segmentation: look at them. They are written as
# ``RobustWeights.nii.gz``.

weights = found["robust"].robust_weights
figure, axis = plt.subplots(figsize=(3.4, 3.6))
axis.imshow(weights.data[:, :, k].T, origin="lower", cmap="gray", vmin=0, vmax=1)
axis.set_axis_off()

# %%
# A mask drawn by hand is best where there is one. More: :doc:`guide <../guide>`.
