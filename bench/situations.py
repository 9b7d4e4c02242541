"""Situations that users of registration meet, one after another: how far off the map is, and what is said of it.

As in `judgement.py`, a brain is registered to a moved copy of itself, whose map is known; here every situation is one
that was reported of some tool, or is of a kind that was. A map that is wrong and called fine is what must not happen.
"""

from __future__ import annotations

import argparse
import sys
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import ndimage

import judgement
from spoils import Case, Spoil, Volume, both, cut, distance_from, header, moved_by, then, values
from warpline.images import Image
from warpline.recipe import PRESETS
from warpline.space.grid import Grid

RESULTS = Path(__file__).parent / "results" / "situations.json"
RECIPES = ("affine", "syn-fast")


def _thick(case: Case, rng: np.random.Generator) -> Case:
    """Slices three voxels thick in the moving image."""
    data, grid = case.moving.data, case.moving.grid
    n = grid.shape[2] // 3
    means = data[:, :, : 3 * n].reshape(*data.shape[:2], n, 3).mean(axis=3)
    affine = grid.affine.copy()
    affine[:3, 3] += affine[:3, 2]
    affine[:3, 2] *= 3
    return replace(case, moving=Image(means.astype(np.float32), Grid(means.shape, affine)))


def _two_heads(data: Volume, rng: np.random.Generator) -> Volume:
    half = ndimage.zoom(data, (1, 0.5, 0.5), order=1)
    out = np.zeros_like(data)
    rows, columns = half.shape[1:]
    out[:, :rows, :columns] = half
    out[:, rows : 2 * rows, :columns] = half
    return out


def _frame(data: Volume, rng: np.random.Generator) -> Volume:
    out = data.copy()
    out[:, 1, :] = out[:, -2, :] = out[1] = out[-2] = 2 * data.max()
    return out


def _scalp(data: Volume, rng: np.random.Generator) -> Volume:
    inside = ndimage.binary_fill_holes(data > 0)
    distance = ndimage.distance_transform_edt(~inside)
    return np.where((distance > 2) & (distance < 4), data.max() * 0.9, data)


def _third_gone(data: Volume, rng: np.random.Generator) -> Volume:
    out = data.copy()
    out[: data.shape[0] // 3] = 0
    return out


def _dropout(data: Volume, rng: np.random.Generator) -> Volume:
    """As echo planar imaging shows it: a part without signal, the rest stretched nearby."""
    far = distance_from(data, (0.4, 0.25, 0.5))
    return np.where(far < 7, 0.05 * data, data)


def _blobs(data: Volume, rng: np.random.Generator) -> Volume:
    """Something else, with structure at all sizes, in an ellipsoid."""
    shape = np.array(data.shape)
    places = (np.indices(data.shape) - (shape / 2)[:, None, None, None]) / (0.4 * shape)[:, None, None, None]
    noise = sum(s * ndimage.gaussian_filter(rng.normal(size=data.shape), s) for s in (1.0, 2.0, 4.0))
    return np.where((places**2).sum(axis=0) < 1, 100 + 40 * noise / noise.std(), 0)


def _stripes(data: Volume, rng: np.random.Generator) -> Volume:
    along = np.arange(data.shape[0])[:, None, None]
    return np.broadcast_to(100 + 50 * np.sin(along * 2 * np.pi / 6), data.shape) * (data > 0)


def _grey(data: Volume) -> Volume:
    """What a probability map of grey matter looks like."""
    relative = data / np.percentile(data[data > 0], 95)
    return np.exp(-(((relative - 0.62) / 0.12) ** 2)) * (data > 0)


def _swap(first: int, second: int) -> np.ndarray:
    """Two axes of the world taken for each other, one of them turned round, so that handedness stays."""
    matrix = np.eye(4)
    matrix[[first, second]] = matrix[[second, first]]
    matrix[first] *= -1
    return matrix


SITUATIONS: dict[str, Spoil] = {
    "smoothed by 19 mm FWHM, both": both(lambda d, _: ndimage.gaussian_filter(d, 8 / judgement.VOXEL)),
    "grey matter probability": both(lambda d, _: _grey(d)),
    "smooth probability": both(lambda d, _: ndimage.gaussian_filter(_grey(d), 4 / judgement.VOXEL)),
    "grey matter probability, negated": values(lambda d, _: 1 - _grey(d)),
    "mask": both(lambda d, _: d > 0),
    "mask of one side": values(lambda d, _: d > 0),
    "outline of the mask": both(lambda d, _: (d > 0) & ~ndimage.binary_erosion(d > 0)),
    "few grey levels": both(lambda d, _: np.ceil(3 * d / d.max())),
    "noise as strong as the signal, both": both(lambda d, rng: d + rng.normal(0, d[d > 0].mean(), d.shape)),
    "Rician noise": both(
        lambda d, rng: np.hypot(d + rng.normal(0, 0.2 * d.max(), d.shape), rng.normal(0, 0.2 * d.max(), d.shape))
    ),
    "slab of 20 %": cut(2, 0.4, 0.6),
    "slab of 20 % as fixed image": cut(2, 0.4, 0.6, "fixed"),
    "slab of 10 %": cut(0, 0.45, 0.55),
    "two slices": cut(2, 0.5, 0.54),
    "one slice in a volume": cut(2, 0.5, 0.5),
    "both halves, a tenth in common": then(cut(0, 0.0, 0.55, "fixed"), cut(0, 0.45, 1.0)),
    "different halves": then(cut(0, 0.0, 0.5, "fixed"), cut(0, 0.5, 1.0)),
    "voxels 1.3 times as long in one direction": header(np.diag([1.0, 1.0, 1.3, 1.0])),
    "voxels twice as large": header(np.diag([2.0, 2.0, 2.0, 1.0])),
    "infant: two thirds": header(np.diag([0.66, 0.66, 0.66, 1.0])),
    "axes taken for each other, 1": header(_swap(0, 1)),
    "axes taken for each other, 2": header(_swap(1, 2)),
    "both turned about": header(np.diag([-1.0, -1.0, 1.0, 1.0])),
    "origin 500 mm off": header(moved_by(300, -400, 0)),
    "two heads in one image": values(_two_heads, worthless=True),
    "bright frame burned in": values(_frame),
    "scalp in one image": values(_scalp),
    "a third gone": values(_third_gone),
    "signal lost": values(_dropout),
    "background of -1000": both(lambda d, _: np.where(d > 0, d, -1000)),
    "values times 1e30": values(lambda d, _: d * np.float32(1e30)),
    "values times 1e-30": values(lambda d, _: d * np.float32(1e-30)),
    "ramp over everything": values(lambda d, _: d + d.max() * np.linspace(0, 1, d.shape[0])[:, None, None]),
    "inverted with noise": values(
        lambda d, rng: np.where(d > 0, d.max() - d + rng.normal(0, 0.1 * d.max(), d.shape), 0)
    ),
    "thick slices": _thick,
    "something else": values(_blobs, worthless=True),
    "stripes": both(_stripes),
    "constant but for a spike": values(
        lambda d, _: np.where(distance_from(d, (0.3, 0.3, 0.3)) < 1, 1.0, 0.0), worthless=True
    ),
    "another slab under a wrong header": then(cut(2, 0.1, 0.3), header(moved_by(0, 60, 0))),
}
"""By name."""


def main(arguments: list[str] | None = None) -> int:
    """Try every situation, print and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared/data/oasis-trt-20")
    parser.add_argument("--work", type=Path, default=Path("work"), help="where cropped brains are kept")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--pairs", type=int, default=2)
    parser.add_argument("--only", default="", help="part of the names of those to try")
    options = parser.parse_args(arguments)
    rows: list[dict[str, object]] = []
    for number, (pair, case) in enumerate(judgement.pairs(options.data, options.work)):
        if number >= options.pairs:
            break
        for name, situation in SITUATIONS.items():
            if options.only not in name:
                continue
            rng = np.random.default_rng(zlib.crc32(f"{pair} {name}".encode()))
            made = situation(case, rng)
            for recipe in RECIPES:
                row = {"recipe": recipe, **judgement.judged(pair, name, replace(made, recipe=PRESETS[recipe]))}
                rows.append(row)
                judgement.tell(row, recipe)
    judgement.write(rows, options.out)
    sys.stdout.write(f"{judgement.summary(rows)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
