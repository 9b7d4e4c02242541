"""
Writing a metric
================

A deformable metric says how far apart two images are, and pushes either image towards less. Here is one in twenty
lines: the mean of log cosh of the difference, quadratic where images nearly agree and linear where they do not, so
that few very unlike voxels pull less.
"""

# %%
# The value and its force
# -----------------------
# ``features`` is what is warped and compared: here both images. ``forces`` gets them warped to the middle space,
# writes the value, and for either image the force that lowers it: minus the derivative by its motion. ``backend`` has
# the operations, so that the same lines run on a GPU.

import matplotlib.pyplot as plt
import numpy as np

import warpline
from warpline.backends import Array, Backend, select
from warpline.evaluation import overlap
from warpline.metrics import DEFORMABLE_METRICS, LevelImage, intensities
from warpline.phantom import brain_pair


class LogCosh:
    """Mean of ``log cosh((fixed - moving) / width)``."""

    smallest_axis = 3
    is_replayable = False
    width = 0.1

    def features(self, sides: tuple[LevelImage, LevelImage], backend: Backend) -> Array:
        """Both images, (2, I, J, K)."""
        return intensities(sides, backend)

    def forces(self, images: Array, forces: Array, value: Array, *, mask: Array | None, backend: Backend) -> None:
        """Write the value, and its negative slope by the motion of either image."""
        counted = 1.0 if mask is None else np.maximum(mask, 0)
        difference = (images[0] - images[1]) / self.width
        for image, force, sign in zip(images, forces, (-1, 1), strict=True):
            force[...] = sign * np.tanh(difference) * counted * backend.gradient(image)
        value[0] = np.mean(np.log(np.cosh(difference)) * counted)


# %%
# Checked by differences
# ----------------------
# Move one image by a small step along the force, and the value has to fall by the step times the squared length of
# the force. Every metric of the package passes such a test on every backend.

backend = select("numpy")
x, y, z = np.indices((24, 24, 24)) - 11.5
ball = np.exp(-(x**2 + y**2 + z**2) / 60).astype(np.float32)
images = np.stack([ball, np.roll(ball, 2, axis=0)])
forces, value = np.zeros((2, 3, *ball.shape), np.float32), np.zeros(1)
LogCosh().forces(images, forces, value, mask=None, backend=backend)
start = value[0]
step = 1e-3
shifts = np.indices(ball.shape) + step * forces[1]
moved = warpline.map_coordinates(images[1], shifts, order=3, mode="nearest")
LogCosh().forces(np.stack([ball, moved.astype(np.float32)]), np.zeros_like(forces), value, mask=None, backend=backend)
predicted = -step * np.square(forces[1]).sum() / ball.size / LogCosh.width
print("fell by", (value[0] - start), "predicted", predicted)

# %%
# In a registration
# -----------------
# A metric gets its name in a table. From then on recipes of this process take the name, also those in TOML files,
# which hold nothing but names: no code is read from a recipe.

DEFORMABLE_METRICS["log_cosh"] = lambda options: LogCosh()

pair = brain_pair((48, 56, 48), voxel_size=4.0)
scores = {}
for name in ("local_cc", "mean_squares", "log_cosh"):
    found = warpline.register(pair.fixed, pair.moving, warpline.Recipe.load("syn").with_options(f"syn.metric={name}"))
    labels = warpline.apply(pair.moving_labels, pair.fixed, found.transform, interpolation="label")
    scores[name] = overlap(pair.fixed_labels, labels).mean

figure, axis = plt.subplots(figsize=(6, 2))
axis.barh(list(scores), list(scores.values()))
axis.set_xlim(0, 1)
axis.set_xlabel("mean Dice")
figure.tight_layout()
print({name: round(score, 3) for name, score in scores.items()})

# %%
# Other processes do not know the name: the command line has the metrics of the package alone, and worker processes of
# cohorts those that the script enters outside of ``if __name__ == "__main__"`` besides (``cohort.Options(workers=0)``
# works in this process). For keeps, and for those, a metric gets a line in the package itself
# (:doc:`contributing <../reference/contributing>`). Where squared differences, cross-correlation or EM as DIPY has them
# are enough, :mod:`warpline.dipy` has its classes ``SSDMetric``, ``CCMetric`` and ``EMMetric``, as in
# :doc:`the lesson on SyN in 2-D <syn_2d>`.
