"""Output folders of cohorts as a run leaves them, with maps that are known, and no registration."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import numpy as np

from warpline.backends import select
from warpline.cohort.group.options import GroupOptions
from warpline.cohort.group.subject_maps import MapSettings, SubjectMaps, check_registered
from warpline.cohort.group.subjects import choose_subjects
from warpline.cohort.json_files import read_object
from warpline.cohort.layout import output_paths
from warpline.cohort.manifest import Pair, write_manifest
from warpline.cohort.plan import plan_of
from warpline.images import Image
from warpline.io.images import read_image, write_image
from warpline.io.transform_files import write_transform
from warpline.resampling import warp
from warpline.space import Affine, Chain, Displacement
from warpline.space.grid import Grid

SHAPE = (16, 14, 12)
AFFINE = np.array([[0.0, -2.0, 0, 9], [2.0, 0, 0, -8], [0, 0, 2.5, -5], [0, 0, 0, 1]])
"""Oblique in that its axes are exchanged, with voxels that are no cubes."""

VOXEL = 10.0
"""mm³ of a voxel of these grids."""

GROWTH = 1.25
"""How much larger moving heads are along x than the fixed one, by the affine."""

METRICS = {"pass": {}, "review": {"coverage": 0.8}, "fail": {"coverage": 0.4}}
"""Numbers of a pair that give it a verdict."""


def grid_of(shape=SHAPE, *, flat=False):
    return Grid(shape, AFFINE, flat)


def affine():
    return Affine(np.diag([GROWTH, 1.0, 1.0, 1.0]))


def stretch(grid, strength):
    """A displacement that stretches along y by ``1 + strength``, in mm: its determinant is that everywhere."""
    field = np.zeros((3, *grid.shape), np.float32)
    middle = (np.array(grid.shape) - 1) / 2
    field[1] = strength * 2.0 * (np.arange(grid.shape[0]) - middle[0])[:, None, None]  # the first axis is y
    return Displacement(field, grid)


def ball(grid, radius=7.0, centre=(0.0, 0.0, 0.0)):
    """1 within so many mm, (I, J, K)."""
    points = np.moveaxis(np.indices(grid.shape), 0, -1) @ grid.affine[:3, :3].T + grid.affine[:3, 3]
    return (np.linalg.norm(points - np.array(centre), axis=-1) < radius).astype(np.uint8)


def write_cohort(folder: Path, verdicts, *, shape=SHAPE, labels=("moving",), link=False, flat=False, **more):
    """The folders ``in`` and ``out`` of a run on so many subjects.

    Parameters
    ----------
    folder : Path
        Where they are made.
    verdicts : sequence of str
        Of each subject; its displacement stretches by 1 + a tenth of its number.
    labels : sequence of str
        Which images have labels: a ball, label 3.
    link : bool
        All subjects have the files of the first one.
    flat : bool
        Whether images are 2-D.
    more : dict
        Of every pair.
    """
    grid, backend = grid_of(shape, flat=flat), select("numpy")
    (folder / "in").mkdir(parents=True)
    write_image(Image(ball(grid).astype(np.float32), grid), folder / "in" / "fixed.nii")
    write_image(Image(ball(grid) * np.uint8(3), grid), folder / "in" / "fixed_dseg.nii")
    pairs = []
    for number, verdict in enumerate(verdicts, 1):
        pair = _pair(folder, number, labels, more)
        first = not (link and pairs)
        content = _write_inputs(folder, number, grid) if first else folder / "in" / "sub-001"
        if not first:
            _link(content, folder / "in" / pair.id)
        _write_outputs(folder / "out", pair, number, (grid, backend), None if first else pairs[0], METRICS[verdict])
        pairs.append(pair)
    write_manifest(pairs, folder / "out" / "manifest.tsv")
    return folder / "out"


def _pair(folder, number, labels, more):
    place = folder / "in" / f"sub-{number:03d}"
    images = {"moving": f"{place}_T1w.nii", "fixed": f"{folder}/in/fixed.nii"}
    known = {"moving": f"{place}_dseg.nii", "fixed": f"{folder}/in/fixed_dseg.nii"}
    return Pair(place.name, **images, **{f"{side}_labels": known[side] for side in labels}, **more)


def _write_inputs(folder, number, grid):
    place = folder / "in" / f"sub-{number:03d}"
    shown = ball(grid, 6 + 0.2 * number)
    write_image(Image(shown * np.float32(100 + number), grid), f"{place}_T1w.nii")
    write_image(Image(shown * np.uint8(3), grid), f"{place}_dseg.nii")
    return place


def _link(source, target):
    for ending in ("T1w", "dseg"):
        os.link(f"{source}_{ending}.nii", f"{target}_{ending}.nii")


def _write_outputs(out, pair, number, where, first, metrics):
    names = output_paths(pair).names()
    kinds = ["affine", "warp", "warped", *(["warped_labels"] if pair.moving_labels else [])]
    (out / names["warp"]).parent.mkdir(parents=True)
    if first is None:
        _write_maps({kind: out / names[kind] for kind in kinds}, pair, number, *where)
    else:
        for kind in kinds:
            os.link(out / output_paths(first).names()[kind], out / names[kind])
    sizes = {kind: {"bytes": (out / names[kind]).stat().st_size, "sha256": ""} for kind in kinds}
    known = {"status": "ok", "id": pair.id, "key": "k", "recipe": {"name": "syn", "syn": {}}}
    content = hashlib.sha256(Path(pair.fixed).read_bytes()).hexdigest()
    report = {**known, "geometry": None, "metrics": metrics, "files": sizes, "sha256": {"fixed": content}}
    (out / names["report"]).write_text(json.dumps(report))


def _write_maps(paths, pair, number, grid, backend):
    field = stretch(grid, number / 10)
    chain = Chain((field, affine()))
    write_transform(affine(), paths["affine"])
    write_transform(field, paths["warp"])
    write_image(warp(read_image(pair.moving), chain, grid, backend=backend), paths["warped"])
    if "warped_labels" in paths:
        write_image(warp(read_image(pair.moving_labels), chain, grid, order=0, backend=backend), paths["warped_labels"])


def sidecar_of(root, subject):
    return read_object(root / subject.task.outputs.sidecar)


def maps_of(root, number=2, **more):
    """The maps of a subject; its displacement stretches by 1 + a tenth of its number."""
    options = GroupOptions(**{"maps": ["log_jacobian"], **more})
    subject = choose_subjects(plan_of(root), root)[0][number - 1]
    settings = MapSettings(root, grid_of(), options, select("numpy"))
    return SubjectMaps(settings, subject, check_registered(subject, options, sidecar_of(root, subject)))
