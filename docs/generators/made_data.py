"""The files that guides name, made small: images, masks, points and transforms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from made_cohorts import write_cohorts
from made_shapes import write_shapes

import warpline
from warpline.phantom import PhantomPair, brain_pair

SHAPE, SIZE = (40, 46, 40), 4.8


def make(folder: Path) -> None:
    """Write all of them into a folder."""
    pair = brain_pair(SHAPE, voxel_size=SIZE)
    for names, image in _images(pair).items():
        for name in names.split():
            warpline.write_image(image, folder / f"{name}.nii.gz")
    write_cohorts(folder, pair)
    write_shapes(folder, pair)
    _write_sections(folder, pair)
    _write_series(folder, pair)
    _write_tables(folder, pair)
    _write_transforms(folder, pair)


def _images(pair: PhantomPair) -> dict[str, warpline.Image]:
    """Names that guides give to the same image, and the image."""
    whole = warpline.Image((pair.moving.data > 0).astype(np.uint8), pair.moving.grid)
    return {
        "fixed template t1 t1_a t2_a mni_2mm a_t1 ses-1 ses-1_t1": pair.fixed,
        "moving patient epi image t1_b t2_b b_t1": pair.moving,
        "ses-2 ses-2_t1 ses-3_t1": warpline.Image(1.02 * pair.fixed.data, pair.fixed.grid),
        "fixed_labels labels_a a_labels ses-1_labels": pair.fixed_labels,
        "moving_labels labels_b b_labels atlas_labels": pair.moving_labels,
        "moving_mask without_lesion trust": whole,
    }


def _write_sections(folder: Path, pair: PhantomPair) -> None:
    """Two sections, not compressed."""
    grid = warpline.Grid((*SHAPE[:2], 1), np.diag([0.02, 0.02, 0.02, 1.0]), flat=True)
    for name, slice_ in (("section_a", SHAPE[2] // 2), ("section_b", SHAPE[2] // 2 + 1)):
        values = np.ascontiguousarray(pair.fixed.data[:, :, slice_, None])
        warpline.write_image(warpline.Image(values, grid), folder / f"{name}.nii")


def _write_series(folder: Path, pair: PhantomPair) -> None:
    """Six volumes, as a time series and as a diffusion series."""
    draw = np.random.default_rng(0)
    volumes = [pair.fixed.data + draw.normal(0, 10, SHAPE) for _ in range(6)]
    data = np.stack(volumes, axis=-1).astype(np.float32)
    for name in ("bold", "dwi"):
        warpline.write_image(warpline.Image(data, pair.fixed.grid), folder / f"{name}.nii.gz")
    directions = draw.standard_normal((3, 6))
    directions /= np.linalg.norm(directions, axis=0)
    np.savetxt(folder / "dwi.bval", [[0, 1000, 1000, 1000, 1000, 1000]], fmt="%d")
    np.savetxt(folder / "dwi.bvec", directions * [0, 1, 1, 1, 1, 1], fmt="%.6f")


def _write_tables(folder: Path, pair: PhantomPair) -> None:
    _, first = np.unique(pair.fixed_points, axis=0, return_index=True)
    fixed, moving = pair.fixed_points[first], pair.moving_points[first]
    points = {"fixed": fixed, "moving": moving, "sulcus_a": fixed, "sulcus_b": moving}
    points |= {"electrodes": moving, "points": moving * [-1, -1, 1]}
    for name, table in points.items():
        np.savetxt(folder / f"{name}.csv", table, delimiter=",", header="x,y,z", comments="", fmt="%.3f")
    (folder / "atlases.tsv").write_text(
        "image\tlabels\na_t1.nii.gz\ta_labels.nii.gz\nb_t1.nii.gz\tb_labels.nii.gz\n", encoding="utf-8"
    )
    (folder / "dseg.tsv").write_text("index\tname\n2\tleft white matter\n41\tright white matter\n", encoding="utf-8")


def _write_transforms(folder: Path, pair: PhantomPair) -> None:
    """The true map, in files of several tools."""
    warp, affine = pair.transform.parts
    grids = {"fixed": pair.fixed.grid, "moving": pair.moving.grid}
    for name in ("rigid.mat", "affine.tfm"):
        warpline.write_transform(affine, folder / name)
    warpline.write_transform(affine, folder / "flirt.mat", format="fsl-flirt", **grids)
    warpline.write_transform(affine, folder / "robust.lta", format="freesurfer-lta", **grids)
    (folder / "t1_to_mni").mkdir()
    warpline.write_transform(affine, folder / "t1_to_mni" / "0GenericAffine.mat")
    for name in ("t1_to_mni/1Warp", "sub-01_Velocity", "sub-02_Velocity"):
        warpline.write_transform(warp, folder / f"{name}.nii.gz")
