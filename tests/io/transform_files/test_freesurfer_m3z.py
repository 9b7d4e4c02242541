"""FreeSurfer's morphs: a file laid out by hand, its points by hand."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest

from made_morph import morph
from made_transforms import made_chain, made_pair
from warpline.errors import InputError
from warpline.io.transform_files import identify, read_transform
from warpline.space.grid import Grid, apply_affine


@pytest.mark.parametrize("labels", [False, True])
@pytest.mark.parametrize(("kind", "suffix"), [(2, "m3z"), (1, "m3d")])
def test_points_by_hand(tmp_path, kind, suffix, labels):
    # atlas: 2 mm, x to the left; image: 1 mm, x to the right, its origin at world (10, 0, 0); a node every two voxels
    atlas, image = Grid((6, 6, 6), np.diag([-2.0, 2, 2, 1])), Grid((20, 20, 20), np.diag([1.0, 1, 1, 1]))
    image = Grid(image.shape, np.array([(1, 0, 0, 10), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)]))
    nodes = np.moveaxis(np.indices((3, 3, 3)), 0, -1)
    places = nodes * 3.0 + (1, 2, 3) + np.where(kind == 1, (10, 0, 0), (0, 0, 0))
    content = morph(places, atlas, image, spacing=2, kind=kind, labels=labels)
    (tmp_path / f"t.{suffix}").write_bytes(gzip.compress(content) if suffix == "m3z" else content)
    ours = read_transform(tmp_path / f"t.{suffix}")
    # node (1, 0, 2) is atlas voxel (2, 0, 4), world (-4, 0, 8); it lies at image voxel (4, 2, 9), world (14, 2, 9)
    np.testing.assert_allclose(ours.map_points([-4, 0, 8]), (14, 2, 9), atol=1e-5)
    # half-way to the next node along x
    np.testing.assert_allclose(ours.map_points([-6, 0, 8]), (15.5, 2, 9), atol=1e-5)
    assert identify(tmp_path / f"t.{suffix}").format == "freesurfer-m3z"


@pytest.mark.parametrize("kind", [1, 2])
def test_a_morph_between_oblique_volumes_keeps_its_map(tmp_path, kind):
    atlas, image = made_pair("oblique", "sagittal")
    chain = made_chain(atlas)
    points = apply_affine(atlas.affine, np.moveaxis(np.indices(atlas.shape), 0, -1))
    world = chain.map_points(points)
    places = world if kind == 1 else apply_affine(image.inverse_affine, world)
    (tmp_path / "t.m3z").write_bytes(gzip.compress(morph(places, atlas, image, kind=kind)))
    np.testing.assert_allclose(read_transform(tmp_path / "t.m3z").map_points(points), world, atol=3e-5)


def test_nodes_that_were_never_placed_are_not_a_number(tmp_path):
    grid = Grid((3, 3, 3), np.eye(4))
    places = np.ones((3, 3, 3, 3))
    places[0, 0, 0] = 0
    (tmp_path / "t.m3d").write_bytes(morph(places, grid, grid))
    ours = read_transform(tmp_path / "t.m3d")
    assert np.isnan(ours.field[:, 0, 0, 0]).all() and np.isnan(ours.field).sum() == 3


def test_damage_is_named(tmp_path):
    grid = Grid((3, 3, 3), np.eye(4))
    good = morph(np.ones((3, 3, 3, 3)), grid, grid)
    cases = (
        (good[:500], "is truncated: 3 x 3 x 3 nodes need 972 bytes"),
        (good[:1000], "does not describe its volumes"),
        (morph(np.ones((3, 3, 3, 3)), grid, grid, valid=0), "marks the geometry of a volume as not valid"),
        (morph(np.ones((3, 3, 3, 3)), grid, grid, kind=3), "its type 3 is neither 1 nor 2"),
        (morph(np.full((3, 3, 3, 3), np.inf), grid, grid), "infinite places or none"),
        (struct.pack(">f4if", 1.0, 4096, 4096, 4096, 1, 20.0), "is truncated: 4096 x 4096 x 4096"),
    )
    for content, message in cases:
        (tmp_path / "bad.m3d").write_bytes(content)
        with pytest.raises(InputError, match=f"bad\\.m3d.*{message}"):
            read_transform(tmp_path / "bad.m3d")
