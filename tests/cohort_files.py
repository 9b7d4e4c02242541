"""Small cohorts for tests: made-up brains, quick options, and what a run left."""

from __future__ import annotations

import csv
import json
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

import faults
from synthetic import ellipsoid, label_map, pair_with_known_map
from warpline.cohort import Options, find_pairs
from warpline.images import Image
from warpline.io.images import write_image
from warpline.recipe import Recipe
from warpline.space.grid import Grid

SHAPE = (20, 20, 20)
COUNT = 6
QUICK = Recipe.load("syn").with_options(
    "name=quick",
    "initialise.rotations=false",
    "linear.stages=['rigid']",
    "linear.voxel_sizes=[6.0]",
    "linear.iterations=[2]",
    "linear.samples=1000",
    "linear.refinements=0",
    "syn.factors=[1]",
    "syn.iterations=[2]",
    "syn.step=0.1",
)
CHANGING = ("seconds", "finished", "host", "key", "platform", "memory_mb")
"""What differs between runs that did the same."""


def write_brains(folder, count=COUNT):
    """A fixed image with labels, and `count` moving ones: smooth blobs, each deformed a little more."""
    folder.mkdir()
    inside = ellipsoid(SHAPE, 0.38)
    for number in range(count + 1):
        fixed, moving, _ = pair_with_known_map(SHAPE, seed=3, largest=0.3 + 0.1 * number)
        array = np.where(inside, (fixed if number else moving) + 0.5, 0).astype(np.float32)
        name = f"sub-{number:02d}_T1w" if number else "fixed"
        grid = Grid(SHAPE, np.diag((2.0, 2.0, 2.0, 1.0)))
        write_image(Image(array, grid), folder / f"{name}.nii")
        labels = np.where(inside, label_map(SHAPE), 0).astype(np.uint8)
        write_image(Image(labels, grid), folder / f"{name.removesuffix('_T1w')}_dseg.nii")
    return folder


def pairs_in(folder):
    return find_pairs(f"{folder}/{{id}}_T1w.nii", fixed=f"{folder}/fixed.nii")


@dataclass(frozen=True)
class FaultyOptions(Options):
    """Options of a run whose workers call a stand-in for `warpline.registration.compute`."""

    compute: Callable = faults.compute

    def worker_settings(self, root, run):
        return replace(super().worker_settings(root, run), compute=self.compute)


def asked(**more):
    """Options of a quick run."""
    plain = {"recipe": QUICK, "backend": "numpy", "threads": 1, "max_failures": 1.0}
    return FaultyOptions(**{**plain, **more})


def command(folder, action, *more, out="out"):
    """Arguments of an action on the cohort of a folder: its manifest ``c.tsv``, its recipe ``quick.toml``."""
    return ["cohort", action, f"{folder}/c.tsv", f"{folder}/{out}", "--recipe", f"{folder}/quick.toml", *more]


def outputs(folder):
    """Every file of every pair: its bytes, or what a sidecar says that does not differ between runs."""
    files = {path.relative_to(folder): path for path in folder.glob("sub-*/**/*") if path.is_file()}
    return {str(name): stable(path) for name, path in sorted(files.items())}


def stable(path):
    if path.suffix != ".json":
        return path.read_bytes()
    return without_changing(json.loads(path.read_bytes()))


def table(path):
    """Rows of a table."""
    with path.open() as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def rows(out):
    """Rows of the results, by id."""
    return {row["id"]: row for row in table(out / "results.tsv")}


def without_changing(value):
    if isinstance(value, dict):
        return {name: without_changing(entry) for name, entry in value.items() if name not in CHANGING}
    return [without_changing(entry) for entry in value] if isinstance(value, list) else value


def leave_pages_out(patch):
    pages = types.ModuleType("warpline.cohort.pages")
    pages.write = lambda root, results, **_: root / "report" / "index.html"
    patch.setitem(sys.modules, pages.__name__, pages)
