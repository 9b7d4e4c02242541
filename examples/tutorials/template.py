"""
A template of one's own
=======================

The mean shape and the mean image of a group, by one command that may be killed and goes on. One of the five images is
noise: it is named, and leaves no trace.
"""

# %%
# Five slices
# -----------
# Small ones, so that the lesson is short; volumes take the same command.

import shlex
import tempfile
from contextlib import chdir
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import warpline
from warpline import template
from warpline.cli.main import main
from warpline.phantom import brain_pair
from warpline.space import Grid

folder = Path(tempfile.mkdtemp())
plane = Grid(
    (64, 76, 1), np.diag([2.5, 2.5, 1, 1]) + [[0, 0, 0, -80], [0, 0, 0, -112], [0, 0, 0, 0], [0, 0, 0, 0]], flat=True
)

slices = {}
for number in range(1, 5):
    pair = brain_pair((48, 56, 48), seed=number, voxel_size=4.0)
    warp, affine = pair.transform.parts
    seen = warpline.apply(pair.moving, pair.fixed, affine)
    data = warpline.resample(seen, voxel_size=2.5).data[:, :, 38]
    slices[f"sub-{number:02}"] = warpline.Image(np.ascontiguousarray(data[6:70, 7:83, None]), plane)
noise = np.random.default_rng(0).normal(500, 200, plane.shape).clip(0).astype(np.float32)
slices["sub-05"] = warpline.Image(noise, plane)
for name, image in slices.items():
    warpline.write_image(image, folder / f"{name}_T1w.nii.gz")


def show(pictures: dict[str, np.ndarray]) -> None:
    """Draw slices side by side."""
    figure, axes = plt.subplots(1, len(pictures), figsize=(2.2 * len(pictures), 2.8))
    for axis, (title, picture) in zip(axes, pictures.items(), strict=True):
        axis.imshow(picture.T, origin="lower", cmap="gray")
        axis.set_title(title, fontsize=9)
        axis.set_axis_off()
    figure.tight_layout()


show({name: image.data[:, :, 0] for name, image in slices.items()})

# %%
# Build
# -----
# Linear rounds first, then deformable ones, each against the mean of the round before. ``--rounds`` limits those at
# full resolution.


def run(command: str) -> int:
    """Run a command as a terminal would, and show it."""
    print("$", command)
    with chdir(folder):
        return main(shlex.split(command)[1:])


images = " ".join(f"{name}_T1w.nii.gz" for name in slices)
code = run(f"warpline template build {images} out --rounds 2 --recipe syn-fast")
print("exit code", code)

# %%
# Exit code 3: someone was left out, and the record says why.

made = template.read_template(folder / "out")
for one in made.left_out:
    print(one.id, "left out:", one.reason)
for one in made.subjects:
    print(one.id, "fit", round(one.fit, 3), "weight", round(one.weight, 3))

# %%
# The mean of images that only share a centre is blurred; round by round it becomes sharp.

rounds = sorted((folder / "out/rounds").glob("*/template.nii.gz"))
show({f"round {path.parent.name}": warpline.read_image(path).data.squeeze() for path in rounds})

# %%
# Later
# -----
# A subject less, or one more, does not start over: ``remove`` registers nothing, ``add`` registers the new one.

code = run("warpline template remove out sub-01")

# %%
# The page ``out/report/index.html`` has rounds side by side and subjects by fit; all options are in :doc:`templates
# <../template>`.
