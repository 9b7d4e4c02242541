"""ANTsPy's transform objects: what its own give for files that it wrote."""

from __future__ import annotations

import ants
import nibabel
import numpy as np
import pytest

from ants_peers import DIRECTIONS, in_ants, made_grid, smooth, write_affine, write_warp
from warpline import ants as ours
from warpline.errors import InputError, UsageError

FIXED = made_grid(DIRECTIONS["oblique"], (13, 11, 10), (2.0, 2.3, 2.6))

MOVING = made_grid(DIRECTIONS["flipped"], (15, 14, 12), (1.6, 1.8, 2.4))

POINTS = np.random.default_rng(0).uniform(-6, 6, (10, 3)) + np.array([-3.0, 20, 8])


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("transforms")
    return {"affine": write_affine(folder / "a.mat"), "warp": write_warp(folder / "w.nii.gz", FIXED)}


@pytest.mark.parametrize("kind", ["affine", "warp"])
def test_points_and_images_go_where_antspy_takes_them(files, kind):
    theirs, mine = ants.read_transform(files[kind]), ours.read_transform(files[kind])
    assert mine.type == theirs.type and mine.dimension == theirs.dimension == 3
    for point in POINTS:
        expected = ants.apply_ants_transform_to_point(theirs, point.tolist())
        np.testing.assert_allclose(ours.apply_ants_transform_to_point(mine, point), expected, atol=2e-5)
        np.testing.assert_allclose(ours.apply_ants_transform(mine, point), expected, atol=2e-5)
    array = smooth(MOVING.shape, 3)
    expected = ants.apply_ants_transform_to_image(
        theirs, in_ants(array, MOVING), in_ants(smooth(FIXED.shape, 1), FIXED)
    )
    for found in (
        ours.apply_ants_transform_to_image(mine, (array, MOVING.affine), (np.zeros(FIXED.shape), FIXED.affine)),
        ours.apply_ants_transform(mine, (array, MOVING.affine), "image", (np.zeros(FIXED.shape), FIXED.affine)),
    ):
        seen = expected.numpy() != 0  # beyond the outer centres rules differ
        close = np.isclose(np.asarray(found.dataobj), expected.numpy(), atol=1e-4)
        assert close[seen].mean() > 0.97 and seen.mean() > 0.5


def test_parameters_and_vectors_of_an_affine(files):
    theirs, mine = ants.read_transform(files["affine"]), ours.read_transform(files["affine"])
    matrix = theirs.parameters[:9].reshape(3, 3)
    centre = np.asarray(theirs.fixed_parameters)
    np.testing.assert_allclose(mine.parameters[:9].reshape(3, 3), matrix, atol=1e-6)
    np.testing.assert_allclose(mine.parameters[9:], theirs.parameters[9:] + centre - matrix @ centre, atol=1e-4)
    np.testing.assert_array_equal(mine.fixed_parameters, np.zeros(3))
    vector = [1.0, -2.0, 3.0]
    expected = ants.apply_ants_transform_to_vector(theirs, vector)
    np.testing.assert_allclose(ours.apply_ants_transform_to_vector(mine, vector), expected, atol=1e-6)
    np.testing.assert_allclose(ours.apply_ants_transform(mine, vector, "vector"), expected, atol=1e-6)


def test_inverses_and_compositions(files):
    affine, warp = ours.read_transform(files["affine"]), ours.read_transform(files["warp"])
    both = ours.compose_ants_transforms([warp, affine])
    assert both.type == "CompositeTransform"
    for point in POINTS:
        there = ours.apply_ants_transform_to_point(affine, ours.apply_ants_transform_to_point(warp, point))
        np.testing.assert_allclose(both.apply_to_point(point), there, atol=1e-9)
        np.testing.assert_allclose(ours.invert_ants_transform(affine).apply_to_point(there), warp.apply_to_point(point))
    theirs = ants.compose_ants_transforms([ants.read_transform(files[kind]) for kind in ("affine", "affine")])
    twice = ours.compose_ants_transforms([affine, affine])
    np.testing.assert_allclose(twice.apply_to_point(POINTS[0]), theirs.apply_to_point(POINTS[0].tolist()), atol=2e-5)


def test_two_dimensions(tmp_path):
    made = ants.create_ants_transform(dimension=2, matrix=np.array([[0.9, 0.1], [-0.2, 1.1]]), translation=(3.0, -4.0))
    ants.write_transform(made, str(tmp_path / "flat.mat"))
    mine = ours.read_transform(tmp_path / "flat.mat")
    assert mine.dimension == 2
    np.testing.assert_allclose(mine.apply_to_point((5.0, 6.0)), made.apply_to_point((5.0, 6.0)), atol=1e-5)
    np.testing.assert_allclose(mine.parameters, [0.9, 0.1, -0.2, 1.1, 3, -4], atol=1e-6)
    ours.write_transform(mine, tmp_path / "again.mat")
    again = ants.read_transform(str(tmp_path / "again.mat"))
    assert again.dimension == 2
    np.testing.assert_allclose(again.apply_to_point((5.0, 6.0)), made.apply_to_point((5.0, 6.0)), atol=1e-5)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda t: ours.read_transform("absent.mat"), InputError, "absent.mat"),
        (lambda t: ours.write_transform("a.mat", "b.mat"), UsageError, "transform is str"),
        (lambda t: t["affine"].apply_to_point((1, 2)), InputError, r"point has shape \(2,\); \(3,\) is needed"),
        (lambda t: t["affine"].apply((1, 2, 3), "tensor"), UsageError, "choose from point, vector, image"),
        (lambda t: t["warp"].apply_to_vector((1, 2, 3)), UsageError, "for affine transforms only"),
        (lambda t: t["warp"].parameters, UsageError, "for affine transforms only"),
        (lambda t: t["affine"].apply_to_image(np.zeros((4, 4, 4)), None, "cubic"), UsageError, "choose from linear"),
        (lambda t: ours.fsl2antstransform(np.eye(3), FIXED, FIXED), InputError, r"\(4, 4\) is needed"),
        (lambda t: ours.compose_ants_transforms([]), UsageError, "of one dimension"),
        (lambda t: ours.ANTsTransform(t["affine"].transform, 4), UsageError, "2 and 3"),
    ],
)
def test_bad_input_is_named(files, call, error, words):
    with pytest.raises(error, match=words):
        call({kind: ours.read_transform(path) for kind, path in files.items()})


@pytest.mark.parametrize("layout", ["four axes", "five axes", "file"])
def test_vectors_are_turned_as_antspy_turns_them(files, tmp_path, layout):
    array = np.stack([smooth(MOVING.shape, seed) for seed in (3, 4, 5)], axis=-1)
    fixed = in_ants(smooth(FIXED.shape, 1), FIXED)
    expected = ants.apply_transforms(fixed, in_ants(array, MOVING, True), [files["affine"]], imagetype=1).numpy()
    given = nibabel.Nifti1Image(array if layout == "four axes" else array[:, :, :, None], MOVING.affine)
    if layout == "file":
        given.header.set_intent("vector")
        nibabel.save(given, tmp_path / "vectors.nii.gz")
        given = str(tmp_path / "vectors.nii.gz")
    found = ours.apply_transforms((np.zeros(FIXED.shape), FIXED.affine), given, [files["affine"]], imagetype=1)
    assert found.shape == (*FIXED.shape, 1, 3) and found.header.get_intent()[0] == "vector"
    mine = np.asarray(found.dataobj)[:, :, :, 0]
    seen = np.any(expected != 0, axis=-1)
    close = np.isclose(mine, expected, atol=1e-4).all(axis=-1)
    assert close[seen].mean() > 0.97 and seen.mean() > 0.5


def test_physical_vectors_are_in_lps(files):
    array = np.zeros((*MOVING.shape, 3), np.float32)
    array[...] = 1, 2, 3
    along_axes = array @ np.diag([-1.0, -1, 1]) @ (MOVING.affine[:3, :3] / MOVING.voxel_size)
    fixed = (np.zeros(FIXED.shape), FIXED.affine)
    voxel, world = (
        np.asarray(
            ours.apply_transforms(
                fixed, (data.astype(np.float32), MOVING.affine), [files["affine"]], imagetype=kind
            ).dataobj
        )[:, :, :, 0]
        for kind, data in ((1, along_axes), (6, array))
    )
    turned = voxel @ (np.diag([-1.0, -1, 1]) @ (FIXED.affine[:3, :3] / FIXED.voxel_size)).T
    np.testing.assert_allclose(world, turned, atol=1e-5)
