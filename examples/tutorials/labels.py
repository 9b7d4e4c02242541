"""
Labels from atlases
===================

Three labelled brains are registered to a fourth, and their labels fused: what one atlas has wrong, the others
correct.
"""

# %%
# Atlases
# -------
# Each has an image and labels; the target has labels too, which only judge the result here.

import matplotlib.pyplot as plt
import numpy as np

import warpline
from warpline.evaluation import overlap
from warpline.phantom import LABELS, brain_pair

SHAPE, SIZE = (48, 56, 48), 4.0
target = brain_pair(SHAPE, seed=0, voxel_size=SIZE)
atlases = []
for seed in (1, 2, 3):
    pair = brain_pair(SHAPE, seed=seed, voxel_size=SIZE)
    atlases.append((pair.moving, pair.moving_labels))

# %%
# Registered and fused
# --------------------
# Joint label fusion lets atlases that are wrong at the same places count less together. On the command line it is
# ``warpline label t1.nii.gz --atlases atlases.tsv -o out/``.

found = warpline.label(target.fixed, atlases, label_names=LABELS)
print("fused", round(overlap(target.fixed_labels, found.labels).mean, 3))
for image, labels in atlases:
    alone = warpline.label(target.fixed, [(image, labels)])
    print("one atlas", round(overlap(target.fixed_labels, alone.labels).mean, 3))

# %%
# The confidence is the share of the weight that voted for the label of a voxel. It is low where structures meet.

k = 26
figure, axes = plt.subplots(1, 4, figsize=(12, 3.8))
shown = {
    "target": (target.fixed.data, "gray"),
    "its labels": (target.fixed_labels.data, "nipy_spectral"),
    "fused labels": (found.labels.data, "nipy_spectral"),
    "confidence": (found.confidence.data, "viridis"),
}
for axis, (title, (volume, colours)) in zip(axes, shown.items(), strict=True):
    axis.imshow(np.asarray(volume)[:, :, k].T, origin="lower", cmap=colours, interpolation="nearest")
    axis.set_title(title, fontsize=9)
    axis.set_axis_off()
figure.tight_layout()

# %%
# Volumes
# -------
# The table is written as ``volumes.tsv``.

for volume in found.volumes[:6]:
    print(volume)

# %%
# These brains differ in their folds, which no map can make meet; real ones are measured in :doc:`labels
# <../labelling>`.
