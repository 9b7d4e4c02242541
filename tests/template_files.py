"""Small subjects for tests of templates: slices of an asymmetric object, each deformed a little; some do not belong."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from synthetic import fading_field
from warpline.cohort import Pair
from warpline.images import Image
from warpline.io.images import write_image
from warpline.recipe import Recipe
from warpline.template import Options

SHAPE = (40, 36)
COUNT = 5
QUICK = Recipe.load("syn").with_options(
    "name=quick",
    "initialise.rotations=false",
    "linear.stages=['rigid']",
    "linear.voxel_sizes=[3.0]",
    "linear.iterations=[10]",
    "linear.samples=1000",
    "linear.refinements=0",
    "syn.factors=[2]",
    "syn.iterations=[15]",
)


def drawn():
    """An object whose left and right differ, with its labels (*SHAPE)."""
    x, y = np.indices(SHAPE) - np.array([19.5, 17.5]).reshape(2, 1, 1)
    labels = ((x / 15) ** 2 + (y / 13) ** 2 < 1).astype(np.uint8)
    labels[((x - 6) ** 2 + (y - 3) ** 2) < 16] = 2
    labels[((x + 4) ** 2 / 9 + (y + 5) ** 2 / 4) < 1] = 3
    return np.array([0.0, 100.0, 220.0, 40.0])[labels], labels


def write_subjects(folder):
    """Slices of `COUNT` subjects that belong together, with labels; a mirrored one, and one of noise."""
    folder.mkdir()
    grey, labels = drawn()
    for number in range(COUNT + 1):
        u = fading_field((*SHAPE, 1), seed=number, largest=2.0, sigma=6.0)[:2, :, :, 0]
        u = u + np.array([number % 3 - 1, number % 2]).reshape(2, 1, 1)
        at = np.indices(SHAPE) + u
        image = gaussian_filter(map_coordinates(grey, at, order=1), 0.7).astype(np.float32)
        if number == COUNT:
            write(image[::-1].copy(), folder / "mirrored_T1w.nii")
        else:
            write(image, folder / f"sub-{number}_T1w.nii")
            write(map_coordinates(labels, at, order=0), folder / f"sub-{number}_dseg.nii")
    noise = np.random.default_rng(0).uniform(0, 200, SHAPE).astype(np.float32)
    write(noise, folder / "noise_T1w.nii")
    return folder


def write(array, path):
    write_image(Image.from_array(array, np.diag([2.0, 2.0, 1.0, 1.0]), path.name), path)


def subjects(folder, count=COUNT, labels=True):
    """Those that belong together."""
    names = [f"sub-{number}" for number in range(count)]
    paths = {name: str(folder / f"{name}_dseg.nii") if labels else "" for name in names}
    return [Pair(name, str(folder / f"{name}_T1w.nii"), moving_labels=paths[name]) for name in names]


def strangers(folder):
    """Those that do not."""
    return [Pair(name, str(folder / f"{name}_T1w.nii")) for name in ("mirrored", "noise")]


def asked(**more):
    """Options of a quick template."""
    return Options(**{"recipe": QUICK, "backend": "numba", "threads": 1, "rounds": 2, **more})
