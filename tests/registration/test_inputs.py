"""Reading the inputs of a registration: starts, masks, headers, slices, other loaders."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest

from made_registrations import FIXED_AFFINE, MOVING_AFFINE, NO_STAGES, QUICK, QUICK_RIGID, SHAPE
from synthetic import fading_field
from warpline.errors import InputError, UsageError
from warpline.images import Image
from warpline.io.images import read_image
from warpline.io.transform_files import read_transform, write_transform
from warpline.registration import ImagePair, SurfacePair, in_one_plane, inputs, load, register
from warpline.space import Affine, Displacement
from warpline.space.grid import Grid

SHIFT = Affine(np.array([[1.0, 0, 0, 2], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]))
TURN = Affine(np.array([[0.0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]))


@pytest.fixture
def starts(tmp_path):
    """Files of a turn, a shift and a warp."""
    files = {name: str(tmp_path / name) for name in ("turn.mat", "shift.mat", "warp.nii.gz")}
    write_transform(TURN, files["turn.mat"])
    write_transform(SHIFT, files["shift.mat"])
    field = fading_field(SHAPE, 1, 1.5, 4.0)
    write_transform(Displacement(field, Grid(SHAPE, FIXED_AFFINE)), files["warp.nii.gz"])
    return files


def test_points_go_through_the_first_start_first(paths, starts):
    found = inputs.read(*paths, NO_STAGES, initial=[starts["turn.mat"], starts["shift.mat"]])
    np.testing.assert_allclose(found.initial.matrix, (SHIFT @ TURN).matrix, atol=1e-6)
    assert found.origin == [starts["turn.mat"], starts["shift.mat"]]
    back = inputs.read(*paths, NO_STAGES, initial=f"[{starts['turn.mat']},1]")
    np.testing.assert_allclose(back.initial.matrix, TURN.inverse().matrix, atol=1e-6)


def test_starts_are_transforms_files_and_matrices_together(paths, starts):
    found = inputs.read(*paths, NO_STAGES, initial=[starts["warp.nii.gz"], TURN, SHIFT.matrix])
    warp, affine = found.initial.parts
    np.testing.assert_allclose(affine.matrix, (SHIFT @ TURN).matrix, atol=1e-6)
    assert isinstance(warp, Displacement) and found.origin == [starts["warp.nii.gz"], TURN.matrix.tolist(),
                                                               SHIFT.matrix.tolist()]  # fmt: skip
    alone = inputs.read(*paths, NO_STAGES, initial=TURN.matrix.tolist())
    np.testing.assert_array_equal(alone.initial.matrix, TURN.matrix)
    assert alone.origin == TURN.matrix.tolist()
    assert inputs.read(*paths, NO_STAGES, initial=[]).initial is None


def test_starts_in_an_order_without_a_meaning_are_noted(paths, tmp_path):
    affine, warp = str(tmp_path / "0GenericAffine.mat"), str(tmp_path / "1Warp.nii.gz")
    write_transform(TURN, affine)
    write_transform(Displacement(fading_field(SHAPE, 1, 1.5, 4.0), Grid(SHAPE, FIXED_AFFINE)), warp)
    assert inputs.read(*paths, NO_STAGES, initial=[warp, affine]).notes == ()
    (note,) = inputs.read(*paths, NO_STAGES, initial=[affine, warp]).notes
    assert f"-t {warp} -t {affine}" in note


def test_a_label_map_given_as_an_image_is_noted(paths):
    labels = Image.from_array(np.kron(np.arange(27).reshape(3, 3, 3), np.ones((8, 8, 8), np.int16)), name="atlas")
    (note,) = inputs.read(labels, paths[1], NO_STAGES).notes
    assert note.startswith("atlas looks like a label map")
    mask = Image.from_array((labels.data > 12).astype(np.uint8))
    assert inputs.read(mask, paths[1], NO_STAGES).notes == ()


@pytest.mark.parametrize("wrong", [object(), [object()], [[1, 2], [3]]])
def test_what_is_no_start_is_refused(paths, wrong):
    with pytest.raises(UsageError, match=r"initial holds a .*; transforms, files or"):
        inputs.read(*paths, NO_STAGES, initial=wrong)


def test_an_inverted_warp_is_a_start(paths, starts):
    there = read_transform(starts["warp.nii.gz"])
    found = inputs.read(*paths, NO_STAGES, initial=f"[{starts['warp.nii.gz']},1]", backend="numpy")
    points = np.random.default_rng(0).uniform(-8, 8, (20, 3))
    np.testing.assert_allclose(there.map_points(found.initial.map_points(points)), points, atol=0.05)


def test_landmarks_beyond_their_image_are_noted(paths):
    inside = np.random.default_rng(0).uniform(-5, 5, (4, 3))
    outside = inside + [0, 500, 0]
    found = inputs.read(*paths, NO_STAGES, landmarks=(inside, outside), initial=TURN)
    assert found.landmarks.names == ("1", "2", "3", "4") and found.landmark_files is None
    beyond, measured = found.notes
    assert beyond.startswith("4 of 4 landmarks lie outside the moving image (1, 2, 3, 4)")
    assert "in place of one fitted to the landmarks" in measured


def test_surfaces_beyond_their_image_are_noted(paths):
    inside = np.random.default_rng(0).uniform(-5, 5, (4, 3))
    found = inputs.read(*paths, NO_STAGES, surfaces=[SurfacePair(inside, inside + [0, 500, 0])], initial=TURN)
    beyond, measured = found.notes
    assert beyond.startswith("4 of 4 points of moving surface 1 lie outside the moving image")
    assert "in place of one fitted to the surfaces" in measured and len(found.surfaces) == 1


def test_what_headers_leave_open_stands_in_the_report(paths, tmp_path):
    moving = nibabel.load(paths[1])
    moving.set_sform(moving.affine, 4)
    moving.set_qform(np.diag((1, 1, -1, 1)) @ moving.affine, 1)
    nibabel.save(moving, tmp_path / "open.nii")
    made = register(paths[0], tmp_path / "open.nii", QUICK_RIGID, backend="numpy")
    (warning,) = (text for text in made.report["warnings"] if "open.nii" in text)
    assert "placed by the sform (code 4)" in warning and "and mirrored" in warning
    assert made.report["geometry"] is None
    assert [made.report["inputs"][name]["matrix"] for name in ("fixed", "moving")] == ["sform", "sform"]
    assert made.inverse_warped.grid == read_image(paths[1]).grid and made.inverse_warped.grid.notes == ()
    other = inputs.read(paths[0], tmp_path / "open.nii", QUICK_RIGID, geometry="qform")
    assert other.described["moving"]["matrix"] == "qform" and other.geometry == "qform"
    np.testing.assert_allclose(other.images["moving"].affine, np.diag((1, 1, -1, 1)) @ MOVING_AFFINE, atol=1e-5)


def test_reading_computes_nothing_and_keeps_the_images(paths):
    found = inputs.read(*paths, NO_STAGES)
    assert set(found.images) == {"fixed", "moving"}
    np.testing.assert_array_equal(found.images["fixed"].data, read_image(paths[0]).data)
    assert set(found.seconds) == {"read", "check"}
    assert found.initial is None and found.notes == ()


def test_another_loader_may_read_the_images(paths):
    asked = []

    def cached(source, name, geometry):
        asked.append((source, name, geometry))
        return load(source, name, geometry)

    inputs.read(*paths, NO_STAGES, load=cached)
    assert asked == [(paths[0], "fixed", None), (paths[1], "moving", None)]


def plane_at(height, flat=True):
    affine = np.eye(4)
    affine[2, 3] = height
    return Image(np.zeros((3, 4, 1)), Grid((3, 4, 1), affine, flat))


def test_planar_images_are_moved_to_the_fixed_plane():
    images = in_one_plane({"fixed": plane_at(0), "moving": plane_at(7)})
    assert images["moving"].affine[2, 3] == 0


def test_slices_of_volumes_stay_at_their_height():
    images = in_one_plane({"fixed": plane_at(0), "moving": plane_at(7, flat=False)})
    assert images["moving"].affine[2, 3] == 7


def slice_at(height):
    grid = plane_at(height).grid
    return Image(np.random.default_rng(0).uniform(size=(24, 24, 1)), Grid((24, 24, 1), grid.affine, flat=True))


@pytest.mark.parametrize("rise", [7.0, 0.0])
def test_a_start_leads_into_the_plane_of_planar_images(rise):
    """Whether it leads to that of the moving header, as a true one in world space does, or stays in the fixed one."""
    start = np.eye(4)
    start[:3, 3] = (2.0, -1.0, rise)
    found = inputs.read(slice_at(0), slice_at(7), "rigid", initial=start).initial
    np.testing.assert_allclose(found.matrix[:3, 3], (2.0, -1.0, 0.0), atol=1e-9)


def test_a_warp_leads_into_the_plane_of_planar_images():
    fixed = slice_at(0)
    field = np.zeros((3, *fixed.grid.shape), np.float32)
    field[0], field[2] = 1.5, 7.0
    found = inputs.read(fixed, slice_at(7), "rigid", initial=Displacement(field, fixed.grid)).initial
    np.testing.assert_allclose(found.map_points([[10.0, 9.0, 0.0]]), [[11.5, 9.0, 0.0]], atol=1e-5)


def mask_on(grid, name="mask.nii", dtype=np.uint8):
    data = np.zeros(grid.shape, dtype)
    data[2:-2, 2:-2, 2:-2] = 1
    return Image(data, grid, name)


def test_masks_come_to_the_grids_of_their_images(paths):
    fixed, moving = (read_image(path) for path in paths)
    coarse = Grid((15, 14, 13), fixed.affine @ np.diag([2.0, 2.0, 2.0, 1.0]))
    pair = ImagePair(fixed, moving, fixed_mask=mask_on(coarse, "other.nii"))
    found = inputs.read(fixed, moving, QUICK, mask_on(coarse), mask_on(moving.grid), pairs=[pair])
    assert found.images["fixed_mask"].grid == fixed.grid == found.pairs[0].fixed_mask.grid
    assert 0 < found.images["fixed_mask"].data.mean() < 1
    note = f"mask.nii lies on another grid than {fixed.name} and was resampled by nearest neighbour"
    assert found.notes == (note, note.replace("mask", "other"))
    report = register(fixed, moving, NO_STAGES, mask_on(coarse), backend="numpy").report
    assert note in report["warnings"]


def test_a_flat_mask_of_a_volume_is_refused(paths):
    flat = Image(np.ones((3, 4, 1), np.uint8), Grid((3, 4, 1), np.eye(4), flat=True), "flat.nii")
    with pytest.raises(InputError, match=r"flat\.nii is 2-D and .* a volume"):
        inputs.read(*paths, QUICK, fixed_mask=flat)


def test_weights_stay_on_their_grids(paths):
    weights = mask_on(Grid((9, 9, 9), read_image(paths[0]).affine @ np.diag([3.0, 3.0, 3.0, 1.0])), dtype=np.float32)
    found = inputs.read(*paths, QUICK, fixed_weights=weights)
    assert found.images["fixed_weights"].grid == weights.grid and found.notes == ()
    assert found.described["fixed_weights"]["shape"] == [9, 9, 9]


def test_weights_need_a_deformable_stage_and_sense(paths):
    weights = mask_on(read_image(paths[1]).grid, dtype=np.float32)
    with pytest.raises(UsageError, match=r"runs no deformable stage, which alone heeds weights such as mask\.nii"):
        inputs.read(*paths, "rigid", moving_weights=weights)
    weights.data[5, 5, 5] = -1
    with pytest.raises(InputError, match=r"mask\.nii has weights down to -1"):
        inputs.read(*paths, QUICK, moving_weights=weights)


def test_masks_that_no_stage_heeds_are_noted(paths):
    mask = mask_on(read_image(paths[0]).grid)
    (note,) = inputs.read(*paths, QUICK_RIGID.with_options("linear.masks=false"), mask).notes
    assert "heeded by no stage, as linear.masks of recipe quick says" in note
    assert inputs.read(*paths, QUICK.with_options("linear.masks=false"), mask).notes == ()
    both = QUICK.with_options("linear.masks=false", "syn.masks=false")
    assert "as linear.masks and syn.masks say" in inputs.read(*paths, both, mask).notes[0]
