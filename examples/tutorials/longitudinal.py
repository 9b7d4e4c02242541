"""
Change between two time points
==============================

Two scans of one subject: what grew, and what shrank? Neither scan is preferred, so that swapping them gives the
inverse, to the last bit.
"""

# %%
# A ventricle that grows
# ----------------------
# Two slices of a made head, turned and shifted against each other. The ventricle is larger in the second, and pushes
# what is around it aside.

import matplotlib.pyplot as plt
import numpy as np

import warpline
from warpline.space import Grid, apply_affine

GRID = Grid((152, 152, 1), np.array([[1.25, 0, 0, -94.4], [0, 1.25, 0, -94.4], [0, 0, 1, 0], [0, 0, 0, 1]]), flat=True)


RADIUS, REACH, GROWTH = 20.0, 36.0, 0.05


def before(radius: np.ndarray) -> np.ndarray:
    """Where what is now at a distance from the middle was in the first scan, in mm."""
    return radius * (1 - GROWTH * np.exp(-((radius / REACH) ** 2)))


def scan(grown: bool, degrees: float, seed: int) -> warpline.Image:
    """The head, turned by so many degrees, before or after its ventricle grew."""
    angle = np.radians(degrees)
    world = apply_affine(GRID.affine, np.moveaxis(np.indices(GRID.shape), 0, -1))
    x = np.cos(angle) * world[..., 0] + np.sin(angle) * world[..., 1]
    y = -np.sin(angle) * world[..., 0] + np.cos(angle) * world[..., 1]
    radius = np.hypot(x, y)
    if grown:
        x, y = (axis * before(radius) / np.maximum(radius, 1e-9) for axis in (x, y))
    head = 1 / (1 + np.exp((np.hypot(x / 76, y / 66) - 1) * 40))
    ventricle = 1 / (1 + np.exp(np.hypot(x, y) - RADIUS))
    texture = 1 + 0.25 * np.sin(x / 5) * np.cos(y / 6) + 0.15 * np.sin(y / 4 + x / 14)
    noise = np.random.default_rng(seed).normal(0, 0.01, GRID.shape)
    return warpline.Image((100 * (head * (texture - 0.8 * ventricle) + noise)).astype(np.float32), GRID, f"scan {seed}")


first, second = scan(False, -1.5, 1), scan(True, 1.5, 2)

# %%
# To a middle, and between
# ------------------------
# On the command line: ``warpline longitudinal ses-1.nii.gz ses-2.nii.gz -o out/ --years 70.5 72``.

found = warpline.register_longitudinal([first, second], years=[70.5, 72])
growth = found.log_jacobian(0, 1)
figure, axes = plt.subplots(1, 4, figsize=(12, 3.6))
shown = {"first": first, "second": second, "middle": found.middle}
for axis, (title, image) in zip(axes, shown.items(), strict=False):
    axis.imshow(image.data[:, :, 0].T, origin="lower", cmap="gray")
    axis.set_title(title, fontsize=9)
change = axes[3].imshow(growth.data[:, :, 0].T, origin="lower", cmap="RdBu_r", vmin=-0.2, vmax=0.2)
axes[3].set_title("log-Jacobian, first to second", fontsize=9)
for axis in axes:
    axis.set_axis_off()
figure.colorbar(change, ax=axes, shrink=0.8)

# %%
# Red grew, blue shrank. Over the label of the ventricle in the first scan that is, in per cent of its area:

world = apply_affine(GRID.affine, np.moveaxis(np.indices(GRID.shape), 0, -1))
ventricle = warpline.Image((np.hypot(world[..., 0], world[..., 1]) < RADIUS).astype(np.uint8), GRID, "ventricle")
radii = np.linspace(0, 30, 3001)
grown = radii[np.searchsorted(before(radii), RADIUS)]
print("found", round(found.label_growth(ventricle, 0, 1)[1], 2), "%")
print("made ", round(100 * ((grown / RADIUS) ** 2 - 1), 2), "%")

# %%
# Part of a small change is lost to smoothing. Time points are compared by squared differences; where they come from
# unlike scanners, or edges alone tell of the change, local correlation may see more of it:

by_correlation = warpline.register_longitudinal([first, second], settings=["syn.metric=local_cc"])
print("found", round(by_correlation.label_growth(ventricle, 0, 1)[1], 2), "%")

# %%
# Swapped
# -------

swapped = warpline.register_longitudinal([second, first], years=[70.5, 72])
same = np.array_equal(swapped.points[1].velocity.field, found.points[0].velocity.field)
print("the same maps to the last bit:", same)

# %%
# More than two time points, and what is written: :doc:`longitudinal <../longitudinal>`.
