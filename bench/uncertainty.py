"""Whether the uncertainty of a registration says anything about its error.

Where the truth is known: images warped by random smooth maps, with noise, also images whose contrast was taken away on
one side. Where it is not: labelled images of different people; the uncertainty where labels disagree beside that where
they agree. And where there is none: noise cut out in the shape of a brain::

    python bench/uncertainty.py --json bench/results/uncertainty.json     # a quarter of an hour on two cores
    python bench/uncertainty.py --images slices                           # some minutes
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter
from scipy.stats import mannwhitneyu, spearmanr

import brains
from warpline import Displacement, Image, Recipe, Registration, read_image, register
from warpline.backends import select
from warpline.images.foreground import foreground_mask
from warpline.registration.provenance import environment
from warpline.resampling import warp
from warpline.resampling.labels import warp_labels
from warpline.resampling.reduction import reduce_image, reduce_labels
from warpline.space import exponential
from warpline.space.grid import Grid, apply_affine

Doubles = NDArray[np.float64]
Mask = NDArray[np.bool_]

SLICES, BRAINS = "slices", "brains"
SUBJECTS = tuple(f"{number:02}" for number in range(1, 11))
SPACING = 2
MARGIN = 8
MULTIPLES = (1, 2, 3)
FADED = 0.1
"""Contrast that is left on the faded side of an image."""
NOISES = 3
"""Subjects whose shape is filled with noise."""
NEAR = 2.0
"""Distance in voxels from a boundary between labels up to which places are compared with each other."""


@dataclass(frozen=True)
class Made:
    """How an image is warped.

    Parameters
    ----------
    noise : float
        Of both images, as a share of their range.
    smooth, length : float
        Gaussian that smooths the velocity field, and root mean square length of that, in mm.
    """

    noise: float
    smooth: float
    length: float


MADE = (Made(0.02, 10, 4), Made(0.05, 10, 4), Made(0.1, 10, 4), Made(0.05, 20, 8), Made(0.05, 6, 3))


def slice_of(data: Path, subject: str) -> tuple[Image, Image]:
    """One coronal slice of a brain, and its labels."""
    folder = data / "oasis-trt-20-slices"
    return read_image(folder / f"sub-{subject}_t1.nii.gz"), read_image(folder / f"sub-{subject}_labels.nii.gz")


def brain_of(data: Path, subject: str) -> tuple[Image, Image]:
    """A brain in voxels of 2 mm, and its labels."""
    found = brains.prepare(data / "oasis-trt-20", subject, Path("/tmp/warpline-uncertainty"), MARGIN)
    block = (SPACING,) * 3
    return reduce_image(read_image(found.image), block), reduce_labels(read_image(found.labels), block)


LOADERS: dict[str, Callable[[Path, str], tuple[Image, Image]]] = {SLICES: slice_of, BRAINS: brain_of}


def velocity(grid: Grid, made: Made, seed: int) -> Displacement:
    """A random smooth velocity field in mm, in the plane of a slice."""
    random = np.random.default_rng(seed)
    sigma = [made.smooth / size if n > 1 else 0.0 for size, n in zip(grid.voxel_size, grid.shape, strict=True)]
    along = np.stack([gaussian_filter(random.standard_normal(grid.shape), sigma) * (n > 1) for n in grid.shape])
    along *= made.length / np.sqrt(np.square(along).sum(axis=0).mean())
    world = np.einsum("ab,bijk->aijk", grid.affine[:3, :3] / grid.voxel_size, along)
    return Displacement(world.astype(np.float32), grid)


def noisy(image: Image, share: float, seeds: tuple[int, int]) -> Image:
    """The image with normal noise inside the object, of a share of its range."""
    data = image.data.astype(np.float32)
    inside = data > 0
    spread = share * np.percentile(data[inside], 99.5)
    return replace(image, data=data + inside * (spread * np.random.default_rng(seeds).standard_normal(data.shape)))


def faded(image: Image) -> Image:
    """The image with little contrast inside the object on the side where the first axis ends."""
    data, inside = image.data.astype(np.float32), foreground_mask(image)
    middle = np.median(data[inside])
    left = np.where(_ends(image.grid.shape), FADED, 1.0)
    return replace(image, data=np.where(inside, middle + left * (data - middle), data).astype(np.float32))


def _ends(shape: Sequence[int]) -> Mask:
    """The half of a volume where the first axis ends."""
    return np.asarray(np.indices(shape)[0] >= shape[0] / 2)


def registered(fixed: Image, moving: Image, runs: int) -> tuple[Registration, Doubles, dict[str, float]]:
    """A registration with its uncertainty (I, J, K), and what both cost."""
    start = time.perf_counter()
    found = register(fixed, moving, Recipe.load("syn").with_options(f"uncertainty.runs={runs}"))
    assert found.uncertainty is not None
    seconds = found.report["seconds"]
    cost = {
        "seconds": round(time.perf_counter() - start, 2),
        "seconds_deformable": round(seconds["deformable"] + seconds["inversion"], 2),
        "seconds_uncertainty": round(seconds["uncertainty"], 2),
    }
    return found, np.asarray(found.uncertainty.data, float), cost


def errors(found: Registration, truth: Displacement) -> Doubles:
    """Distance in mm, in the fixed world, between where a map takes every voxel and where it belongs."""
    alignment, grid = found.alignment, truth.grid
    assert alignment.warp is not None
    places = apply_affine(grid.affine, np.indices(grid.shape).reshape(3, -1).T)
    belongs = alignment.affine.inverse().map_points(truth.map_points(places))
    return np.asarray(np.linalg.norm(belongs - alignment.warp.map_points(places), axis=1)).reshape(grid.shape)


def made_row(subject: str, image: Image, made: Made, *, runs: int, seed: int) -> dict[str, Any]:
    """An image registered to itself, warped by a known map; beside the figures of all of it those of its two sides."""
    flow = velocity(image.grid, made, seed)
    back = exponential(replace(flow, field=-flow.field))
    moving = warp(image, back, image.grid, backend=select())
    inside = foreground_mask(image)
    fixed = noisy(image, made.noise, (seed, 1))
    found, spread, cost = registered(fixed, noisy(moving, made.noise, (seed, 2)), runs)
    error = errors(found, exponential(flow))
    of_sides = {name: _end_over_start(values, inside) for name, values in (("spread", spread), ("error", error))}
    sides = {f"{name}_end_over_start": ratio for name, ratio in of_sides.items()}
    return {"subject": subject, **vars(made), **compared(spread[inside], error[inside]), **sides, **cost}


def _end_over_start(values: Doubles, inside: Mask) -> float:
    """Median on the side where the first axis ends, over that of the other one."""
    ends = _ends(inside.shape)
    return round(float(np.median(values[inside & ends]) / np.median(values[inside & ~ends])), 3)


def compared(spread: Doubles, error: Doubles) -> dict[str, float]:
    """Uncertainty and error of the same voxels (N,)."""
    figures = {
        "error_median": np.median(error),
        "error_p95": np.percentile(error, 95),
        "spread_median": np.median(spread),
        "spread_p95": np.percentile(spread, 95),
        "pearson": np.corrcoef(spread, error)[0, 1],
        "spearman": spearmanr(spread, error)[0],
        **{f"within_{times}": np.mean(error < times * spread) for times in MULTIPLES},
        "error_over_spread": np.sqrt(np.mean(error**2) / np.mean(spread**2)),
        "multiple_of_95": np.percentile(error / np.maximum(spread, 1e-6), 95),
    }
    return {name: round(float(value), 3) for name, value in figures.items()}


def label_row(pair: tuple[str, str], sides: Sequence[tuple[Image, Image]], runs: int) -> dict[str, Any]:
    """Two people: the uncertainty where their labels disagree after registration, and where they agree."""
    (fixed, truth), (moving, labels) = sides
    found, spread, cost = registered(fixed, moving, runs)
    carried = warp_labels(labels, found.transform, fixed.grid, backend=select())
    there, known = np.rint(truth.data).astype(int), np.rint(truth.data) != 0
    agree = np.rint(carried.data).astype(int) == there
    near = known & (_distance_from_boundary(there) <= NEAR)
    quantiles = {key: found.report["uncertainty"][key] for key in ("median", "p95", "largest")}
    return {
        "fixed": pair[0],
        "moving": pair[1],
        "outcome": found.report["judgement"]["outcome"],
        "spread_over_radius": round(found.report["judgement"]["signs"]["spread"], 4),
        "disagree": round(float(1 - agree[known].mean()), 3),
        **{f"spread_{key}": round(value, 3) for key, value in quantiles.items()},
        **_separated(spread, agree, known, ""),
        **_separated(spread, agree, near, "_near_boundaries"),
        **cost,
    }


def noise_row(subject: str, fixed: Image, runs: int) -> dict[str, Any]:
    """An image and smooth noise in its shape: the sign of the judgement where there is nothing to find."""
    random, inside = np.random.default_rng(0), fixed.data > 0
    smooth = gaussian_filter(random.standard_normal(inside.shape), [1.5 if n > 1 else 0.0 for n in inside.shape])
    shades = 100 + 30 * smooth / smooth[inside].std()
    moving = replace(fixed, data=np.where(inside, np.maximum(shades, 1), 0).astype(np.float32))
    found, _, cost = registered(fixed, moving, runs)
    judgement = found.report["judgement"]
    of_radius = round(judgement["signs"]["spread"], 4)
    return {"subject": subject, "outcome": judgement["outcome"], "spread_over_radius": of_radius, **cost}


def _separated(spread: Doubles, agree: Mask, among: Mask, end: str) -> dict[str, float]:
    """Medians where labels disagree and agree, and how often a place of the first kind has the larger one."""
    apart, alike = spread[among & ~agree], spread[among & agree]
    chance = mannwhitneyu(apart, alike).statistic / (apart.size * alike.size)
    figures = {"spread_disagree": np.median(apart), "spread_agree": np.median(alike), "auc": chance}
    return {f"{name}{end}": round(float(value), 3) for name, value in figures.items()}


def _distance_from_boundary(labels: NDArray[np.int64]) -> Doubles:
    """Distance in voxels of every place from a neighbour of another label."""
    inner = np.ones(labels.shape, bool)
    for axis, n in enumerate(labels.shape):
        if n > 1:
            same = np.diff(labels, axis=axis) == 0
            ends = [(0, 0)] * 3
            for side in ((0, 1), (1, 0)):
                ends[axis] = side
                inner &= np.pad(same, ends, constant_values=True)
    return np.asarray(distance_transform_edt(inner))


def rows_of(images: str, data: Path, runs: int, subjects: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Rows of one kind of image: of subjects with a known map, of pairs of neighbours, and of noise."""
    for number, subject in enumerate(subjects):
        image, _ = LOADERS[images](data, subject)
        made = MADE[number % len(MADE)]
        yield {"images": images, "truth": "known map", **made_row(subject, image, made, runs=runs, seed=number)}
        if number < len(MADE):
            row = made_row(subject, faded(image), made, runs=runs, seed=number)
            yield {"images": images, "truth": "known map, one side faded", **row}
    for pair in zip(subjects[::2], subjects[1::2], strict=True):
        sides = [LOADERS[images](data, subject) for subject in pair]
        yield {"images": images, "truth": "labels", **label_row(pair, sides, runs)}
    for subject in subjects[:NOISES]:
        row = noise_row(subject, LOADERS[images](data, subject)[0], runs)
        yield {"images": images, "truth": "none: noise", **row}


def summary(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Means of the numbers of every kind of row, and their range."""
    kinds = dict.fromkeys((row["images"], row["truth"]) for row in rows)
    return [_means([row for row in rows if (row["images"], row["truth"]) == kind]) for kind in kinds]


def _means(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    numbers = [name for name, value in rows[0].items() if isinstance(value, int | float)]
    found: dict[str, Any] = {"images": rows[0]["images"], "truth": rows[0]["truth"], "rows": len(rows)}
    for name in numbers:
        values = [row[name] for row in rows]
        found[name] = {"mean": round(float(np.mean(values)), 3), "least": min(values), "most": max(values)}
    return found


def main() -> None:
    """Measure, print, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--images", choices=tuple(LOADERS), action="append", help="default: both")
    parser.add_argument("--subjects", default=",".join(SUBJECTS))
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for images in asked.images or tuple(LOADERS):
        for row in rows_of(images, asked.data, asked.runs, asked.subjects.split(",")):
            print(json.dumps(row), flush=True)
            rows.append(row)
    record = {"environment": environment(select(), None), "runs": asked.runs, "summary": summary(rows), "rows": rows}
    print(json.dumps(record["summary"], indent=1))
    if asked.json is not None:
        asked.json.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
