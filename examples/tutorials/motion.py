"""
Motion of a time series
=======================

A head moves while it is scanned. Each volume is brought back, in one interpolation, and the motion is written in
numbers. The series is made, so that its motion is known.
"""

# %%
# A head that nods
# ----------------
# Sixteen volumes: slow drift, and one jump.

import matplotlib.pyplot as plt
import numpy as np
from scipy.spatial.transform import Rotation

import warpline
from warpline.phantom import brain_pair
from warpline.space import apply_affine

head = brain_pair((48, 56, 48), voxel_size=4.0).fixed
centre = head.grid.centre
shifts = np.linspace(0, 1.2, 16)[:, None] * [0.5, 1.0, -0.6]
angles = np.linspace(0, 1.5, 16)[:, None] * [1.0, 0.2, 0.4]
shifts[9:] += [0, 0.4, 1.0]
angles[9:] += [1.2, 0, 0]


def rigid(shift: np.ndarray, degrees: np.ndarray) -> np.ndarray:
    """A motion about the centre of the head, (4, 4)."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("XYZ", degrees, degrees=True).as_matrix()
    matrix[:3, 3] = centre + shift - matrix[:3, :3] @ centre
    return matrix


truth = np.stack([rigid(shift, degrees) for shift, degrees in zip(shifts, angles, strict=True)])
draw = np.random.default_rng(0)
volumes = [
    warpline.apply(head, head, warpline.Affine(np.linalg.inv(matrix)), interpolation="cubic").data
    + draw.normal(0, 15, head.grid.shape)
    for matrix in truth
]
series = warpline.Image(np.stack(volumes, axis=-1).astype(np.float32), head.grid, "series")

# %%
# Found
# -----
# :func:`warpline.register_series` fits every volume to a reference by least squares. On the command line it is
# ``warpline series register bold.nii.gz -o out/``.

found = warpline.register_series(series, reference="first")
for line in found.report["warnings"]:
    print("warning:", line)

# %%
# Numbers are those of the head, along world axes: where its centre has gone, and how it has turned.

parameters = found.motion.parameters
figure, axes = plt.subplots(2, 1, figsize=(7, 4.5), sharex=True)
for axis, columns, title in (
    (axes[0], parameters[:, :3], "shift, mm"),
    (axes[1], np.degrees(parameters[:, 3:]), "rotation, degrees"),
):
    axis.plot(columns, marker=".")
    axis.set_ylabel(title)
axes[1].set_xlabel("volume")
figure.tight_layout()

# %%
# The truth is known, so that the error can be measured where it matters: at points of the head.

points = apply_affine(head.affine, np.argwhere(head.data > 0)[::20])
there = [apply_affine(matrix, points) for matrix in truth]
placed = [apply_affine(matrix, points) for matrix in found.matrices]
errors = np.linalg.norm(np.array(placed) - there, axis=-1)
print("mean", errors.mean().round(4), "mm, largest", errors.max().round(4), "mm, where voxels are 4 mm")

# %%
# Moved back
# ----------
# The standard deviation over time shows what motion does at edges, and what is left once it is taken back: noise.

moved = found.moved().data
figure, axes = plt.subplots(1, 2, figsize=(7, 3.6))
for axis, (title, data) in zip(axes, {"as it was measured": series.data, "moved back": moved}.items(), strict=True):
    axis.imshow(data[:, :, 24].std(axis=-1).T, origin="lower", cmap="inferno", vmin=0, vmax=150)
    axis.set_title(f"standard deviation, {title}", fontsize=9)
    axis.set_axis_off()

# %%
# Framewise displacement is that of fMRIPrep (Power et al. 2012). The jump is seen at volume 9, and named in the
# warnings.

print(found.motion.framewise_displacement.round(2))

# %%
# On to the anatomy or a template, diffusion series, columns of ``motion.tsv``: :doc:`series <../series>`.
