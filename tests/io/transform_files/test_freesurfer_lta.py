"""FreeSurfer's LTA files of both types: hand-computed points, and what nitransforms makes of them."""

from __future__ import annotations

import nibabel
import nitransforms
import numpy as np
import pytest
from nitransforms.io.lta import FSLinearTransform

from made_transforms import PAIRS, inner_points, made_affine, made_pair
from warpline.errors import InputError
from warpline.io.transform_files import identify, read_transform, write_transform

SOURCE = """\
valid = 1  # volume info valid
filename = /home/me/mri/rawavg.mgz
volume = 10 10 10
voxelsize = 1.0 1.0 1.0
xras   = -1.0 0.0 0.0
yras   = 0.0 0.0 -1.0
zras   = 0.0 1.0 0.0
cras   = 3.0 0.0 0.0
"""
DESTINATION = (
    SOURCE.replace("1.0 1.0 1.0", "2.0 2.0 2.0").replace("rawavg", "T1").replace("cras   = 3.0", "cras   = 0.0")
)
SHIFT = "1.0 0.0 0.0 2.0 \n0.0 1.0 0.0 0.0 \n0.0 0.0 1.0 0.0 \n0.0 0.0 0.0 1.0 \n"
"""A shift of the source by 2 along the first axis."""


def lta(kind, matrix=SHIFT, source=SOURCE, destination=DESTINATION):
    return (
        "# transform file out.lta\n# created by me\n\n"
        f"type      = {kind} # LINEAR\nnxforms   = 1\nmean      = 0.0000 0.0000 0.0000 \nsigma     = 1.0000 \n"
        f"1 4 4\n{matrix}src volume info\n{source}dst volume info\n{destination}subject me\nfscale 0.15\n"
    )


def test_points_by_hand(tmp_path):
    (tmp_path / "world.lta").write_text(lta(1))
    (tmp_path / "voxel.lta").write_text(lta(0))
    # world: source (moving) + 2 = destination (fixed), so that a fixed point loses 2
    np.testing.assert_allclose(read_transform(tmp_path / "world.lta").map_points([7, 5, 3]), (5, 5, 3))
    # voxels: fixed voxel (7, 5, 5) is moving voxel (5, 5, 5); the middle of both volumes is voxel (5, 5, 5),
    # world (0, 0, 0) of the fixed and (3, 0, 0) of the moving image; the fixed x axis points to the left, 2 mm a voxel
    ours = read_transform(tmp_path / "voxel.lta")
    np.testing.assert_allclose(ours.map_points([-4, 0, 0]), (3, 0, 0), atol=1e-12)
    # one voxel more along the fixed z axis, 2 mm to the front, is one along the moving one, 1 mm to the front
    np.testing.assert_allclose(ours.map_points([-4, 2, 0]), (3, 1, 0), atol=1e-12)


@pytest.mark.parametrize(("fixed_axes", "moving_axes"), PAIRS)
def test_nitransforms_reads_the_same_map(tmp_path, fixed_axes, moving_axes):
    fixed, moving = made_pair(fixed_axes, moving_axes)
    write_transform(made_affine(), tmp_path / "a.lta", fixed=fixed, moving=moving)
    theirs = nitransforms.linear.load(tmp_path / "a.lta", fmt="fs")
    points = inner_points(fixed)
    np.testing.assert_allclose(theirs.map(points), made_affine().map_points(points), atol=2e-5)
    stored = FSLinearTransform.from_string(
        "".join(f"{line}\n" for line in (tmp_path / "a.lta").read_text().split("\n"))
    )
    np.testing.assert_allclose(stored["src"].as_affine(), moving.affine, atol=1e-5)
    np.testing.assert_allclose(stored["dst"].as_affine(), fixed.affine, atol=1e-5)


@pytest.mark.parametrize(("fixed_axes", "moving_axes"), PAIRS)
def test_voxels_of_both_volumes_as_nitransforms_reads_them(tmp_path, fixed_axes, moving_axes):
    fixed, moving = made_pair(fixed_axes, moving_axes)
    write_transform(made_affine(), tmp_path / "a.lta", fixed=fixed, moving=moving)
    voxels = np.linalg.inv(fixed.affine) @ made_affine().inverse().matrix @ moving.affine
    lines = (tmp_path / "a.lta").read_text().splitlines()
    lines[0], lines[5:9] = "type      = 0", [" ".join(f"{value:.15e}" for value in row) for row in voxels]
    (tmp_path / "v.lta").write_text("\n".join([*lines, ""]))
    points = inner_points(fixed)
    expected = made_affine().map_points(points)
    np.testing.assert_allclose(read_transform(tmp_path / "v.lta").map_points(points), expected, atol=1e-9)
    theirs = nitransforms.linear.load(tmp_path / "v.lta", fmt="fs")
    np.testing.assert_allclose(theirs.map(points), expected, atol=1e-4)


def test_what_nitransforms_writes_is_read(tmp_path):
    fixed, moving = made_pair("oblique", "sagittal")
    images = [nibabel.Nifti1Image(np.zeros(one.shape, np.float32), one.affine) for one in (fixed, moving)]
    theirs = nitransforms.linear.Affine(made_affine().matrix, reference=images[0])
    theirs.to_filename(tmp_path / "a.lta", fmt="fs", moving=images[1])
    np.testing.assert_allclose(read_transform(tmp_path / "a.lta").matrix, made_affine().matrix, atol=1e-9)


def test_invalid_volumes_are_replaced_by_the_images(tmp_path):
    fixed, moving = made_pair("oblique", "sagittal")
    nothing = "valid = 0  # volume info invalid\n"
    (tmp_path / "v.lta").write_text(lta(0, source=nothing, destination=nothing))
    with pytest.raises(InputError, match=r"maps voxels, and says nothing valid about its source volume; .* moving="):
        read_transform(tmp_path / "v.lta")
    assert identify(tmp_path / "v.lta").kind == "not known without its images"
    ours = read_transform(tmp_path / "v.lta", fixed=fixed, moving=moving)
    there, here = (one.affine @ (voxel, 4, 4, 1) for one, voxel in ((moving, 3), (fixed, 5)))
    np.testing.assert_allclose(ours.map_points(here[:3]), there[:3], atol=1e-9)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (lta(21), "holds 1 transforms of type 21; one of type 0 or 1 can be read"),
        (lta(1).replace("nxforms   = 1", "nxforms   = 2"), "holds 2 transforms of type 1"),
        (lta(1, SHIFT.replace("2.0", "nan")), "singular or not finite"),
        (lta(1, SHIFT.replace("2.0", "two")), "damaged matrix .*'two'"),
        (lta(1).replace("1 4 4", "1 3 4"), "has no matrix after the line '1 4 4'"),
        (lta(0, source=SOURCE.replace("volume = 10 10 10", "volume = 10 10")), "damaged source volume"),
        (lta(0, source=SOURCE.replace("xras   = -1.0", "xras   = 0.0")), "its source volume is singular"),
        (lta(0, destination=DESTINATION.replace("cras", "case")), "damaged destination volume .*'cras'"),
    ],
)
def test_damage_is_named(tmp_path, text, message):
    (tmp_path / "bad.lta").write_text(text)
    with pytest.raises(InputError, match=f"bad\\.lta.*{message}"):
        read_transform(tmp_path / "bad.lta")


def test_writing_asks_for_the_images(tmp_path):
    with pytest.raises(InputError, match=r"an LTA file describes its images; .* fixed= and moving="):
        write_transform(made_affine(), tmp_path / "a.lta")


def test_endless_blank_lines_take_no_time_to_refuse(tmp_path):
    """A pattern that tried every split of them took hours."""
    (tmp_path / "x.lta").write_text("type = 1\nnxforms = 1\n" + "\n" * 200_000)
    with pytest.raises(InputError, match="no matrix after the line"):
        read_transform(tmp_path / "x.lta", "freesurfer-lta")
