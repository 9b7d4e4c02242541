"""
Reading the pages
=================

Every registration leaves a page, and a cohort one that shows the worst first. What to look at, and what the words on
it mean.
"""

# %%
# The page of a pair
# ------------------
# ``report.html`` is one file that loads nothing from anywhere. Here it is, of a made pair: choose a view, drag the
# cross, and switch between before and after.

import html
import tempfile
from pathlib import Path

import warpline
from warpline.phantom import brain_pair


class Page:
    """A saved page, shown within this one."""

    def __init__(self, path: Path) -> None:
        self.text = path.read_text(encoding="utf-8")

    def _repr_html_(self) -> str:
        style = "width: 100%; height: 760px; border: 1px solid #8884"
        return f'<iframe title="report" style="{style}" srcdoc="{html.escape(self.text)}"></iframe>'


pair = brain_pair((48, 56, 48), voxel_size=4.0)
result = warpline.register(pair.fixed, pair.moving)
files = result.save(Path(tempfile.mkdtemp()) / "sub-01_")
Page(files["page"])

# %%
# First: do the outlines of the ventricles and of the cortex meet, in all three planes, *after*? Flicker shows it
# best. Then the lattice: it bends, and never folds.
#
# The judgement
# -------------
# The page begins with a word, and so does the report.
#
# ``fine``
#    Nothing speaks against the map.
# ``doubtful``
#    Look at it: a warning says why, and what to try.
# ``failed``
#    Certainly wrong. The exit code of ``warpline register`` is 7.

judgement = result.report["judgement"]
print(judgement["outcome"], judgement["reasons"])

# %%
# The numbers
# -----------
# - *folds*: voxels where the map turns space inside out. There should be none.
# - *inverse error*: how far a point is from itself after going there and back, in voxels; kept to 0.05 on average, 0.25
#   at the 99th percentile.
# - *similarity*: correlation before and after, of the whole object and in small windows. It compares runs of one pair,
#   not pairs.

quality = result.report["quality"]
print("folded voxels", quality["folded_voxels"], "inverse error", round(quality["inverse_error_mean"], 3))
print("similarity before", result.report["similarity"]["before"], "after", result.report["similarity"]["after"])

# %%
# When it is wrong
# ----------------
# Here the moving image is noise in the shape of a brain. Its outline fits, and similarity rises; still the judgement
# is not fooled, since inside the outline the images agree hardly better than under maps that are wrong on purpose.

import matplotlib.pyplot as plt
import numpy as np

noise = np.random.default_rng(0).uniform(300, 1000, pair.moving.grid.shape) * (pair.moving.data > 0)
wrong = warpline.register(pair.fixed, warpline.Image(noise.astype(np.float32), pair.moving.grid, "noise"))
figure, axes = plt.subplots(1, 3, figsize=(8, 3.2))
shown = {"fixed": pair.fixed.data, "right": result.warped.data, "noise, registered": wrong.warped.data}
for axis, (title, volume) in zip(axes, shown.items(), strict=True):
    axis.imshow(volume[:, :, 26].T, origin="lower", cmap="gray")
    axis.set_title(title, fontsize=9)
    axis.set_axis_off()
print(wrong.report["judgement"]["outcome"])
for reason in wrong.report["judgement"]["reasons"]:
    print("-", reason)

# %%
# The page of a cohort
# --------------------
# .. image:: ../images/cohort-page.webp
#    :alt: The page of a cohort: a table of pairs, the worst first, with thumbnails
#
# Pairs stand in the order of what speaks against them: *fail* before *review* before *pass*. Verdicts come from fixed
# limits, and from ten finished pairs on from a comparison with the others too: then a score says how far out a pair
# is, and *review* may mean no more than unusual in this cohort. With fewer pairs the head of the page says that they
# were not compared, and the score is a dash. Click a row for its page; pass, review and fail by eye are exported as a
# table that the next run takes (``--exclude-from``, ``--retry-from``).
#
# All signs and limits, and how often they are wrong: :doc:`quality <../quality>`.
