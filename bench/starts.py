"""Partial views, far turns, other sizes: how often the affine is found, and what is said where it is not.

Brains are registered to other brains; the affine of the pair as it is counts as true. Then one of the two is cut to a
part, turned in its scanner, moved far off, sampled otherwise, made smaller as that of another species, or put beside
an object that pulls at its centre of mass. As in `judgement.py`, a map is right within 4 mm, averaged over what both
images show.
"""

from __future__ import annotations

import argparse
import sys
import time
import zlib
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
from scipy import ndimage

import contrasts
import judgement
from spoils import Case, Spoil, X, Y, about, cut, header, moved_by, then, turned, values
from warpline import read_image
from warpline.backends import select
from warpline.images import Image
from warpline.recipe import Recipe
from warpline.registration.alignment import align
from warpline.resampling import resample, warp
from warpline.space import Affine
from warpline.space.grid import apply_affine

RESULTS = Path(__file__).parent / "results" / "starts.json"


def _oblique(axis: tuple[float, float, float], degrees: float) -> Spoil:
    """The moving head resampled on a grid that is turned against it, which a cut then follows."""

    def make(case: Case, rng: np.random.Generator) -> Case:
        matrix = about(case.moving.grid.centre, axis, degrees)
        seen = warp(case.moving, Affine(np.linalg.inv(matrix)), case.moving.grid, backend=select(None))
        return replace(case, moving=seen, truth=matrix @ case.truth)

    return make


def _sampled(mm: float, which: str = "moving") -> Spoil:
    """One image with other voxels."""

    def make(case: Case, rng: np.random.Generator) -> Case:
        image: Image = getattr(case, which)
        blurred = ndimage.gaussian_filter(image.data, np.maximum(0.4 * mm / image.grid.voxel_size - 0.4, 0))
        return replace(case, **{which: resample(Image(blurred, image.grid), voxel_size=mm)})

    return make


def _padded(share: float) -> Spoil:
    """A field of view that is larger on one side of every axis: the middle of the grid is far from the brain."""

    def make(case: Case, rng: np.random.Generator) -> Case:
        n = [int(share * n) for n in case.moving.grid.shape]
        data = np.pad(case.moving.data, [(k, 0) for k in n])
        whole = case.moving.grid.cropped((-n[0], -n[1], -n[2]), case.moving.grid.shape)
        return replace(case, moving=Image(data, whole))

    return make


def _bar(brightness: float) -> Spoil:
    """A bar beside the brain, such as a holder or a phantom, of so many times its largest value."""

    def make(case: Case, rng: np.random.Generator) -> Case:
        image, n = case.moving, case.moving.grid.shape
        data = np.pad(image.data, [(0, n[0] // 2), (0, 0), (0, 0)])
        data[int(1.25 * n[0]) : int(1.4 * n[0])] = brightness * data.max()
        return replace(case, moving=Image(data, image.grid.cropped((0, 0, 0), data.shape)))

    return make


def _scaled(factor: float) -> Spoil:
    """The same shape at another size, about the middle of the grid."""
    return header(np.diag([factor, factor, factor, 1.0]))


HALF_TURN = turned(Y, 180)
TURNED = {"as it lies": turned(X, 0), "turned 100°": turned((3, 1, 2), 100), "upside down": HALF_TURN}
PARTS: dict[str, Spoil] = {
    "slab of 30 %, first axis": cut(0, 0.65, 0.95),
    "slab of 15 %, first axis": cut(0, 0.65, 0.8),
    "slab of 40 %, second axis": cut(1, 0.05, 0.45),
    "slab of 20 %, second axis": cut(1, 0.75, 0.95),
    "one hemisphere": cut(2, 0.0, 0.5),
    "lower half, off centre": then(cut(0, 0.0, 0.5), _padded(0.4)),
    "quarter": then(cut(0, 0.0, 0.5), cut(1, 0.5, 1.0)),
    "eighth": then(cut(0, 0.5, 1.0), cut(1, 0.0, 0.5), cut(2, 0.0, 0.5)),
    "block of 40 % a side": then(cut(0, 0.45, 0.85), cut(1, 0.1, 0.5), cut(2, 0.3, 0.7)),
    "oblique slab of 35 %": then(_oblique((1, 2, 1), 50), cut(1, 0.35, 0.7)),
    "slab of 40 % as fixed image": cut(1, 0.5, 0.9, "fixed"),
    "quarter as fixed image": then(cut(0, 0.0, 0.5, "fixed"), cut(1, 0.5, 1.0, "fixed")),
    "two slabs of 60 %, crossed": then(cut(0, 0.3, 0.9, "fixed"), cut(1, 0.0, 0.6)),
}
OTHERS: dict[str, Spoil] = {
    "turned 150°, 400 mm off": then(turned((1, -1, 2), 150), header(moved_by(300, -250, 100))),
    "1 mm and 4 mm, turned 100°": then(_sampled(1.0, "fixed"), _sampled(4.0), turned((3, 1, 2), 100)),
    "bright bar beside the brain": _bar(0.8),
    "bright bar, turned 100°": then(_bar(0.8), turned((3, 1, 2), 100)),
    "very bright bar, upside down": then(_bar(4.0), HALF_TURN),
    "half the size": _scaled(0.5),
    "half the size, turned 100°": then(_scaled(0.5), turned((3, 1, 2), 100)),
    "a tenth of the size, turned 40°": then(_scaled(0.1), turned((1, 2, 3), 40)),
    "slab of 50 % at half the size, upside down": then(cut(0, 0.4, 0.9), _scaled(0.5), HALF_TURN),
    "inverted, slab of 40 %, turned 100°": then(
        values(lambda d, _: np.where(d > 0, d.max() - d, 0)), cut(1, 0.05, 0.45), turned((3, 1, 2), 100)
    ),
    "folded contrast, hemisphere, turned 150°": then(
        values(lambda d, _: np.abs(d - 0.6 * d.max()) * (d > 0)), cut(2, 0.0, 0.5), turned((1, -1, 2), 150)
    ),
}
STARTS: dict[str, Spoil] = {
    f"{part}, {turn}": then(cut_to, turn_by) for part, cut_to in PARTS.items() for turn, turn_by in TURNED.items()
} | OTHERS
"""By name."""


def distance(case: Case, affine: Affine) -> float:
    """Mean distance in mm, of the fixed image, from the true map over what both images show."""
    places = apply_affine(case.fixed.grid.affine, np.argwhere(case.fixed.data > 0)[::20])
    there = apply_affine(case.truth, places)
    voxels = apply_affine(case.moving.grid.inverse_affine, there)
    shown = ((voxels > -0.5) & (voxels < np.subtract(case.moving.grid.shape, 0.5))).all(axis=1)
    scale = abs(np.linalg.det(case.truth[:3, :3])) ** (1 / 3)
    return float(np.linalg.norm(affine.map_points(places[shown]) - there[shown], axis=1).mean() / scale)


def heads(folder: Path) -> Iterator[tuple[str, Case]]:
    """Heads in unlike contrasts at 3 mm; the affine of the pair as it is counts as true."""
    for names in contrasts.PAIRS:
        fixed, moving = (_coarse(read_image(folder / contrasts.HEADS[name])) for name in names)
        found = align(fixed, moving, Recipe.load("affine"), backend=select(None))
        yield ",".join(names), Case(fixed, moving, found.affine.matrix, Recipe.load("affine"))


def _coarse(image: Image) -> Image:
    return resample(Image(image.data.astype(np.float32), image.grid), voxel_size=judgement.VOXEL)


def main(arguments: list[str] | None = None) -> int:
    """Try every situation, print and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared/data/oasis-trt-20")
    parser.add_argument("--work", type=Path, default=Path("work"), help="where cropped brains are kept")
    parser.add_argument("--heads", type=Path, help="instead of brains, the heads of this folder, in unlike contrasts")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--pairs", type=int, default=2)
    parser.add_argument("--only", default="", help="part of the names of those to try")
    parser.add_argument("--set", action="append", default=[], help="KEY=VALUE on top of recipe affine")
    options = parser.parse_args(arguments)
    rows: list[dict[str, object]] = []
    recipe = Recipe.load("affine").with_options(*options.set)
    of = heads(options.heads) if options.heads else judgement.held_out(options.data, options.work)
    for pair, case in islice(of, options.pairs):
        for name in (name for name in STARTS if options.only in name):
            made = STARTS[name](replace(case, recipe=recipe), np.random.default_rng(zlib.crc32(name.encode())))
            started = time.perf_counter()
            rows.append({**judgement.judged(pair, name, made, distance), "seconds": time.perf_counter() - started})
            judgement.tell(rows[-1])
        judgement.write(rows, options.out)
    sys.stdout.write(f"{judgement.summary(rows)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
