"""Images through lists of transforms, and Jacobian determinants."""

from __future__ import annotations

import logging

import nibabel
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from oblique_pair import FIXED, MOVING, TURN, fading, smooth_field, smooth_image
from warpline.errors import InputError, UsageError
from warpline.images import Image
from warpline.io.images import write_image
from warpline.io.transform_files import write_transform
from warpline.operations import apply, apply_points, compose, invert, jacobian
from warpline.resampling import INTERPOLATIONS, warp, warp_vectors
from warpline.space import Affine, Chain, Displacement
from warpline.space.grid import Grid

CHAIN = Chain((smooth_field(FIXED), TURN))


@pytest.fixture
def files(tmp_path):
    """Paths of an image, a reference, a warp and an affine."""
    write_image(smooth_image(MOVING), tmp_path / "moving.nii.gz")
    write_image(smooth_image(FIXED), tmp_path / "fixed.nii.gz")
    write_transform(CHAIN.parts[0], tmp_path / "warp.nii.gz")
    write_transform(TURN, tmp_path / "affine.mat")
    return {path.name.partition(".")[0]: str(path) for path in tmp_path.iterdir()}


def test_files_objects_and_nibabel_images_give_the_same(files):
    from_files = apply(files["moving"], files["fixed"], [files["warp"], files["affine"]], backend="numpy")
    from_values = apply(smooth_image(MOVING), FIXED, CHAIN, backend="numpy")
    from_nibabel = apply(
        nibabel.load(files["moving"]), nibabel.load(files["fixed"]), list(CHAIN.parts), backend="numpy"
    )
    np.testing.assert_allclose(from_files.data, from_values.data, atol=2e-4)
    np.testing.assert_allclose(from_nibabel.data, from_values.data, atol=2e-4)
    assert from_files.grid == FIXED


def test_brackets_invert_affines_and_warps(files):
    back = [f"[{files['affine']},1]", f"[{files['warp']},1]"]
    given = apply(files["fixed"], files["moving"], back, backend="numpy")
    expected = apply(smooth_image(FIXED), MOVING, invert(CHAIN, backend="numpy"), backend="numpy")
    np.testing.assert_allclose(given.data, expected.data, atol=2e-3)
    zero = apply(files["moving"], files["fixed"], [f"[{files['affine']},0]"], backend="numpy")
    np.testing.assert_array_equal(
        zero.data, apply(files["moving"], files["fixed"], files["affine"], backend="numpy").data
    )


def test_a_warp_that_leads_out_of_a_slice_is_warned_of(caplog):
    flat = Image.from_array(np.arange(64.0, dtype=np.float32).reshape(8, 8), name="slice")
    field = np.zeros((3, 8, 8, 2), np.float32)
    through_space = Displacement(field, Grid((8, 8, 2), np.eye(4)))
    apply(flat, flat.grid, through_space, backend="numpy")
    (record,) = caplog.records
    assert "slice is 2-D and the warp is 3-D" in record.getMessage()
    caplog.clear()
    apply(flat, flat.grid, Displacement(field[..., :1], flat.grid), backend="numpy")
    apply(flat, flat.grid, Affine.identity(), backend="numpy")
    assert caplog.records == []


@pytest.mark.parametrize("name", INTERPOLATIONS)
def test_one_interpolation_however_many_transforms(name, numpy_backend):
    """Four transforms that undo each other leave the image as one that does nothing would."""
    labels = Image(np.random.default_rng(0).integers(0, 9, MOVING.shape).astype(np.int16), MOVING)
    nothing = Chain((TURN, TURN.inverse(), TURN, TURN.inverse()))
    np.testing.assert_allclose(
        apply(labels, MOVING, nothing, interpolation=name, backend=numpy_backend).data, labels.data, atol=1e-4
    )


def test_images_that_do_not_meet_are_warned_of(caplog):
    away = np.eye(4)
    away[0, 3] = 500
    with caplog.at_level(logging.WARNING, "warpline"):
        assert not apply(smooth_image(MOVING), FIXED, Affine(away), backend="numpy").data.any()
        assert "no voxel of the reference looks into" in caplog.text
        caplog.clear()
        apply(smooth_image(MOVING), FIXED, TURN, backend="numpy")
        assert caplog.text == ""


def test_a_field_with_gaps_gives_no_false_alarm(caplog):
    field = np.zeros((3, *FIXED.shape), np.float32)
    field[:, 0] = np.nan
    with caplog.at_level(logging.WARNING, "warpline"):
        warped = apply(smooth_image(FIXED), FIXED, Displacement(field, FIXED), outside=-1, backend="numpy")
    assert (warped.data[0] == -1).all() and not caplog.records


@pytest.mark.parametrize(
    ("kind", "outside"), [("uint8", -1), ("uint8", 256), ("int16", 0.5), ("bool", 2), ("u4", np.nan)]
)
@pytest.mark.parametrize("name", ["nearest", "label"])
def test_outside_must_be_a_value_of_the_type(kind, outside, name):
    labels = Image(np.ones(MOVING.shape, kind), MOVING, "labels.nii")
    with pytest.raises(UsageError, match=r"labels\.nii holds u?int|labels\.nii holds bool"):
        apply(labels, FIXED, TURN, interpolation=name, outside=outside, backend="numpy")


@pytest.mark.parametrize("entry", ["[a.mat,2]", "[a.mat", "[a.mat,-1]", "[a.mat, 1]"])
def test_brackets_that_are_not_understood_are_wrong_usage(entry):
    with pytest.raises(UsageError, match=r"write \[FILE,1\]"):
        apply(smooth_image(MOVING), FIXED, entry)


def test_an_interpolation_can_be_a_function():
    expected = apply(smooth_image(MOVING), FIXED, TURN, interpolation="cubic", backend="numpy")
    given = apply(smooth_image(MOVING), FIXED, TURN, interpolation=INTERPOLATIONS["cubic"], backend="numpy")
    np.testing.assert_array_equal(given.data, expected.data)


@pytest.mark.parametrize("frame", ["ras", "lps", "voxel"])
def test_vectors_are_turned_in_their_frame(frame, numpy_backend):
    from warpline.io.vectors import from_world, to_world

    vectors = Image(np.random.default_rng(0).normal(size=(*MOVING.shape, 3)).astype(np.float32), MOVING)
    given = apply(vectors, FIXED, CHAIN, vectors=frame, backend=numpy_backend)
    world = warp_vectors(to_world(vectors, frame), CHAIN, FIXED, backend=numpy_backend)
    np.testing.assert_allclose(to_world(given, frame).data, world.data, atol=1e-5)
    np.testing.assert_allclose(from_world(world, frame).data, given.data, atol=1e-5)


def test_vectors_turn_as_streamlines_do(numpy_backend):
    """A short piece of streamline, carried as points to the fixed image, runs along the warped vector."""
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("xyz", (25, -40, 15), degrees=True).as_matrix()
    along = np.array([0.6, -0.3, 0.74])
    arrows = Image(np.broadcast_to(np.float32(along), (*MOVING.shape, 3)).copy(), MOVING)
    warped = apply(arrows, FIXED, Affine(turn), vectors="ras", backend=numpy_backend).data[7, 6, 5]
    begin, end = apply_points([MOVING.centre, MOVING.centre + along], Affine(turn), to="fixed")
    np.testing.assert_allclose(warped, end - begin, atol=1e-5)


def test_label_takes_whole_numbers_of_any_type_only():
    whole = Image(np.float32(np.random.default_rng(0).integers(0, 4, MOVING.shape)), MOVING, "whole.nii")
    assert apply(whole, FIXED, TURN, interpolation="label", backend="numpy").data.dtype == np.float32
    for odd in (0.5, np.nan):
        with pytest.raises(InputError, match="labels are whole numbers"):
            apply(Image(whole.data + odd, MOVING, "odd.nii"), FIXED, TURN, interpolation="label", backend="numpy")


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"interpolation": "lanczos"}, "choose from linear, nearest, cubic, sinc, label"),
        ({"interpolation": "label", "vectors": "ras"}, "interpolation of vectors is 'label'"),
        ({"vectors": "fsl"}, "choose from ras, lps, voxel"),
    ],
)
def test_choices_that_are_not_offered_are_named(how, words):
    vectors = Image(np.zeros((*MOVING.shape, 3), np.float32), MOVING)
    with pytest.raises(UsageError, match=words):
        apply(vectors, FIXED, TURN, backend="numpy", **how)


def test_without_transforms_an_image_is_regridded(numpy_backend):
    expected = warp(smooth_image(MOVING), Affine.identity(), FIXED, backend=numpy_backend)
    np.testing.assert_array_equal(apply(smooth_image(MOVING), FIXED, [], backend=numpy_backend).data, expected.data)


# -- Jacobian determinants --------------------------------------------------------------------------------------


@pytest.mark.parametrize("grid", [FIXED, MOVING], ids=["oblique", "flipped"])
def test_determinant_includes_the_affine(grid, backend):
    values = jacobian([smooth_field(grid, 1e-6), TURN], grid, backend=backend)
    np.testing.assert_allclose(values.data, np.linalg.det(TURN.matrix[:3, :3]), rtol=1e-5)
    assert values.data.dtype == np.float32 and values.grid is grid


def test_logarithm_is_natural_and_adds_up():
    forward, back = (jacobian(one, FIXED, log=True, backend="numpy").data for one in (TURN, TURN.inverse()))
    np.testing.assert_allclose(forward, -back, atol=1e-6)
    np.testing.assert_allclose(forward, np.log(np.linalg.det(TURN.matrix[:3, :3])), atol=1e-6)


def test_folds_have_no_logarithm_and_are_said(caplog):
    folded = Displacement(np.float32(30) * fading(FIXED).field, FIXED)
    with caplog.at_level(logging.WARNING, "warpline"):
        logs = jacobian(folded, FIXED, log=True, backend="numpy").data
    values = jacobian(folded, FIXED, backend="numpy").data
    np.testing.assert_array_equal(np.isnan(logs), values <= 0)
    assert f"{np.count_nonzero(values <= 0)} voxels have no logarithm" in caplog.text


# -- composition ------------------------------------------------------------------------------------------------


def test_compose_multiplies_affines_and_keeps_the_rest(files):
    whole = compose([files["affine"], f"[{files['affine']},1]", files["affine"]])
    assert isinstance(whole, Affine)
    np.testing.assert_allclose(whole.matrix, TURN.matrix, atol=1e-12)
    chain = compose([files["warp"], files["affine"], TURN])
    assert [type(part) for part in chain.parts] == [Displacement, Affine]


def test_a_composed_field_resamples_as_its_parts_do(files, tmp_path, numpy_backend):
    write_transform(compose([files["warp"], files["affine"]]), tmp_path / "whole.nii", fixed=FIXED)
    one = apply(files["moving"], files["fixed"], str(tmp_path / "whole.nii"), backend=numpy_backend)
    parts = warp(smooth_image(MOVING), CHAIN, FIXED, backend=numpy_backend)
    np.testing.assert_allclose(one.data, parts.data, atol=2e-3)


def stored_as(path, shape, intent):
    image = nibabel.Nifti1Image(np.ones(shape, np.float32), MOVING.affine)
    image.header["intent_code"] = intent
    nibabel.save(image, path)
    return path


@pytest.mark.parametrize(
    ("tail", "intent", "message"),
    [
        ((1, 3), 1007, r"holds vectors \(NIfTI intent 1007\).* --vectors ras, lps, voxel"),
        ((1, 3), 1006, "holds vectors"),
        ((3,), 1007, "holds vectors"),
        ((3,), 2006, "holds vectors"),
        ((6,), 1005, r"holds matrices \(NIfTI intent 1005\).* is not offered; --vectors none"),
    ],
)
@pytest.mark.parametrize("opened", [False, True])
def test_vectors_are_never_taken_for_a_series_in_silence(tmp_path, caplog, tail, intent, message, opened):
    path = stored_as(tmp_path / "v.nii.gz", (*MOVING.shape, *tail), intent)
    with pytest.raises(UsageError, match=message):
        apply(nibabel.load(path) if opened else path, FIXED, TURN, backend="numpy")
    carried = apply(path, FIXED, TURN, vectors="none", backend="numpy")
    assert carried.data.shape == (*FIXED.shape, tail[-1])
    assert not [said for said in caplog.messages if "carried one by one" in said]


def test_three_volumes_that_may_be_vectors_are_a_warning(tmp_path, caplog):
    path = stored_as(tmp_path / "v.nii.gz", (*MOVING.shape, 3), 0)
    apply(path, FIXED, TURN, backend="numpy")
    assert "has three volumes, carried one by one: if they are components of vectors" in caplog.text
    caplog.clear()
    apply(path, FIXED, TURN, vectors="none", backend="numpy")
    apply(stored_as(tmp_path / "s.nii.gz", (*MOVING.shape, 4), 0), FIXED, TURN, backend="numpy")
    assert not [said for said in caplog.messages if "carried one by one" in said]


def test_what_lies_beyond_ct_is_air(caplog):
    data = np.full(MOVING.shape, -1000, np.int16)
    data[4:-4, 4:-4, 4:-4] = 300
    away = np.eye(4)
    away[0, 3] = 30
    image, shift = Image(data, MOVING, "ct.nii"), Affine(away)
    warped = apply(image, FIXED, shift, backend="numpy")
    assert warped.data.min() == -1000 and not (warped.data == 0).any()
    assert "beyond ct.nii the result is -1000, its background; --outside" in caplog.text
    assert (apply(image, FIXED, shift, interpolation="nearest", backend="numpy").data != 0).all()
    assert (apply(image, FIXED, shift, outside=0.0, backend="numpy").data == 0).any()
    caplog.clear()
    bare = Image(np.random.default_rng(0).uniform(800, 1200, MOVING.shape).astype(np.float32), MOVING, "bare.nii")
    assert (apply(bare, FIXED, shift, backend="numpy").data == 0).any()
    assert "beyond bare.nii, whose values begin at 80" in caplog.text
