"""Maps of a subject whose map is known: an affine stretch along x, a displacement along y."""

from __future__ import annotations

import json

import numpy as np
import pytest

from made_cohort import GROWTH, VOXEL, ball, grid_of, maps_of, sidecar_of, write_cohort
from warpline.cohort.group.options import GroupOptions
from warpline.cohort.group.subject_maps import check_registered, smoothed
from warpline.cohort.group.subjects import choose_subjects
from warpline.cohort.plan import plan_of
from warpline.errors import InputError
from warpline.images import Image
from warpline.io.images import write_image
from warpline.space.grid import Grid


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_cohort(tmp_path_factory.mktemp("maps"), ["pass", "pass"])


def test_jacobians_are_those_of_the_whole_map(root):
    np.testing.assert_allclose(maps_of(root).image("jacobian"), GROWTH * 1.2, rtol=1e-5)
    np.testing.assert_allclose(maps_of(root, 1).image("log_jacobian"), np.log(GROWTH * 1.1), rtol=1e-5)


def test_without_the_affine_the_displacement_is_left(root):
    np.testing.assert_allclose(maps_of(root, with_affine=False).image("jacobian"), 1.2, rtol=1e-5)


def test_modulated_labels_add_up_to_the_native_volume(root):
    maps = maps_of(root, labels=[3])
    native = ball(grid_of(), 6.4).sum() * VOXEL
    surface = 0.2  # of a ball a few voxels wide, what its carried voxels may miss by nearest neighbour
    assert maps.image("modulated_label3").sum() * VOXEL == pytest.approx(native, rel=surface)
    assert maps.image("label3").sum() * VOXEL == pytest.approx(native / (GROWTH * 1.2), rel=surface)


def test_tissues_keep_their_amount_when_they_are_modulated(root, tmp_path):
    grid = grid_of()
    soft = smoothed(ball(grid, 5).astype(np.float32), grid, 6.0)
    write_image(Image(soft, grid), tmp_path / "sub-002_gm.nii.gz")
    maps = maps_of(root, tissues={"gm": f"{tmp_path}/{{id}}_gm.nii.gz"})
    assert maps.image("modulated_gm").sum() == pytest.approx(soft.sum(), rel=0.01)
    assert maps.image("gm").sum() == pytest.approx(soft.sum() / (GROWTH * 1.2), rel=0.01)


def test_folds_are_raised_and_counted(root, monkeypatch):
    maps = maps_of(root)
    folded = np.array([[[2.0, -1.0, 0.0]]], np.float32)
    monkeypatch.setattr(maps, "_jacobian", folded, raising=False)
    assert maps.image("log_jacobian").ravel().tolist() == pytest.approx([np.log(2), np.log(0.01), np.log(0.01)])
    assert maps.raised_voxels == 2


def test_smoothing_has_the_width_that_is_asked_for():
    grid = Grid((41, 41, 1), np.diag([0.5, 1.0, 3.0, 1.0]))
    point = np.zeros(grid.shape, np.float32)
    point[20, 20] = 1
    found = smoothed(point, grid, 6.0)
    assert found[20 + 6, 20, 0] / found[20, 20, 0] == pytest.approx(0.5, abs=1e-4)  # 3 mm, half of the width
    assert found[20, 20 + 3, 0] / found[20, 20, 0] == pytest.approx(0.5, abs=1e-4)
    assert found.sum() == pytest.approx(1, abs=1e-3) and smoothed(point, grid, 0) is point


@pytest.mark.parametrize(
    ("options", "change", "words"),
    [
        ({}, {"files": {"affine": {}, "warped": {}}}, "registered with --warp none"),
        ({"with_affine": False}, {"recipe": {"syn": None}}, "by an affine alone: without it nothing is left"),
        ({"labels": [3]}, {"files": {"warp": {}}}, "no moving labels, for --label"),
    ],
)
def test_maps_that_cannot_be_made_are_refused(root, options, change, words):
    subject = choose_subjects(plan_of(root), root)[0][0]
    with pytest.raises(InputError, match=words):
        check_registered(subject, GroupOptions(**options), {**sidecar_of(root, subject), **change})


def test_registered_images_of_another_grid_are_refused(tmp_path):
    root = write_cohort(tmp_path, ["pass", "pass"])
    maps = maps_of(root)
    write_image(Image(np.zeros((3, 3, 3), np.float32), Grid((3, 3, 3), np.eye(4))), maps.path("warped"))
    with pytest.raises(InputError, match="does not lie on the grid of the fixed image"):
        maps.image("warped")


def test_an_affine_alone_has_one_determinant(tmp_path):
    root = write_cohort(tmp_path, ["pass"])
    sidecar = next(root.glob("sub-001/anat/*qc.json"))
    report = json.loads(sidecar.read_text())
    del report["files"]["warp"]
    sidecar.write_text(json.dumps({**report, "recipe": {"name": "affine", "syn": None}}))
    np.testing.assert_allclose(maps_of(root, 1).image("jacobian"), GROWTH, rtol=1e-6)
