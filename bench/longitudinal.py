"""Change between two time points, judged on made atrophy whose amount is known.

The ventricles of a labelled brain grow by a smooth map, tissue around them shrinks; another run leaves all as it is.
Both time points are turned and shifted, interpolated once by splines of order 3, and get their own noise. Judged are
the growth of the ventricles, integrated over their label at the first time point, and how far the map of swapped images
is from the inverse.

    python bench/longitudinal.py ../shared/data/oasis-trt-20-slices
    python bench/longitudinal.py ../shared/data/oasis-trt-20 --every 2 --subjects 01 04 --tools warpline ANTs --once
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

import warpline

Doubles = NDArray[np.float64]

RESULTS = Path(__file__).parent / "results" / "longitudinal.json"
VENTRICLES = (4, 43)
"""Lateral ventricles in FreeSurfer's numbering."""
WHITE_MATTER = 2
REACH = 10
"""Voxels around drawn ventricles in which fluid belongs to them."""
EDGE = 2.0
"""Gaussian in voxels by which the growth spreads beyond the ventricles."""
STEPS = 16
"""Of the flow that makes the change."""
TURN, SHIFT = 2.0, 1.3
"""Degrees and voxels by which the time points lie apart from the brain, each the other way."""
NOISE = 0.02
"""Standard deviation of the noise as a share of the 99th percentile of the brain: 50 is the signal-to-noise ratio."""
MARGIN = 14
SMOOTHING = ("syn.metric=mean_squares", "syn.update_sigma=3", "syn.total_sigma=0.43", "syn.step=0.05")
"""As ``warpline longitudinal`` has it, for the same registration one way only."""


@dataclass(frozen=True, eq=False)
class Made:
    """Two time points, labels of the first one, and by how many per cent the ventricles grew there."""

    first: NDArray[np.float32]
    second: NDArray[np.float32]
    ventricles: NDArray[np.bool_]
    truth: float


def load(folder: Path, subject: str, every: int = 1) -> tuple[Doubles, NDArray[np.int64]]:
    """Image and labels of a subject, every n-th voxel along each axis, cropped to the brain, with a margin.

    Brain without a label gets that of white matter, and ventricles are where fluid shows, see `_visible`.
    """
    places = (folder / f"sub-{subject}", folder / f"sub-{subject}_")
    inside = places[0].is_dir()
    names = ("t1_brain.nii.gz", "labels.nii.gz") if inside else ("t1.nii.gz", "labels.nii.gz")
    paths = [places[0] / name if inside else Path(f"{places[1]}{name}") for name in names]
    image, labels = (np.squeeze(np.asanyarray(nibabel.load(path).dataobj)) for path in paths)
    values = np.asarray(image, float)
    labels = _visible(values, np.where((labels == 0) & (values > 0), WHITE_MATTER, np.rint(labels)).astype(np.int64))
    box = tuple(slice(int(span.min()), int(span.max()) + 1) for span in np.nonzero(labels))
    if every > 1:
        values = ndimage.gaussian_filter(values, every / 2)
    steps = (slice(None, None, every),) * values.ndim
    padded = [np.pad(one[box][steps], MARGIN) for one in (values, labels)]
    return padded[0], padded[1]


def _visible(image: Doubles, labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Labels whose ventricles end where the image says so, half-way from fluid to white matter.

    Those that were drawn leave out half of the fluid of some slices; within it nothing shows which half has grown.
    """
    drawn = np.isin(labels, VENTRICLES)
    fluid, white = np.percentile(image[drawn], 10), np.median(image[labels == WHITE_MATTER])
    near = (labels > 0) & ndimage.binary_dilation(drawn, iterations=REACH)
    parts, _ = ndimage.label(near & (image < (fluid + white) / 2))
    ventricles = (parts > 0) & np.isin(parts, parts[drawn & (parts > 0)])
    return np.where(ventricles, VENTRICLES[0], np.where(drawn, WHITE_MATTER, labels))


def _velocity(labels: NDArray[np.int64]) -> Doubles:
    """A field (D, ...) in voxels with a divergence of 1 in the ventricles, and evenly below 0 around them."""
    density = ndimage.gaussian_filter(np.isin(labels, VENTRICLES).astype(float), EDGE)
    around = ndimage.gaussian_filter((labels > 0).astype(float), EDGE)
    density -= around * density.sum() / around.sum()
    waves = np.meshgrid(*(2 * np.pi * np.fft.fftfreq(n) for n in labels.shape), indexing="ij", sparse=True)
    squares = sum(wave**2 for wave in waves)
    squares[(0,) * labels.ndim] = 1
    spectrum = np.fft.fftn(density) / squares
    return np.stack([np.fft.ifftn(-1j * wave * spectrum).real for wave in waves])


def _flow(velocity: Doubles, scale: float, points: Doubles) -> Doubles:
    """Where points (D, ...) are after flowing along a velocity, by midpoint steps."""
    for _ in range(STEPS):
        halfway = points + scale / STEPS / 2 * _at(velocity, points)
        points = points + scale / STEPS * _at(velocity, halfway)
    return points


def _at(velocity: Doubles, points: Doubles) -> Doubles:
    return np.stack([ndimage.map_coordinates(part, points, order=1, mode="nearest") for part in velocity])


def _determinant(points: Doubles) -> Doubles:
    slopes = np.stack([np.stack(np.gradient(part)) for part in points])
    return np.linalg.det(np.moveaxis(slopes, (0, 1), (-2, -1)))


def _turned(shape: Sequence[int], sign: int) -> Doubles:
    """Points (D, ...) of the brain that the voxels of a time point show."""
    angle, points = np.radians(TURN) * sign, np.indices(shape).astype(float)
    centre = (np.array(shape) - 1) / 2
    turn = np.eye(len(shape))
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    back = np.tensordot(turn, points - centre.reshape(-1, *(1,) * len(shape)), 1)
    return back + (centre + sign * SHIFT * np.linspace(1, 0.5, len(shape))).reshape(-1, *(1,) * len(shape))


def made_points(image: Doubles, labels: NDArray[np.int64], growth: float, seed: int) -> Made:
    """Two time points between which the ventricles grow by a share."""
    velocity, ventricles = _velocity(labels), np.isin(labels, VENTRICLES)
    lattice, scale, determinant = np.indices(labels.shape).astype(float), 0.0, np.ones(labels.shape)
    if growth:
        scale = growth
        for _ in range(3):
            determinant = _determinant(_flow(velocity, scale, lattice))
            scale *= growth / (determinant[ventricles].mean() - 1)
        determinant = _determinant(_flow(velocity, scale, lattice))
    sooner, later = _turned(labels.shape, 1), _turned(labels.shape, -1)
    shown = [ndimage.map_coordinates(image, points, order=3) for points in (sooner, _flow(velocity, -scale, later))]
    random, noise = np.random.default_rng(seed), NOISE * np.percentile(image[labels > 0], 99)
    first, second = ((one + random.normal(0, noise, one.shape)).astype(np.float32) for one in shown)
    there = np.isin(ndimage.map_coordinates(labels, sooner, order=0), VENTRICLES)
    truth = ndimage.map_coordinates(determinant, sooner, order=1)[there].mean() - 1
    return Made(first, second, there, 100 * float(truth))


# -- tools: two time points to the growth of the ventricles in per cent, and the map of points to the second one -------


Found = tuple[float, Callable[[Doubles], Doubles]]


def by_warpline(made: Made) -> Found:
    """``warpline longitudinal``."""
    found = warpline.register_longitudinal([made.first, made.second])
    return found.label_growth(made.ventricles.astype(np.uint8), 0, 1)[1], found.transform(0, 1).map_points


def one_way(made: Made) -> Found:
    """``warpline register`` with the same velocity model and smoothing, the second onto the first."""
    recipe = warpline.Recipe.load("syn").with_options('linear.stages=["rigid"]', "syn.model=velocity", *SMOOTHING)
    found = warpline.register(made.first, made.second, recipe)
    determinant = warpline.jacobian(found.transform, made.first).data.reshape(made.first.shape)
    return 100 * float(determinant[made.ventricles].mean() - 1), found.transform.map_points


def by_ants(made: Made) -> Found:
    """ANTs' script for a rigid map and SyN, the second onto the first."""
    import ants
    import pandas

    count = made.first.ndim
    fixed, moving = ants.from_numpy(made.first), ants.from_numpy(made.second)
    found = ants.registration(fixed, moving, "antsRegistrationSyN[sr]")
    warp = next(name for name in found["fwdtransforms"] if name.endswith("Warp.nii.gz"))
    determinant = ants.create_jacobian_determinant_image(fixed, warp).numpy()

    def mapped(points: Doubles) -> Doubles:
        table = pandas.DataFrame(points[:, :count], columns=list("xyz")[:count])
        moved = ants.apply_transforms_to_points(count, table, found["fwdtransforms"])
        return np.pad(moved[list("xyz")[:count]].to_numpy(float), ((0, 0), (0, 3 - count)))

    return 100 * float(determinant[made.ventricles].mean() - 1), mapped


TOOLS: dict[str, tuple[str, Callable[[Made], Found]]] = {
    "warpline": ("warpline", by_warpline),
    "one way": ("warpline", one_way),
    "ANTs": ("antspyx", by_ants),
}
"""Name to package and function."""


def judge(tool: str, made: Made, *, swap: bool = True) -> dict[str, float | None]:
    """Growth found and true in per cent, seconds, and how far the map of swapped images is from the inverse in mm."""
    run = TOOLS[tool][1]
    started = time.perf_counter()
    grown, there = run(made)
    seconds = time.perf_counter() - started
    found = {"truth": round(made.truth, 4), "found": round(grown, 4), "error": round(grown - made.truth, 4)}
    if not swap:
        return {**found, "swapped_mm_mean": None, "swapped_mm_max": None, "seconds": round(seconds, 1)}
    _, back = run(replace(made, first=made.second, second=made.first))
    near = np.argwhere(ndimage.binary_dilation(made.ventricles, iterations=6))[::7].astype(float)
    points = np.pad(near, ((0, 0), (0, 3 - near.shape[1])))
    missed = np.linalg.norm(back(there(points)) - points, axis=1)
    return {
        **found, "swapped_mm_mean": float(missed.mean()), "swapped_mm_max": float(missed.max()),
        "seconds": round(seconds, 1),
    }  # fmt: skip


def summed_up(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean error, its spread and its standard error, of every tool and growth."""
    groups: dict[tuple[str, int, str, float], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["data"], row["every"], row["tool"], row["growth"]), []).append(row)
    return [
        {
            "data": data, "every": every, "tool": tool, "growth": growth, "runs": len(group),
            "mean_error": round(fmean(row["error"] for row in group), 3),
            "spread": round(pstdev(row["error"] for row in group), 3),
            "swapped_mm_mean": _over(fmean, [row["swapped_mm_mean"] for row in group]),
            "swapped_mm_max": _over(max, [row["swapped_mm_max"] for row in group]),
            "seconds": round(fmean(row["seconds"] for row in group), 1),
        }
        for (data, every, tool, growth), group in groups.items()
    ]  # fmt: skip


def _over(summary: Callable[[list[float]], float], values: Sequence[float | None]) -> float | None:
    """Mean or maximum of what is known; None where nothing is."""
    known = [value for value in values if value is not None]
    return summary(known) if known else None


def main() -> None:
    """Judge every tool on every subject, with and without growth; each result is added to those that a file has."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--subjects", nargs="+", default=[f"{number:02d}" for number in range(1, 11)])
    parser.add_argument("--every", type=int, default=1, help="voxels along each axis of which one is kept")
    parser.add_argument("--growth", nargs="+", type=float, default=[0.0, 0.05], help="as shares")
    parser.add_argument("--tools", nargs="+", choices=TOOLS, default=list(TOOLS))
    parser.add_argument("--once", action="store_true", help="leave out swapped images")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    known = json.loads(options.out.read_text())["rows"] if options.out.exists() else []
    versions = {name: version(name) for name, _ in TOOLS.values()}
    for subject in options.subjects:
        image, labels = load(options.data, subject, options.every)
        for growth in options.growth:
            made = made_points(image, labels, growth, seed=int(subject))
            for tool in options.tools:
                run = {"data": options.data.name, "every": options.every, "subject": subject}
                run |= {"growth": growth, "tool": tool}
                row = {**run, **judge(tool, made, swap=not options.once)}
                print(json.dumps(row), flush=True)
                known = [*(one for one in known if not run.items() <= one.items()), row]
                found = {"versions": versions, "summary": summed_up(known), "rows": known}
                options.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
