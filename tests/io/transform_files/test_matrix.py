"""Bare 4x4 matrices: points by hand, and images as Greedy and DIPY warp them through the file."""

from __future__ import annotations

import numpy as np
import pytest
from dipy.align.imaffine import AffineMap
from picsl_greedy import Greedy3D

from made_transforms import PAIRS, made_affine, made_displacement, made_pair
from synthetic import smooth_volume
from warpline.errors import InputError
from warpline.images import Image
from warpline.io.images import read_image, write_image
from warpline.io.transform_files import read_transform, write_transform
from warpline.resampling import warp
from warpline.space import Chain
from warpline.space.grid import apply_affine


def test_a_point_by_hand(tmp_path):
    (tmp_path / "a.txt").write_text("0 -1 0 10\n1 0 0 20\n0 0 2 30\n0 0 0 1\n")
    np.testing.assert_array_equal(read_transform(tmp_path / "a.txt", "matrix").map_points([1, 2, 3]), (8, 21, 36))


def test_every_digit_is_kept(tmp_path):
    write_transform(made_affine(), tmp_path / "a.txt", "matrix")
    np.testing.assert_array_equal(read_transform(tmp_path / "a.txt", "matrix").matrix, made_affine().matrix)


def lands_inside(transform, fixed, moving):
    """Which voxels of the fixed grid lie within the outer voxel centres of the moving one; beyond, rules differ."""
    points = transform.map_points(apply_affine(fixed.affine, np.moveaxis(np.indices(fixed.shape), 0, -1)))
    voxels = apply_affine(moving.inverse_affine, points)
    return np.all((voxels >= 0) & (voxels <= np.array(moving.shape) - 1), axis=-1)


@pytest.mark.parametrize(("fixed_axes", "moving_axes"), PAIRS)
def test_greedy_and_dipy_warp_as_we_do(tmp_path, numpy_backend, fixed_axes, moving_axes):
    fixed, moving = made_pair(fixed_axes, moving_axes)
    image = Image(smooth_volume(moving.shape, 2), moving)
    affine, field = made_affine(), made_displacement(fixed)
    paths = {name: str(tmp_path / name) for name in ("f.nii", "m.nii", "a.mat", "w.nii.gz", "out.nii")}
    write_image(Image(smooth_volume(fixed.shape, 1), fixed), paths["f.nii"])
    write_image(image, paths["m.nii"])
    write_transform(affine, paths["a.mat"], "matrix")
    write_transform(field, paths["w.nii.gz"])

    def greedy(*transforms):
        call = ["-d", "3", "-rf", "f.nii", "-rm", "m.nii", "out.nii", "-r", *transforms]
        Greedy3D().execute(" ".join(paths.get(word, word) for word in call))
        return read_image(paths["out.nii"]).data

    def dipy():
        places = {"domain_grid_shape": fixed.shape, "domain_grid2world": fixed.affine}
        places |= {"codomain_grid_shape": moving.shape, "codomain_grid2world": moving.affine}
        return AffineMap(np.loadtxt(paths["a.mat"]), **places).transform(image.data)

    chain = Chain((field, affine))
    for ours, theirs in ((affine, greedy("a.mat")), (chain, greedy("w.nii.gz", "a.mat")), (affine, dipy())):
        inside = lands_inside(ours, fixed, moving)
        result = warp(image, ours, fixed, backend=numpy_backend).data
        np.testing.assert_allclose(result[inside], theirs[inside], atol=1e-5)
        assert inside.mean() > 0.2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 0 0\n0 1 0\n0 0 1\n", "is no 4x4 matrix"),
        ("1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 2\n", "the last 0 0 0 1"),
        ("1 0 0 0\n0 1 0 0\n0 0 nan 0\n0 0 0 1\n", "singular or not finite"),
        ("1 0 0 0\n0 1 0 0\n0 0 0 0\n0 0 0 1\n", "singular or not finite"),
        ("1 0 0 0\n0 1 x 0\n0 0 0 0\n0 0 0 1\n", "is no 4x4 matrix"),
    ],
)
def test_damage_is_named(tmp_path, text, message):
    (tmp_path / "bad.txt").write_text(text)
    with pytest.raises(InputError, match=rf"bad\.txt .*{message}"):
        read_transform(tmp_path / "bad.txt", "matrix")
