"""How often the judgement of a registration is wrong: brains with a known map, spoiled in many ways.

A case is right where the affine that was found is within `RIGHT` mm of the true one, averaged over the brain, and
wrong where it is farther off than `WRONG` mm or where there is no true one; what lies between is not counted. A right
case that is not judged as fine is a false alarm; a wrong one that is judged as fine is a missed failure.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

import brains
from spoils import Case, Spoil, Volume, X, Y, Z, about, both, cut, distance_from, turned, values
from warpline import read_image
from warpline.backends import select
from warpline.errors import InputError
from warpline.images import Image
from warpline.recipe import PRESETS
from warpline.registration.alignment import align
from warpline.registration.judgement import judge
from warpline.resampling import resample, warp
from warpline.space import Affine
from warpline.space.grid import Grid, apply_affine

RIGHT, WRONG = 4.0, 8.0
"""Mean distances from the true map, in mm."""
VOXEL = 3.0
"""Voxel size in mm at which the brains are registered."""
RESULTS = Path(__file__).parent / "results" / "judgement.json"
HELD_OUT = ("02,03", "04,05", "06,07", "08,09", "10,01")

# -- ways to spoil a pair ---------------------------------------------------------------------------------------------


def _started(axis: tuple[float, float, float], degrees: float, shift: float, **recipe: object) -> Spoil:
    """A start that is given, and as far from the truth."""

    def spoil(case: Case, rng: np.random.Generator) -> Case:
        moved = about(case.moving.grid.centre, axis, degrees)
        moved[:3, 3] += shift
        linear = case.recipe.linear.model_copy(update=recipe) if case.recipe.linear else None
        changed = case.recipe.model_copy(update={"linear": linear})
        return replace(case, initial=Affine(moved @ case.truth), recipe=changed)

    return spoil


def _header_scaled(factor: float) -> Spoil:
    """Voxel sizes that are wrong by a factor."""

    def spoil(case: Case, rng: np.random.Generator) -> Case:
        scale = np.diag([factor, factor, factor, 1.0])
        grid = case.moving.grid
        return replace(case, moving=Image(case.moving.data, Grid(grid.shape, scale @ grid.affine)), truth=None)

    return spoil


def _noise(share: float) -> Callable[[Volume, np.random.Generator], Volume]:
    return lambda data, rng: np.where(data > 0, data + rng.normal(0, share * data.max(), data.shape), 0)


def _air(share: float) -> Callable[[Volume, np.random.Generator], Volume]:
    return lambda data, rng: np.abs(data + rng.normal(0, share * data.max(), data.shape))


def _bias(strength: float) -> Callable[[Volume, np.random.Generator], Volume]:
    def change(data: Volume, rng: np.random.Generator) -> Volume:
        ramp = np.linspace(-1, 1, data.shape[1])[None, :, None] + np.linspace(-1, 1, data.shape[0])[:, None, None]
        return np.asarray(data * np.exp(strength * ramp))

    return change


def _shape_of_noise(sigma: float) -> Callable[[Volume, np.random.Generator], Volume]:
    def change(data: Volume, rng: np.random.Generator) -> Volume:
        noise = ndimage.gaussian_filter(rng.normal(size=data.shape), sigma)
        return np.where(data > 0, 100 + 30 * noise / noise.std(), 0)

    return change


def _ball(data: Volume, rng: np.random.Generator) -> Volume:
    distance = distance_from(data, (0.5, 0.5, 0.5))
    return np.where(distance < 0.35 * min(data.shape), 100 + rng.normal(0, 3, data.shape), 0)


def _blocks(data: Volume, rng: np.random.Generator) -> Volume:
    """The brain cut into eight blocks that change places."""
    return np.roll(data, np.array(data.shape) // 2, axis=(0, 1, 2))


def _lesion(value: float) -> Callable[[Volume, np.random.Generator], Volume]:
    def change(data: Volume, rng: np.random.Generator) -> Volume:
        return np.where(distance_from(data, (0.35, 0.6, 0.6)) < 8, value * data.max(), data)

    return change


def _hot(data: Volume, rng: np.random.Generator) -> Volume:
    data = data.copy()
    data[tuple(np.array(data.shape) // 3)] = 1e5 * data.max()
    return data


SPOILS: dict[str, Spoil] = {
    "as it is": values(lambda data, _: data),
    "noise 10 %": values(_noise(0.1)),
    "noise 30 % in both": both(_noise(0.3)),
    "noise in air 5 %": both(_air(0.05)),
    "bias field": values(_bias(0.3)),
    "strong bias field": values(_bias(0.8)),
    "inverted": values(lambda data, _: np.where(data > 0, data.max() - data, 0)),
    "squared": values(lambda data, _: data**2),
    "folded contrast": values(lambda data, _: np.abs(data - 0.6 * data.max()) * (data > 0)),
    "four grey levels": values(lambda data, _: np.ceil(4 * data / data.max())),
    "negated": values(lambda data, _: -data),
    "blurred 6 mm": values(lambda data, _: ndimage.gaussian_filter(data, 2)),
    "blurred 12 mm, both": both(lambda data, _: ndimage.gaussian_filter(data, 4)),
    "edges only": both(lambda data, _: ndimage.gaussian_gradient_magnitude(data, 1.0)),
    "masks": both(lambda data, _: (data > 0).astype(np.float32)),
    "bright lesion": values(_lesion(1.5)),
    "hole": values(_lesion(0.0)),
    "hot voxel": values(_hot),
    "turned 20°": turned((1, 2, 3), 20),
    "turned 70°": turned((3, 1, 2), 70),
    "turned 120°": turned((1, 1, 2), 120),
    "upside down": turned(Y, 180),
    "back to front": turned(Z, 180),
    "far away": turned(X, 5, 80),
    "first half, third axis": cut(2, 0.0, 0.55),
    "second half, third axis": cut(2, 0.45, 1.0),
    "first half, first axis": cut(0, 0.0, 0.55),
    "thin slab, third axis": cut(2, 0.4, 0.6),
    "noise, shape of the brain": values(_shape_of_noise(0.7), worthless=True),
    "smooth noise, shape of the brain": values(_shape_of_noise(2.0), worthless=True),
    "noise alone": values(lambda data, rng: rng.normal(100, 10, data.shape), worthless=True),
    "ball": values(_ball, worthless=True),
    "blocks change places": values(_blocks, worthless=True),
    "voxels 10 times as large": _header_scaled(10.0),
    "start turned 180° about x": _started(X, 180, 0),
    "start turned 180° about z": _started(Z, 180, 0),
    "start turned 90°": _started(Y, 90, 0),
    "start 60 mm off": _started(X, 20, 60),
    "start 15 mm off, no iterations": _started(Z, 8, 12, iterations=(0, 0, 0), refinements=0),
    "start 40° off, few iterations": _started((1, 2, 1), 40, 10, iterations=(3, 2, 1), refinements=0),
}
"""What is done to a pair, by name."""


# -- running ----------------------------------------------------------------------------------------------------------


def pairs(data: Path, work: Path) -> Iterator[tuple[str, Case]]:
    """Brains on themselves, moved by a known affine, and brains on others."""
    for names in brains.DEVELOPMENT_PAIRS:
        fixed = _brain(data, names[:2], work)
        truth = _small_affine(fixed.grid.centre)
        moved = warp(fixed, Affine(np.linalg.inv(truth)), fixed.grid, backend=select(None))
        yield f"{names[:2]} moved", Case(fixed, moved, truth, PRESETS["affine"])
        yield names, _two_brains(data, names, work)


def held_out(data: Path, work: Path) -> Iterator[tuple[str, Case]]:
    """Pairs of brains on which no limit was set."""
    return ((names, _two_brains(data, names, work)) for names in HELD_OUT)


def _two_brains(data: Path, names: str, work: Path) -> Case:
    """A brain on another; the affine of the pair as it is counts as true."""
    fixed, moving = (_brain(data, name, work) for name in names.split(","))
    found = align(fixed, moving, PRESETS["affine"], backend=select(None))
    return Case(fixed, moving, found.affine.matrix, PRESETS["affine"])


def _brain(data: Path, name: str, work: Path) -> Image:
    whole = read_image(brains.prepare(data, name, work, 10).image)
    blurred = ndimage.gaussian_filter(whole.data.astype(np.float32), 0.4 * VOXEL / whole.grid.voxel_size)
    coarse = resample(Image(blurred, whole.grid), voxel_size=VOXEL)
    return Image(np.where(coarse.data > 0.02 * coarse.data.max(), coarse.data, 0), coarse.grid)


def _small_affine(middle: NDArray[np.float64]) -> NDArray[np.float64]:
    matrix = about(middle, (1, 1, 0), 6)
    matrix[:3, :3] *= np.array([1.04, 0.97, 1.02])
    matrix[:3, 3] = middle - matrix[:3, :3] @ middle + (4, -3, 2)
    return matrix


def distance(case: Case, affine: Affine) -> float | None:
    """Mean distance in mm over the fixed brain between the map found and the true one."""
    if case.truth is None:
        return None
    places = apply_affine(case.fixed.grid.affine, np.argwhere(case.fixed.data > 0)[::20])
    return float(np.linalg.norm(affine.map_points(places) - apply_affine(case.truth, places), axis=1).mean())


def look(pair: str, case: Case, name: str) -> dict[str, object]:
    """One spoiled case: how far off the result is, and what is said of it."""
    rng = np.random.default_rng(zlib.crc32(f"{pair} {name}".encode()))
    return judged(pair, name, SPOILS[name](case, rng))


def judged(
    pair: str, name: str, case: Case, distance: Callable[[Case, Affine], float | None] = distance
) -> dict[str, object]:
    """How far off the result of a registration is, and what is said of it."""
    try:
        found = align(case.fixed, case.moving, case.recipe, backend=select(None), initial=case.initial)
    except InputError as refusal:
        facts = {"outcome": "refused", "warnings": [str(refusal)], "signs": {}}
        return {"pair": pair, "spoil": name, "off": None, "wrong": None if case.truth is not None else True, **facts}
    off = distance(case, found.affine)
    wrong = True if off is None or off > WRONG else False if off <= RIGHT else None
    signs = {sign: value and float(f"{value:.4g}") for sign, value in found.judgement.signs.items()}
    facts = {"outcome": found.judgement.outcome, "warnings": found.warnings, "signs": signs}
    return {"pair": pair, "spoil": name, "off": off and float(f"{off:.4g}"), "wrong": wrong, **facts}


def tell(row: dict[str, object], recipe: str = "affine") -> None:
    """Print a case as it comes."""
    truth = "between" if row["wrong"] is None else "wrong" if row["wrong"] else "right"
    sys.stdout.write(f"{row['pair']:10} {row['spoil']:42} {recipe:9} {truth:8} {row['outcome']:9} {row['off']}\n")
    sys.stdout.flush()


def summary(rows: list[dict[str, object]]) -> dict[str, float]:
    """How many cases are right, wrong and neither, and the shares that were judged wrongly."""
    right = [row for row in rows if row["wrong"] is False]
    wrong = [row for row in rows if row["wrong"] is True]
    alarms = sum(row["outcome"] != "fine" for row in right)
    missed = sum(row["outcome"] == "fine" for row in wrong)
    return {
        "right": len(right),
        "wrong": len(wrong),
        "between": len(rows) - len(right) - len(wrong),
        "false_alarms": alarms / max(len(right), 1),
        "missed_failures": missed / max(len(wrong), 1),
    }


def main(arguments: list[str] | None = None) -> int:
    """Try every spoil on every pair, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared/data/oasis-trt-20")
    parser.add_argument("--work", type=Path, default=Path("work"), help="where cropped brains are kept")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--pairs", type=int, help="only the first so many")
    parser.add_argument("--held-out", action="store_true", help="five other pairs, on which no limit was set")
    parser.add_argument("--again", type=Path, help="judge what an earlier run measured by the limits of today")
    options = parser.parse_args(arguments)
    rows = _judged_again(options.again) if options.again else []
    if rows:
        write(rows, options.out)
    of = iter(()) if rows else (held_out if options.held_out else pairs)(options.data, options.work)
    for pair, case in islice(of, options.pairs):
        for name in SPOILS:
            rows.append(row := look(pair, case, name))
            tell(row)
        write(rows, options.out)
    sys.stdout.write(f"{summary(rows)}\n")
    return 0


def _judged_again(file: Path) -> list[dict[str, object]]:
    rows = read(file)
    return [{**row, "outcome": judge(row["signs"]).outcome} if row["signs"] else row for row in rows]


def write(rows: list[dict[str, object]], out: Path) -> None:
    """Write the names of columns once, the signs last, then a line of values for every case."""
    columns = [name for name in rows[0] if name != "signs"]
    signs = list(dict.fromkeys(sign for row in rows for sign in row["signs"]))
    lines = [[*(row[name] for name in columns), *(row["signs"].get(sign) for sign in signs)] for row in rows]
    head = {"python": platform.python_version(), "summary": summary(rows), "columns": columns, "signs": signs}
    body = ",\n".join(json.dumps(line, default=float) for line in lines)
    out.write_text(f'{json.dumps(head)[:-1]}, "rows": [\n{body}\n]}}\n')


def read(file: Path) -> list[dict[str, object]]:
    """The cases that `write` wrote; signs that were not measured are left out."""
    held = json.loads(file.read_text())
    count = len(held["columns"])
    signs = [zip(held["signs"], row[count:], strict=True) for row in held["rows"]]
    return [
        {**dict(zip(held["columns"], row[:count], strict=True)), "signs": {k: v for k, v in found if v is not None}}
        for row, found in zip(held["rows"], signs, strict=True)
    ]


if __name__ == "__main__":
    sys.exit(main())
