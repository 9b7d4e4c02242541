"""The subjects, tables and data sets that guides of groups name, made small."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

import warpline
from warpline.phantom import PhantomPair

IN_DATA = ("sub-01", "sub-02", "sub-03", "sub-04")
"""Subjects of the folder data/, whose cohorts register every one."""

IN_BIDS = ("sub-01", "sub-02")


def write_cohorts(folder: Path, pair: PhantomPair) -> None:
    """Write subjects beside each other, for templates, in data/, in a data set of BIDS, and as slices."""
    (folder / "data").mkdir()
    for name, moved in _subjects(pair):
        warpline.write_image(moved, folder / f"{name}_T1w.nii.gz")
        _write_slice(moved, folder / f"{name}_slice.nii.gz")
        if name in IN_DATA:
            warpline.write_image(moved, folder / "data" / f"{name}_T1w.nii.gz")
            warpline.write_image(_above(moved, 50), folder / "data" / f"{name}_gm.nii.gz")
        if name in IN_BIDS:
            _write_scan(moved, folder / "bids" / name / "anat" / f"{name}_T1w.nii.gz")
    warpline.write_image(_above(moved, 0), folder / "sub-01_mask.nii.gz")
    _write_tables(folder)


def _subjects(pair: PhantomPair) -> Iterator[tuple[str, warpline.Image]]:
    """The moving brain, moved further; sub-01 comes last."""
    draw = np.random.default_rng(0)
    for number in (11, *range(6, 0, -1)):
        matrix = np.eye(4) + 0.03 * draw.standard_normal((4, 4)) * [[1], [1], [1], [0]]
        yield f"sub-{number:02}", warpline.apply(pair.moving, pair.moving, warpline.Affine(matrix))


def _above(image: warpline.Image, percentile: float) -> warpline.Image:
    """Where the object of an image is brighter than a percentile of it."""
    limit = np.percentile(image.data[image.data > 0], percentile)
    return warpline.Image((image.data >= limit).astype(np.uint8), image.grid)


def _write_slice(image: warpline.Image, path: Path) -> None:
    """The middle of the third axis, as a 2-D image."""
    values = np.ascontiguousarray(image.data[:, :, image.data.shape[2] // 2, None])
    grid = warpline.Grid(values.shape, np.diag([4.8, 4.8, 4.8, 1.0]), flat=True)
    warpline.write_image(warpline.Image(values, grid), path)


def _write_scan(image: warpline.Image, path: Path) -> None:
    path.parent.mkdir(parents=True)
    warpline.write_image(image, path)
    (path.parents[2] / "dataset_description.json").write_text(
        json.dumps({"Name": "made", "BIDSVersion": "1.10.0"}), encoding="utf-8"
    )


def _write_tables(folder: Path) -> None:
    _write_table(
        folder / "cohort.tsv", ["id moving fixed", *(f"{x} data/{x}_T1w.nii.gz template.nii.gz" for x in IN_DATA)]
    )
    _write_table(folder / "decisions.tsv", ["id decision", "sub-01 pass", "sub-02 review", "sub-03 fail"])
    _write_table(folder / "participants.tsv", ["participant_id age", *(f"{x} {50 + i}" for i, x in enumerate(IN_DATA))])
    subjects = [f"sub-{number:02}" for number in range(1, 6)]
    _write_table(folder / "subjects.tsv", ["id moving", *(f"{x} {x}_slice.nii.gz" for x in subjects)])


def _write_table(path: Path, rows: Sequence[str]) -> None:
    """Words of the rows become cells."""
    path.write_text("".join("\t".join(row.split()) + "\n" for row in rows), encoding="utf-8")
