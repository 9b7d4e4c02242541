"""Labels of held-out brains from five atlases: fusions, the best single atlas and ANTs' joint label fusion.

All fuse the same warped atlases, which are kept in a folder, so that fusions are compared without registering again::

    python bench/labelling.py --joint 1,1 --ants 1,1 --ants 1,2 --json bench/results/labelling.json
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import binary_dilation

import brains
from scoring import mean_dice
from warpline import read_image, register, write_image
from warpline.backends import select
from warpline.images import Image
from warpline.labelling import FUSIONS, JointOptions, WarpedAtlas, fuse
from warpline.registration.provenance import environment
from warpline.resampling.labels import warp_labels
from warpline.resampling.reduction import reduce_image, reduce_labels

ATLASES = ("01", "02", "03", "04", "05")
HELD_OUT = ("06", "07", "08")
MARGIN = 8


@dataclass(frozen=True)
class Setting:
    """What is registered, where files are kept, and by what."""

    data: Path
    work: Path
    spacing: int
    recipe: str


def brain(subject: str, setting: Setting) -> tuple[Image, Image]:
    """Image and labels of a subject, cropped, with voxels of the asked size."""
    found = brains.prepare(setting.data, subject, setting.work, MARGIN)
    image, labels = read_image(found.image), read_image(found.labels)
    if setting.spacing > 1:
        block = (setting.spacing,) * 3
        image, labels = reduce_image(image, block), reduce_labels(labels, block)
    return image, replace(labels, data=np.rint(labels.data).astype(np.int32))


def warped(subject: str, target: Image, setting: Setting) -> Iterator[WarpedAtlas]:
    """The atlases on the image of a subject; registered where the folder does not have them yet."""
    for name in ATLASES:
        folder = setting.work / f"{setting.spacing}mm-{setting.recipe}" / f"{subject}-{name}"
        if not (folder / "judgement.json").exists():
            folder.mkdir(parents=True, exist_ok=True)
            image, labels = brain(name, setting)
            start, backend = time.perf_counter(), select()
            found = register(target, image, setting.recipe, backend=backend)
            write_image(found.warped, folder / "image.nii.gz")
            write_image(warp_labels(labels, found.transform, target.grid, backend=backend), folder / "labels.nii.gz")
            judged = {**found.report["judgement"], "seconds": time.perf_counter() - start}
            (folder / "judgement.json").write_text(json.dumps(judged))
        judgement = json.loads((folder / "judgement.json").read_text())
        images = (read_image(folder / f"{kind}.nii.gz") for kind in ("image", "labels"))
        yield WarpedAtlas(name, *images, judgement, judgement["seconds"])


def by_ants(target: Image, atlases: list[WarpedAtlas], radius: int, search: int) -> np.ndarray:
    """ANTs' joint label fusion, all else as ANTsPy has it; background is a label like the others, as it is to ours."""
    import ants

    def image_of(array: np.ndarray) -> Any:
        return ants.from_numpy(array.astype(np.float32), spacing=tuple(map(float, target.grid.voxel_size)))

    labels = np.stack([one.labels.data for one in atlases])
    fused = ants.joint_label_fusion(
        image_of(target.data),
        image_of(binary_dilation((labels > 0).any(axis=0))),
        [image_of(one.image.data) for one in atlases],
        label_list=[image_of(one) for one in labels],
        max_lab_plus_one=True,
        rad=[radius] * 3,
        r_search=search,
    )
    found = np.rint(fused["segmentation"].numpy()).astype(np.int32)
    return np.where(found > labels.max(), 0, found)


def rows_of(subject: str, setting: Setting, reaches: dict[str, list[str]]) -> Iterator[dict[str, Any]]:
    """Scores on one held-out brain: Dice over the labels that it and any atlas have.

    `reaches` are patch and search radius, "1,2", of runs of ``"joint"`` beside its defaults, and of ``"ants"``.
    """
    target, truth = brain(subject, setting)
    atlases = list(warped(subject, target, setting))
    known = np.unique([one.labels.data for one in atlases])

    def row(method: str, labels: np.ndarray, start: float) -> dict[str, Any]:
        taken = time.perf_counter() - start
        scores = mean_dice(truth.data, labels, known)
        return {"subject": subject, "method": method, **scores, "seconds": round(taken, 1)}

    for one in atlases:
        yield {**row(f"atlas {one.name}", one.labels.data, time.perf_counter()), "seconds": one.seconds}
    for name in FUSIONS:
        start = time.perf_counter()
        yield row(name, np.asarray(fuse(target, atlases, name).labels.data), start)
    for text in reaches["joint"]:
        radius, search = map(int, text.split(","))
        start = time.perf_counter()
        asked = JointOptions(patch_radius=radius, search_radius=search)
        labels = fuse(target, atlases, "joint", joint_options=asked).labels.data
        yield row(f"joint, radius {radius}, search {search}", np.asarray(labels), start)
    for text in reaches["ants"]:
        radius, search = map(int, text.split(","))
        start = time.perf_counter()
        yield row(f"ANTs, radius {radius}, search {search}", by_ants(target, atlases, radius, search), start)


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean over subjects of every method; of atlases, the best of each subject."""
    fused = [row for row in rows if not row["method"].startswith("atlas")]
    best = [
        max((row for row in rows if row["subject"] == subject and row["method"].startswith("atlas")), key=_score)
        for subject in dict.fromkeys(row["subject"] for row in rows)
    ]
    groups: dict[str, list[dict[str, Any]]] = {"best single atlas": best}
    for row in fused:
        groups.setdefault(row["method"], []).append(row)
    measures = ("dice", "dice_cortical", "dice_subcortical", "seconds")
    return [
        {
            "method": name,
            "subjects": len(of),
            **{one: round(float(np.mean([r[one] for r in of])), 4) for one in measures},
        }
        for name, of in groups.items()
    ]


def _score(row: dict[str, Any]) -> float:
    return float(row["dice"])


def main() -> None:
    """Measure, print, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data/oasis-trt-20"))
    parser.add_argument("--work", type=Path, default=Path("/tmp/warpline-labelling"), help="where warped atlases stay")
    parser.add_argument("--spacing", type=int, default=2, help="voxel size in mm")
    parser.add_argument("--recipe", default="syn")
    parser.add_argument("--subjects", default=",".join(HELD_OUT))
    parser.add_argument("--joint", action="append", default=[], metavar="RADIUS,SEARCH", help="judge these reaches too")
    parser.add_argument("--ants", action="append", default=[], metavar="RADIUS,SEARCH", help="judge ANTs too")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    setting = Setting(options.data, options.work, options.spacing, options.recipe)
    rows = []
    for subject in options.subjects.split(","):
        for row in rows_of(subject, setting, {"joint": options.joint, "ants": options.ants}):
            print(row, flush=True)
            rows.append(row)
    document = {
        "environment": environment(select(), None),
        "setting": {"atlases": ATLASES, "spacing": options.spacing, "recipe": options.recipe},
        "summary": summary(rows),
        "rows": rows,
    }
    print(json.dumps(document["summary"], indent=2))
    if options.json is not None:
        options.json.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
