"""Unlike contrasts: brains of which one is made to look otherwise, and real heads in T1, T2 and EPI; ANTs beside it.

Made contrasts are judged by labels, real ones by tissues that are found in each image alone, by edges, and by mutual
information; every map by folds and bending. ANTs' ``SyN`` runs as ANTsPy has it by default, by mutual information.
The oracle of a made contrast is shown both images in it: what the contrast itself can give.
Distorted brains are T2-like copies moved along one axis by a known field, as echo-planar images are, with the grey
values that stretching leaves; they are judged by the field and by labels. Rows are written as they come; a row that is
made again replaces that of the file.

    python bench/contrasts.py made --pairs 01,02 --settings "" syn.metric=mutual_information
    python bench/contrasts.py made --oracle --ants
    python bench/contrasts.py real --ants
    python bench/contrasts.py distorted --ants --settings "" syn.directions=j
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import (
    binary_dilation,
    binary_erosion,
    gaussian_filter,
    gaussian_gradient_magnitude,
    map_coordinates,
)

import cases
import measure
from contrast_tools import Maps, Row, Tool, by_ants, by_ants_along_j, by_warpline, deformation_scores
from warpline import Image, read_image, register
from warpline.backends import Backend, select
from warpline.evaluation import overlap
from warpline.resampling import resample, warp
from warpline.space import Chain

Values = NDArray[np.float32]

SEED = 5
RESULTS = Path(__file__).parent / "results" / "contrasts.json"
KEY = ("pair", "contrast", "brain", "tool")
"""What tells a row from others."""
HEADS = {
    "T1": "T1_head_1.6mm.nii.gz",
    "T2": "T2w_1x1x2mm.nii.gz",
    "EPI": "fmri_2.4mm.nii.gz",
    "MNI": "MNI152_T1_2mm.nii.gz",
}
DARKEST_FIRST = {"T1": (1, 2, 3), "MNI": (1, 2, 3), "T2": (3, 2, 1), "EPI": (3, 2, 1)}
"""Tissues in the order of their grey values: cerebrospinal fluid 1, grey matter 2, white matter 3."""
TISSUES = ("CSF", "grey", "white")
PAIRS = (("T1", "T2"), ("T1", "EPI"), ("MNI", "T1"), ("MNI", "T2"), ("MNI", "EPI"), ("EPI", "T1"), ("T2", "T1"))
"""Fixed, moving."""
LARGEST = 6.0
"""Of the made distortions, in mm."""
ROUNDS = 30
"""In which a distortion is inverted."""
BINS = 48
EDGE_SIGMA = 1.0


def _shading(shape: tuple[int, ...]) -> Values:
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    return np.exp(0.4 * x - 0.3 * y + 0.3 * z * x).astype(np.float32)


CONTRASTS: dict[str, Callable[[Values], Values]] = {
    "same": lambda x: x,
    "inverted": lambda x: np.clip(1.1 - x, 0, None),
    "squared": lambda x: x**2,
    "quantised": lambda x: np.ceil(5 * x) / 5,
    "noised": lambda x: x + np.random.default_rng([SEED, x.size]).normal(0, 0.08, x.shape).astype(np.float32),
    "shaded": lambda x: x * _shading(x.shape),
    "T2-like": lambda x: np.exp(-(((x - 0.35) / 0.25) ** 2)) + 0.3 * x,
}
"""From grey values, 1 at the 99.5th percentile, to those of another contrast; the background stays 0."""


def recoloured(image: Image, contrast: str) -> Image:
    """The image in another contrast."""
    inside = image.data > 0
    bright = np.percentile(image.data[inside], 99.5)
    values = CONTRASTS[contrast]((image.data / bright).astype(np.float32))
    return replace(image, data=(np.where(inside, values, 0) * bright).astype(np.float32))


def on_voxels(case: cases.Case, size: float | None) -> cases.Case:
    """The pair with its images on cubes of so many mm, where that is said; its labels stay as they are."""
    images = {} if size is None else {name: getattr(case, name) for name in ("fixed", "moving")}
    return replace(case, **{name: resample(image, voxel_size=size) for name, image in images.items()})


# -- made contrasts --


def made_rows(case: cases.Case, contrast: str, tools: dict[str, Tool], oracles: dict[str, Tool]) -> Iterator[Row]:
    """A row of every tool on a pair whose moving image is in another contrast; of oracles where both images are."""
    moving = recoloured(case.moving, contrast)
    for name, tool in tools.items():
        yield {"contrast": contrast, "tool": name, **made_scores(case, tool(case.fixed, moving))}
    for name, tool in oracles.items() if contrast != "same" else ():
        maps = tool(recoloured(case.fixed, contrast), moving)
        yield {"contrast": contrast, "tool": f"{name} (oracle)", **made_scores(case, maps)}


def made_scores(case: cases.Case, maps: Maps) -> Row:
    """Overlap of labels under the whole map and the affine alone, folds and bending inside the fixed brain."""
    backend = select("numba")
    dice, affine = (
        overlap(case.fixed_labels, warp(case.moving_labels, one, case.fixed_labels.grid, order=0, backend=backend)).mean
        for one in (maps.transform, maps.affine)
    )
    return {
        **{"dice": dice, "affine": affine, **deformation_scores(maps, case.fixed)},
        **{"seconds": maps.seconds, "compared": maps.note},
    }


# -- known distortions --


def distorted(case: cases.Case, contrast: str, largest: float) -> tuple[cases.Case, NDArray[np.float64]]:
    """The fixed brain with a copy of itself as its moving image, moved along j by up to `largest` mm; and by how much.

    The copy holds at y what the brain holds at x where ``y = x + d(x)``, divided by ``1 + d'(x)``.
    """
    grid, rng = case.fixed.grid, np.random.default_rng(SEED)
    smooth = gaussian_filter(rng.normal(size=grid.shape), 12)
    there = smooth * (largest / grid.voxel_size[1] / np.abs(smooth).max())
    index = np.indices(grid.shape).astype(float)
    back = np.zeros(grid.shape)
    for _ in range(ROUNDS):
        back = -map_coordinates(there, index + _along_j(back), order=1, mode="nearest")
    places = index + _along_j(back)
    squeezed = 1 + np.gradient(back, axis=1)

    def moved(image: Image, order: int) -> NDArray[np.float64]:
        found: NDArray[np.float64] = map_coordinates(image.data.astype(float), places, order=order)
        return found

    grey = moved(recoloured(case.fixed, contrast), 1) * squeezed
    labels = moved(case.fixed_labels, 0).astype(case.fixed_labels.data.dtype)
    pair = replace(
        case,
        name=case.name.removeprefix("brains ").split(",")[0],
        moving=replace(case.fixed, data=grey.astype(np.float32)),
        moving_labels=replace(case.fixed_labels, data=labels),
    )
    return pair, there * grid.voxel_size[1]


def _along_j(shift: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([np.zeros_like(shift), shift, np.zeros_like(shift)])


def distorted_rows(
    case: cases.Case, tools: dict[str, Tool], voxel_size: float | None, backend: Backend
) -> Iterator[Row]:
    """A row of every tool on a brain and a distorted copy of it."""
    pair, truth = distorted(case, "T2-like", LARGEST)
    seen = on_voxels(pair, voxel_size)
    inside, grid = case.fixed.data > 0, case.fixed.grid
    before = overlap(pair.fixed_labels, pair.moving_labels).mean
    points = np.moveaxis(np.indices(grid.shape), 0, -1)[inside] @ grid.affine[:3, :3].T + grid.affine[:3, 3]
    axis = grid.affine[:3, 1] / np.linalg.norm(grid.affine[:3, 1])
    for name, tool in tools.items():
        maps = tool(seen.fixed, seen.moving)
        moved = maps.transform.map_points(points) - points
        along = moved @ axis
        found = warp(pair.moving_labels, maps.transform, grid, order=0, backend=backend)
        yield {
            **{"brain": pair.name, "tool": name, "before": before, "dice": overlap(pair.fixed_labels, found).mean},
            "error_mm": float(np.abs(along - truth[inside]).mean()),
            "off_axis_mm": float(np.linalg.norm(moved - along[:, None] * axis, axis=1).max()),
            **deformation_scores(maps, case.fixed),
            **{"seconds": maps.seconds, "compared": maps.note},
        }


# -- real heads --


@dataclass(frozen=True, eq=False)
class Head:
    """An image, its brain, and its tissues."""

    image: Image
    brain: Image
    tissues: Image


def heads(folder: Path) -> dict[str, Head]:
    """The images with brains and tissues, each found once, for all tools.

    The brain is that of the EPI, by `median_otsu`, carried to the others by rigid maps (affine for MNI). Tissues are
    three clusters of the grey values in a brain, after ANTs' N4, by ANTs' k-means.
    """
    from warpline.dipy import median_otsu

    images = {name: read_image(folder / file) for name, file in HEADS.items()}
    _, found = median_otsu(images["EPI"].data.astype(np.float32), median_radius=3, numpass=3)
    of_epi = replace(images["EPI"], data=binary_erosion(found, iterations=1).astype(np.uint8))
    brains = {"EPI": of_epi, "T1": _carried(of_epi, images["T1"], images["EPI"], "rigid")}
    brains["T2"] = _carried(brains["T1"], images["T2"], images["T1"], "rigid")
    brains["MNI"] = _carried(brains["T1"], images["MNI"], images["T1"], "affine")
    return {name: Head(image, brains[name], _tissues(image, brains[name], name)) for name, image in images.items()}


def _carried(mask: Image, fixed: Image, moving: Image, recipe: str) -> Image:
    return warp(mask, register(fixed, moving, recipe).transform, fixed.grid, order=0, backend=select("numba"))


def _tissues(image: Image, brain: Image, name: str) -> Image:
    import ants

    def to_ants(data: NDArray[Any]) -> Any:
        return ants.from_numpy(np.ascontiguousarray(data, np.float32), spacing=tuple(image.grid.voxel_size.tolist()))

    mask = to_ants(brain.data)
    found = ants.kmeans_segmentation(ants.n4_bias_field_correction(to_ants(image.data), mask), 3, mask)
    darkest_first = np.array([0, *DARKEST_FIRST[name]])
    return replace(image, data=darkest_first[found["segmentation"].numpy().astype(int)].astype(np.uint8))


def similarity_scores(fixed: NDArray[Any], warped: NDArray[Any], inside: NDArray[np.bool_]) -> Row:
    """Normalised mutual information, and the correlation of gradient magnitudes, inside a mask."""
    joint, _, _ = np.histogram2d(fixed[inside], warped[inside], BINS)
    joint /= joint.sum()
    single, both = _entropy(joint.sum(0)) + _entropy(joint.sum(1)), _entropy(joint)
    edges = [gaussian_gradient_magnitude(one.astype(np.float32), EDGE_SIGMA)[inside] for one in (fixed, warped)]
    return {"nmi": float(single / both), "edges": float(np.corrcoef(*edges)[0, 1])}


def _entropy(shares: NDArray[np.float64]) -> float:
    positive = shares[shares > 0]
    return float(-(positive * np.log(positive)).sum())


def real_scores(fixed: Head, moving: Head, transform: Chain, backend: Backend) -> Row:
    """How well two heads agree under a map, inside the brain of the fixed one where the moving one shows anything."""
    grid = fixed.image.grid
    warped = warp(moving.image, transform, grid, backend=backend).data
    ones = replace(moving.image, data=np.ones(moving.image.data.shape, np.float32))
    shown = warp(ones, transform, grid, backend=backend).data > 0.999
    inside = (binary_dilation(fixed.brain.data > 0, iterations=1)) & shown
    scores = similarity_scores(fixed.image.data, warped, inside)
    tissues = warp(moving.tissues, transform, grid, order=0, backend=backend).data
    both = (fixed.tissues.data > 0) & (tissues > 0)
    for number, name in enumerate(TISSUES, 1):
        one, other = (fixed.tissues.data == number) & both, (tissues == number) & both
        scores[name] = float(2 * (one & other).sum() / max(one.sum() + other.sum(), 1))
    return {**scores, "tissues": float(np.mean([scores[name] for name in TISSUES]))}


def real_rows(found: dict[str, Head], pair: tuple[str, str], tools: dict[str, Tool], backend: Backend) -> Iterator[Row]:
    """A row of every tool, and of its affine alone, on a pair of heads."""
    fixed, moving = (found[name] for name in pair)
    for name, tool in tools.items():
        maps = tool(fixed.image, moving.image)
        label = {"pair": f"{pair[1]} to {pair[0]}", "tool": name}
        yield {**label, "tool": f"{name}: affine", **real_scores(fixed, moving, maps.affine, backend)}
        yield {
            **label,
            **real_scores(fixed, moving, maps.transform, backend),
            **deformation_scores(maps, fixed.brain),
            **{"seconds": maps.seconds, "compared": maps.note},
        }


class Results:
    """Rows in a JSON file, kept as they come, beside the machine they were measured on."""

    def __init__(self, path: Path, what: str) -> None:
        self._path, self._what = path, what
        self._all: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}

    def add(self, row: Row) -> None:
        """Print a row and write it, in place of one of the same pair, contrast and tool."""
        print("  ".join(f"{key} {_short(value)}" for key, value in row.items()), flush=True)
        kept = [other for other in self._all.get(self._what, []) if _key(other) != _key(row)]
        rounded = {key: round(value, 5) if isinstance(value, float) else value for key, value in row.items()}
        self._all = {**self._all, "machine": measure.machine(), self._what: [*kept, rounded]}
        self._path.write_text(json.dumps(self._all, indent=1) + "\n")


def _key(row: Row) -> tuple[Any, ...]:
    return tuple(row.get(part) for part in KEY)


def main() -> None:
    """Run what the command line asks for, and write the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("made", "distorted", "real"))
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--pairs", nargs="*", default=["01,02", "03,04", "05,06", "07,08", "09,10"])
    parser.add_argument("--contrasts", nargs="*", default=list(CONTRASTS))
    parser.add_argument("--settings", nargs="*", default=[""])
    parser.add_argument("--ants", action="store_true")
    parser.add_argument("--oracle", action="store_true", help="made contrasts: both images in the contrast as well")
    parser.add_argument("--voxel-size", type=float, help="mm that images are resampled to; labels are not")
    parser.add_argument("--backend", default="numba")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    backend = select(options.backend)
    tools = {f"warpline {one}".strip(): by_warpline(one, backend) for one in options.settings}
    oracles = list(tools) if options.oracle else []
    tools |= {"ANTs SyN": by_ants} if options.ants else {}
    if options.ants and options.what == "distorted":
        tools["ANTs SyNOnly along j"] = by_ants_along_j
    results = Results(options.out, options.what)
    for row in _rows(options, tools, {name: tools[name] for name in oracles}, backend):
        results.add({**row, "voxel_mm": options.voxel_size, "load": round(os.getloadavg()[0], 1)})


def _short(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _rows(
    options: argparse.Namespace, tools: dict[str, Tool], oracles: dict[str, Tool], backend: Backend
) -> Iterator[Row]:
    if options.what == "real":
        found = heads(options.data / "multimodal")
        for pair in PAIRS:
            yield from real_rows(found, pair, tools, backend)
        return
    with tempfile.TemporaryDirectory() as folder:
        for pair in options.pairs:
            case = cases.real(options.data / "oasis-trt-20", pair, Path(folder))
            if options.what == "distorted":
                yield from distorted_rows(case, tools, options.voxel_size, backend)
                continue
            for contrast in options.contrasts:
                for row in made_rows(on_voxels(case, options.voxel_size), contrast, tools, oracles):
                    yield {"pair": pair, **row}


if __name__ == "__main__":
    main()
