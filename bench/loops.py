"""Rigid maps between contrasts: against the truth of made pairs, and around the loop of three real images.

Made pairs are a T1 head and a copy of it in another contrast, with other voxels (1 x 1 x 2 mm and 2.4 mm), noise and a
known rigid motion. Real ones are the T2, EPI and T1 heads: the map from EPI to T1 is compared with that by way of T2,
and maps by unlike metrics with each other. Neither needs to know which map is right. How far an affine departs from a
rigid map tells whether two images can be of one head.

    python bench/loops.py made
    python bench/loops.py real
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

import contrasts
import spoils
from warpline import Image, read_image
from warpline.backends import select
from warpline.recipe import Recipe
from warpline.registration.alignment import align
from warpline.resampling import resample
from warpline.space import Affine
from warpline.space.grid import Grid, apply_affine

RESULTS = Path(__file__).parent / "results" / "loops.json"
SAMPLINGS: dict[str, tuple[float, float, float]] = {"1x1x2 mm": (1.0, 1.0, 2.0), "2.4 mm": (2.4, 2.4, 2.4)}
NOISE = 0.03
"""Standard deviation of the noise, as a share of the largest value."""
METRICS = {
    "mutual information": "linear.metric=mutual_information",
    "correlation": "linear.metric=correlation",
}
"""Of the linear stages, by name; further ones are named on the command line."""
Row = dict[str, Any]


def rigid(fixed: Image, moving: Image, setting: str, recipe: str = "rigid") -> Affine:
    """The map from fixed to moving world under one setting."""
    return align(fixed, moving, Recipe.load(recipe).with_options(setting), backend=select(None)).affine


def distances(first: Affine, second: Affine, places: NDArray[np.float64]) -> Row:
    """How far apart two maps lead places, in mm."""
    apart = np.linalg.norm(first.map_points(places) - second.map_points(places), axis=1)
    return {"mean": float(apart.mean()), "p95": float(np.percentile(apart, 95)), "largest": float(apart.max())}


def made_rows(head: Image, settings: dict[str, str]) -> Iterator[Row]:
    """Errors on copies of one head in another contrast and sampling."""
    places = inside(head)
    for contrast in ("same", "T2-like", "inverted"):
        for name, size in SAMPLINGS.items():
            truth, copy = moved_copy(contrasts.recoloured(head, contrast), size)
            for metric, setting in settings.items():
                found = rigid(head, copy, setting)
                yield {"contrast": contrast, "voxels": name, "metric": metric, **distances(found, truth, places)}


def moved_copy(image: Image, size: tuple[float, float, float]) -> tuple[Affine, Image]:
    """The image under a rigid motion, in other voxels and with noise; and the map from it to the copy."""
    matrix = spoils.about(image.grid.centre, (1, 2, -1), 8.0)
    matrix[:3, 3] += (4.3, -2.7, 3.1)
    blurred = ndimage.gaussian_filter(image.data.astype(np.float32), 0.4 * np.array(size) / image.grid.voxel_size)
    there = Image(blurred, Grid(image.grid.shape, matrix @ image.grid.affine))
    straight = resample(there, voxel_size=size)
    rng = np.random.default_rng(contrasts.SEED)
    noise = rng.normal(0, NOISE * straight.data.max(), straight.data.shape)
    return Affine(matrix), Image((straight.data + noise).astype(np.float32), straight.grid, "copy")


def inside(head: Image) -> NDArray[np.float64]:
    """Places (N, 3) of a ball of 70 mm about the centre of mass of a head: its brain, roughly, in world mm."""
    weights = head.data.astype(np.float64)
    middle = apply_affine(head.grid.affine, np.array(ndimage.center_of_mass(weights)))
    places = apply_affine(head.grid.affine, np.argwhere(weights > 0)[::50])
    return np.asarray(places[np.linalg.norm(places - middle, axis=1) < 70.0])


def real_rows(folder: Path, settings: dict[str, str]) -> Iterator[Row]:
    """Loops of three heads, agreement of metrics, and what an affine adds to a rigid map."""
    heads = {name: read_image(folder / contrasts.HEADS[name]) for name in ("T1", "T2", "EPI")}
    pairs = {("T1", "T2"), ("T1", "EPI"), ("T2", "EPI")}
    places = inside(heads["T1"])
    found = {(m, *p): rigid(heads[p[0]], heads[p[1]], s) for m, s in settings.items() for p in sorted(pairs)}
    for metric in settings:
        around = found[metric, "T2", "EPI"] @ found[metric, "T1", "T2"]
        yield {"what": "loop T1, T2, EPI", "metric": metric, **distances(around, found[metric, "T1", "EPI"], places)}
    for one, other in combinations(settings, 2):
        for pair in sorted(pairs):
            apart = distances(found[one, *pair], found[other, *pair], places)
            yield {"what": f"{pair[0]} to {pair[1]}", "metric": f"{one} against {other}", **apart}
    for first, second in sorted(pairs):
        full = rigid(heads[first], heads[second], METRICS["mutual information"], "affine")
        scales = np.linalg.svd(full.matrix[:3, :3], compute_uv=False)
        yield {
            "what": f"scales of {first} to {second}",
            "metric": "affine",
            "scales": [round(float(s), 4) for s in scales],
        }


def main() -> int:
    """Run what the command line asks for, and write the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("made", "real"))
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared/data/multimodal")
    parser.add_argument("--settings", nargs="*", default=[], help="KEY=VALUE of recipe rigid, beside both metrics")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    settings = METRICS | {one: one for one in options.settings}
    head = read_image(options.data / contrasts.HEADS["T1"])
    rows = []
    for row in made_rows(head, settings) if options.what == "made" else real_rows(options.data, settings):
        rows.append({key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()})
        sys.stdout.write(f"{rows[-1]}\n")
        sys.stdout.flush()
    before = json.loads(options.out.read_text()) if options.out.exists() else {}
    options.out.write_text(json.dumps({**before, options.what: rows}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
