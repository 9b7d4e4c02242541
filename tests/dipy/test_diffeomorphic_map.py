"""`DiffeomorphicMap` on the same arrays as DIPY's own, and mapping files read by either."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
from nibabel.streamlines import ArraySequence
from scipy import ndimage

from warpline import dipy as ours
from warpline.errors import InputError, UsageError

theirs = pytest.importorskip("dipy.align.imwarp")
public = pytest.importorskip("dipy.align")

STATIC = {
    2: ((24, 20), np.array([[1.5, 0.2, -16], [-0.1, 1.2, -11], [0, 0, 1]])),
    3: ((14, 16, 11), np.array([[1.5, 0.1, 0, -9], [-0.1, 1.3, 0.2, -9], [0, 0.1, 2, -8], [0, 0, 0, 1]])),
}
MOVING = {
    2: ((19, 23), np.array([[-1.3, 0, 12], [0.3, 1.1, -12], [0, 0, 1]])),
    3: ((15, 13, 17), np.array([[-1.2, 0, 0.1, 8], [0, 1.7, 0, -9], [0.2, 0, 1.1, -7], [0, 0, 0, 1]])),
}


def smooth_field(shape, seed):
    noise = np.random.default_rng(seed).normal(size=(*shape, len(shape)))
    field = ndimage.gaussian_filter(noise, (*[2.5] * len(shape), 0))
    return (2.0 * field / np.abs(field).max()).astype(np.float32)


def prealign(dim):
    matrix = np.eye(dim + 1)
    matrix[:dim] += np.random.default_rng(7).normal(scale=0.06, size=(dim, dim + 1))
    return matrix


def pair(dim, is_inverse=True, linear=True):
    """Our map and DIPY's with the same grids and fields, set up as SyN leaves them."""
    maps = []
    for kind in (ours.DiffeomorphicMap, theirs.DiffeomorphicMap):
        mapping = kind(
            dim,
            STATIC[dim][0],
            disp_grid2world=STATIC[dim][1],
            domain_shape=MOVING[dim][0],
            domain_grid2world=MOVING[dim][1],
            codomain_shape=STATIC[dim][0],
            codomain_grid2world=STATIC[dim][1],
            prealign=np.linalg.inv(prealign(dim)) if linear else None,
        )
        mapping.forward, mapping.backward = smooth_field(STATIC[dim][0], 1), smooth_field(STATIC[dim][0], 2)
        mapping.is_inverse = is_inverse
        maps.append(mapping)
    return maps


def image(shape, dtype="f8", seed=0):
    return (np.random.default_rng(seed).normal(size=shape) * 50 + 100).astype(dtype)


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("is_inverse", [False, True])
@pytest.mark.parametrize("linear", [False, True])
def test_images_are_warped_as_by_dipy(dim, is_inverse, linear):
    mine, real = pair(dim, is_inverse, linear)
    onto_static, onto_moving = ("transform", "transform_inverse")[:: 1 if is_inverse else -1]
    for method, source in ((onto_static, image(MOVING[dim][0])), (onto_moving, image(STATIC[dim][0]))):
        expected, warped = getattr(real, method)(source), getattr(mine, method)(source)
        assert warped.dtype == expected.dtype == np.float32
        np.testing.assert_allclose(warped, expected, atol=2e-4)
        expected = getattr(real, method)(source.astype(np.int32), interpolation="nearest")
        warped = getattr(mine, method)(source.astype(np.int32), "nearest")
        assert warped.dtype == expected.dtype
        np.testing.assert_array_equal(warped, expected)
        assert warped.any()


@pytest.mark.parametrize("dim", [2, 3])
def test_other_grids(dim):
    mine, real = pair(dim)
    shape, matrix = (9, 8, 7)[:dim], prealign(dim) @ np.diag([2.0] * dim + [1])
    source = image((12, 11, 10)[:dim])
    how = {"image_world2grid": np.linalg.inv(prealign(dim)), "out_shape": shape, "out_grid2world": matrix}
    np.testing.assert_allclose(mine.transform(source, **how), real.transform(source, **how), atol=2e-4)
    how = {"image_world2grid": "identity", "out_shape": shape, "out_grid2world": "identity"}
    np.testing.assert_allclose(mine.transform_inverse(source, **how), real.transform_inverse(source, **how), atol=2e-4)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64"])
def test_labels_stay_exact(dtype):
    mine, _ = pair(3)
    top = {"bool": 2, "uint8": 256, "int64": 2**40}[dtype]
    labels = np.random.default_rng(0).integers(0, top, MOVING[3][0]).astype(dtype)
    warped = mine.transform(labels, "nearest")
    assert warped.dtype == labels.dtype and warped.any()
    assert set(np.unique(warped).tolist()) <= {*np.unique(labels).tolist(), 0}


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("is_inverse", [False, True])
def test_points_are_mapped_as_by_dipy(dim, is_inverse):
    mine, real = pair(dim, is_inverse)
    points = np.random.default_rng(3).uniform(-25, 25, (200, dim))
    how = {"coord2world": prealign(dim), "world2coord": STATIC[dim][1]}
    for method in ("transform_points", "transform_points_inverse"):
        for options in ({}, how):
            np.testing.assert_allclose(
                getattr(mine, method)(points, **options), getattr(real, method)(points, **options), atol=1e-6
            )


def test_streamlines_keep_their_type():
    mine, real = pair(3)
    lines = ArraySequence([np.random.default_rng(n).uniform(-5, 5, (n + 2, 3)).astype(np.float32) for n in range(3)])
    moved, expected = mine.transform_points(lines), real.transform_points(lines)
    assert isinstance(moved, ArraySequence) and len(moved) == 3
    for a, b in zip(moved, expected, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_static_points_go_where_transform_samples():
    mapping, _ = pair(3)
    ramp = np.indices(MOVING[3][0])[0].astype(float)
    voxel = (7, 8, 5)
    world = STATIC[3][1] @ [*voxel, 1]
    landed = np.linalg.inv(MOVING[3][1]) @ [*mapping.transform_points(world[None, :3])[0], 1]
    assert mapping.transform(ramp)[voxel] == pytest.approx(landed[0], abs=1e-4)


@pytest.mark.parametrize("dim", [2, 3])
def test_inversion_error_as_dipy(dim):
    mine, real = pair(dim)
    (residual, stats), (expected, expected_stats) = mine.compute_inversion_error(), real.compute_inversion_error()
    np.testing.assert_allclose(residual, expected, atol=1e-5)
    np.testing.assert_allclose(stats, expected_stats, rtol=1e-5)


def test_fields_and_inverses():
    mapping, _ = pair(2, is_inverse=False)
    source = image(MOVING[2][0])
    inverted = mapping.inverse()
    assert inverted.is_inverse and inverted.forward is mapping.forward
    assert mapping.get_forward_field() is mapping.forward is inverted.get_backward_field()
    assert mapping.get_backward_field() is mapping.backward is inverted.get_forward_field()
    np.testing.assert_array_equal(inverted.transform(source), mapping.transform_inverse(source))
    np.testing.assert_array_equal(inverted.inverse().transform(source), mapping.transform(source))


def test_an_allocated_map_moves_nothing():
    mapping = ours.DiffeomorphicMap(2, (6, 5))
    with pytest.raises(InputError, match="no forward field"):
        mapping.transform(np.eye(6)[:, :5])
    mapping.allocate()
    picture = image((6, 5), "f4")
    np.testing.assert_array_equal(mapping.transform(picture), picture)
    np.testing.assert_array_equal(mapping.transform_inverse(picture), picture)


def test_wrong_calls_are_refused():
    mapping, _ = pair(3)
    with pytest.raises(UsageError, match="warp a series volume by volume"):
        mapping.transform(np.zeros((3, 3, 3, 2)))
    with pytest.raises(UsageError, match="choose from linear, nearest"):
        mapping.transform(np.zeros(MOVING[3][0]), "cubic")
    with pytest.raises(UsageError, match="'identity'"):
        mapping.transform(np.zeros(MOVING[3][0]), image_world2grid="unit")


# -- files ----------------------------------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path):
    """Paths of a moving and a static image on the grids of the maps."""
    paths = []
    for name, (shape, matrix) in (("moving", MOVING[3]), ("static", STATIC[3])):
        paths.append(tmp_path / f"{name}.nii.gz")
        nibabel.save(nibabel.Nifti1Image(image(shape, "f4"), matrix), paths[-1])
    return paths


def test_our_file_is_dipys_file(tmp_path):
    mine, real = pair(3, linear=False)
    ours.write_mapping(mine, tmp_path / "mine.nii")
    public.write_mapping(real, str(tmp_path / "real.nii"))
    assert (tmp_path / "mine.nii").read_bytes() == (tmp_path / "real.nii").read_bytes()


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize(("write", "read"), [(public, ours), (ours, public)], ids=["dipy to us", "us to dipy"])
def test_files_cross_over(tmp_path, saved, suffix, write, read):
    file = str(tmp_path / f"mapping{suffix}")
    mapping = pair(3)[0 if write is ours else 1]
    write.write_mapping(mapping, file)
    back = read.read_mapping(file, *map(str, saved), prealign=np.linalg.inv(prealign(3)))
    assert back.is_inverse
    np.testing.assert_array_equal(back.forward, mapping.forward)
    np.testing.assert_array_equal(back.backward, mapping.backward)
    moving, static = image(MOVING[3][0]), image(STATIC[3][0])
    np.testing.assert_allclose(back.transform(moving), mapping.transform(moving), atol=2e-2)
    np.testing.assert_allclose(back.transform_inverse(static), mapping.transform_inverse(static), atol=2e-2)


def test_the_prealignment_is_noted_where_dipy_passes_over_it(tmp_path, saved):
    mine, _ = pair(3)
    file = str(tmp_path / "mapping.nii.gz")
    ours.write_mapping(mine, file)
    moving = image(MOVING[3][0])
    back = ours.read_mapping(file, *saved)
    np.testing.assert_array_equal(back.prealign, mine.prealign)
    np.testing.assert_allclose(back.transform(moving), mine.transform(moving), atol=2e-2)
    real = public.read_mapping(file, *map(str, saved), prealign=mine.prealign)
    np.testing.assert_allclose(real.transform(moving), mine.transform(moving), atol=2e-2)
    other = np.diag([1.1, 1, 1, 1])
    assert ours.read_mapping(file, *saved, prealign=other).prealign is other
    public.write_mapping(mine, file)
    assert ours.read_mapping(file, *saved).prealign is None


def test_exchanged_images_are_put_right_with_a_warning(tmp_path, saved):
    mapping, _ = pair(3)
    file = tmp_path / "mapping.nii.gz"
    ours.write_mapping(mapping, file)
    moving, static = saved
    with pytest.warns(UserWarning, match="meant for the moving image"):
        back = ours.read_mapping(file, static, moving, prealign=np.linalg.inv(prealign(3)))
    source = image(MOVING[3][0])
    np.testing.assert_allclose(back.transform(source), mapping.transform(source), atol=2e-2)


def test_images_may_be_4d_or_loaded(tmp_path, saved, recwarn):
    mapping, _ = pair(3)
    file = tmp_path / "mapping.nii.gz"
    ours.write_mapping(mapping, file)
    series = nibabel.Nifti1Image(np.zeros((*STATIC[3][0], 4), np.float32), STATIC[3][1])
    back = ours.read_mapping(file, nibabel.load(saved[0]), series)
    assert back.codomain_shape == STATIC[3][0]
    assert not [w for w in recwarn if w.category is UserWarning]


def test_flat_maps_have_no_file(tmp_path):
    with pytest.raises(UsageError, match="3-D"):
        ours.write_mapping(pair(2)[0], tmp_path / "mapping.nii")
    with pytest.raises(UsageError, match=r"\.nii"):
        ours.write_mapping(pair(3)[0], tmp_path / "mapping.mat")
