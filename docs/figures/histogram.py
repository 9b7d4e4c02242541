"""Joint histograms of two brains, by headers alone and after the affine."""

import numpy as np
from matplotlib import pyplot

import warpline
from brains import pair, registered

affine = registered().transform.parts[1]
fixed = pair().fixed
figure, axes = pyplot.subplots(1, 2, figsize=(8, 3.8), sharey=True)
for axis, (title, transform) in zip(axes, {"by headers": [], "after the affine": affine}.items(), strict=True):
    moving = warpline.apply(pair().moving, fixed, transform or warpline.Affine.identity()).data
    both = (fixed.data > 0) & (moving > 0)
    counts, _, _ = np.histogram2d(fixed.data[both], moving[both], bins=64, range=((0, 1100), (0, 1100)))
    axis.imshow(np.log1p(counts).T, origin="lower", cmap="magma", extent=(0, 1100, 0, 1100))
    axis.set_title(title, fontsize=9)
    axis.set_xlabel("grey value, fixed")
axes[0].set_ylabel("grey value, moving")
