"""Unlike contrasts: brains of which one is made to look otherwise, and real heads in T1, T2 and EPI; ANTs beside it.

Made contrasts are judged by labels, real ones by tissues that are found in each image alone, by edges, and by mutual
information; every map by folds and bending. ANTs' ``SyN`` runs as ANTsPy has it by default, by mutual information.
Distorted brains are T2-like copies moved along one axis by a known field, as echo-planar images are, with the grey
values that stretching leaves; they are judged by the field and by labels.

    python bench/contrasts.py made --pairs 01,02 --settings "" syn.metric=mutual_information
    python bench/contrasts.py real --ants
    python bench/contrasts.py distorted --ants --settings "" syn.directions=j
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
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
from warpline import Image, read_image, register, write_image
from warpline.backends import Backend, select
from warpline.evaluation import bending_energy, folding, overlap
from warpline.io.transform_files import read_transform
from warpline.recipe import Recipe
from warpline.resampling import warp
from warpline.space import Chain, Displacement

Values = NDArray[np.float32]
Row = dict[str, Any]

SEED = 5
RESULTS = Path(__file__).parent / "results" / "contrasts.json"
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
    "noised": lambda x: x + np.random.default_rng(SEED).normal(0, 0.08, x.shape).astype(np.float32),
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


@dataclass(frozen=True, eq=False)
class Maps:
    """What a tool found: fixed world to moving world, its affine part, and its displacement on the fixed grid."""

    transform: Chain
    affine: Chain
    displacement: Displacement
    seconds: float
    note: str = ""


ANTS = {"type_of_transform": "SyN", "random_seed": 1}

ANTS_ALONG_J = {"restrict_transformation": (0, 1, 0)}

Tool = Callable[[Image, Image], Maps]


def by_warpline(settings: str, backend: Backend) -> Tool:
    """Recipe ``syn`` with settings, separated by semicolons."""
    recipe = Recipe.load("syn").with_options(*(one for one in settings.split(";") if one))

    def run(fixed: Image, moving: Image) -> Maps:
        started = time.perf_counter()
        found = register(fixed, moving, recipe, backend=backend)
        seconds = time.perf_counter() - started
        compared = ", ".join(f"{term['metric']} {term['contrast']}" for term in found.report["terms"])
        alignment = found.alignment
        return Maps(alignment.transform, Chain.of(alignment.affine), alignment.warp, seconds, compared)

    return run


def by_ants(fixed: Image, moving: Image, **options: Any) -> Maps:
    """ANTsPy's ``SyN`` by default: affine and deformable by mutual information."""
    import ants

    with tempfile.TemporaryDirectory() as folder:
        paths = [f"{folder}/{name}.nii.gz" for name in ("fixed", "moving")]
        for image, path in zip((fixed, moving), paths, strict=True):
            write_image(image, path)
        images = [ants.image_read(path) for path in paths]
        started = time.perf_counter()
        found = ants.registration(*images, outprefix=f"{folder}/r_", **{**ANTS, **options})
        seconds = time.perf_counter() - started
        field, affine = (read_transform(path) for path in found["fwdtransforms"])
    field, affine = Chain.of(field), Chain.of(affine)
    return Maps(Chain((*field.parts, *affine.parts)), affine, field.parts[0], seconds)


def deformation_scores(maps: Maps, inside: Image) -> Row:
    """Folds by the strictest measure, and bending, inside a mask."""
    folds = folding(maps.displacement, inside, differences="any")
    return {"folds": folds.count, "bending": bending_energy(maps.displacement, inside)}


# -- made contrasts --


def made_rows(case: cases.Case, contrast: str, tools: dict[str, Tool], backend: Backend) -> Iterator[Row]:
    """A row of every tool on a pair whose moving image is in another contrast."""
    inside = replace(case.fixed, data=(case.fixed.data > 0).astype(np.uint8))
    for name, tool in tools.items():
        maps = tool(case.fixed, recoloured(case.moving, contrast))
        dice, affine = (
            overlap(case.fixed_labels, warp(case.moving_labels, one, case.fixed.grid, order=0, backend=backend)).mean
            for one in (maps.transform, maps.affine)
        )
        yield {
            **{"pair": case.name, "contrast": contrast, "tool": name, "dice": dice, "affine": affine},
            **deformation_scores(maps, inside),
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
        name=case.name.split(",")[0],
        moving=replace(case.fixed, data=grey.astype(np.float32)),
        moving_labels=replace(case.fixed_labels, data=labels),
    )
    return pair, there * grid.voxel_size[1]


def _along_j(shift: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([np.zeros_like(shift), shift, np.zeros_like(shift)])


def distorted_rows(case: cases.Case, tools: dict[str, Tool], backend: Backend) -> Iterator[Row]:
    """A row of every tool on a brain and a distorted copy of it."""
    pair, truth = distorted(case, "T2-like", LARGEST)
    inside = case.fixed.data > 0
    grid, mask = case.fixed.grid, replace(case.fixed, data=inside.astype(np.uint8))
    before = overlap(pair.fixed_labels, pair.moving_labels).mean
    points = np.moveaxis(np.indices(grid.shape), 0, -1)[inside] @ grid.affine[:3, :3].T + grid.affine[:3, 3]
    axis = grid.affine[:3, 1] / np.linalg.norm(grid.affine[:3, 1])
    for name, tool in tools.items():
        maps = tool(pair.fixed, pair.moving)
        moved = maps.transform.map_points(points) - points
        along = moved @ axis
        found = warp(pair.moving_labels, maps.transform, grid, order=0, backend=backend)
        yield {
            **{"brain": pair.name, "tool": name, "before": before, "dice": overlap(pair.fixed_labels, found).mean},
            "error_mm": float(np.abs(along - truth[inside]).mean()),
            "off_axis_mm": float(np.linalg.norm(moved - along[:, None] * axis, axis=1).max()),
            **deformation_scores(maps, mask),
            "seconds": maps.seconds,
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


def main() -> None:
    """Run what the command line asks for, and write the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("made", "distorted", "real"))
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--pairs", nargs="*", default=["01,02", "03,04", "05,06", "07,08", "09,10"])
    parser.add_argument("--contrasts", nargs="*", default=list(CONTRASTS))
    parser.add_argument("--settings", nargs="*", default=[""])
    parser.add_argument("--ants", action="store_true")
    parser.add_argument("--backend", default="numba")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    backend = select(options.backend)
    tools = {f"warpline {one}".strip(): by_warpline(one, backend) for one in options.settings}
    tools |= {"ANTs SyN": by_ants} if options.ants else {}
    if options.ants and options.what == "distorted":
        tools["ANTs SyN along j"] = partial(by_ants, **ANTS_ALONG_J)
    rows: list[Row] = []
    for row in _rows(options, tools, backend):
        rows.append(row)
        print("  ".join(f"{key} {_short(value)}" for key, value in row.items()), flush=True)
    before = json.loads(options.out.read_text()) if options.out.exists() else {}
    options.out.write_text(json.dumps({**before, options.what: rows}, indent=1) + "\n")


def _short(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _rows(options: argparse.Namespace, tools: dict[str, Tool], backend: Backend) -> Iterator[Row]:
    if options.what == "real":
        found = heads(options.data / "multimodal")
        for pair in PAIRS:
            yield from real_rows(found, pair, tools, backend)
        return
    with tempfile.TemporaryDirectory() as folder:
        for pair in options.pairs:
            case = cases.real(options.data / "oasis-trt-20", pair, Path(folder))
            if options.what == "distorted":
                yield from distorted_rows(case, tools, backend)
                continue
            for contrast in options.contrasts:
                yield from made_rows(case, contrast, tools, backend)


if __name__ == "__main__":
    main()
