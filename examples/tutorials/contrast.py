"""
Images of unlike contrast
=========================

T1 onto T2: what is bright in one is dark in the other. No option is needed; this lesson shows what happens, and what
there is to choose.
"""

# %%
# The same brains, another contrast
# ---------------------------------
# The moving image gets grey values like those of T2: fluid bright, white matter dark.

import matplotlib.pyplot as plt
import numpy as np

import warpline
from warpline.evaluation import overlap
from warpline.phantom import brain_pair

pair = brain_pair((64, 72, 64), voxel_size=3.0)
values = pair.moving.data
unlike = np.where(values > 0, np.interp(values, [0, 200, 620, 950, 1100], [300, 1000, 620, 400, 330]), 0)
moving = warpline.Image(unlike.astype(np.float32), pair.moving.grid, "T2-like")


def show(pictures: dict[str, np.ndarray]) -> None:
    """Draw the middle axial slice of each volume."""
    figure, axes = plt.subplots(1, len(pictures), figsize=(3 * len(pictures), 3.4))
    for axis, (title, volume) in zip(axes, pictures.items(), strict=True):
        axis.imshow(volume[:, :, 36].T, origin="lower", cmap="gray")
        axis.set_title(title, fontsize=9)
        axis.set_axis_off()
    figure.tight_layout()


before = warpline.apply(moving, pair.fixed, warpline.Affine.identity()).data
show({"fixed": pair.fixed.data, "moving, by headers": before})

# %%
# Registered as ever
# ------------------
# The linear stages compare by mutual information. The deformable stage is shown one image as its grey values predict
# the other, where that correlates better: ``compared`` in the report says so.

result = warpline.register(pair.fixed, moving)
show({"fixed": pair.fixed.data, "moving, warped": result.warped.data})
print(result.report["terms"])


def dice(found: warpline.Registration) -> float:
    """Mean overlap of all structures."""
    labels = warpline.apply(pair.moving_labels, pair.fixed, found.transform, interpolation="label")
    return overlap(pair.fixed_labels, labels).mean


# %%
# Other metrics
# -------------
# ``syn.contrast=given`` takes the images as they are; mutual information and self-similarity need no curve. All are
# judged by labels that no metric has seen.

settings = {
    "same contrast": None,
    "unlike, no option": [],
    "unlike, contrast=given": ["syn.contrast=given"],
    "unlike, mutual_information": ["syn.metric=mutual_information"],
    "unlike, self_similarity": ["syn.metric=self_similarity"],
}
scores = {}
for name, options in settings.items():
    recipe = warpline.Recipe.load("syn").with_options(*(options or []))
    scores[name] = dice(warpline.register(pair.fixed, pair.moving if options is None else moving, recipe))
figure, axis = plt.subplots(figsize=(7, 2.6))
axis.barh(list(scores), list(scores.values()))
axis.set_xlim(0.5, 1)
axis.invert_yaxis()
axis.set_xlabel("mean Dice")
figure.tight_layout()
print({name: round(score, 3) for name, score in scores.items()})

# %%
# Whole heads with skull and fat, and EPI, are harder than this: :doc:`guide <../guide>` has figures of real ones, and
# the recipe ``syn-contrast``.
