"""Objects of nitransforms: the same map of points before and after."""

from __future__ import annotations

import sys

import nibabel
import nitransforms
import numpy as np
import pytest
from nitransforms.nonlinear import BSplineFieldTransform

from made_transforms import made_affine, made_displacement, made_pair
from synthetic import smooth_volume
from warpline.errors import InputError, UsageError
from warpline.images import Image
from warpline.io.nitransforms_objects import from_nitransforms, to_nitransforms
from warpline.io.transform_lists import read_entries
from warpline.operations import apply
from warpline.registration import read
from warpline.space import Affine, Chain, Displacement
from warpline.space.grid import Grid, apply_affine


@pytest.fixture(scope="module")
def grids():
    return made_pair("oblique", "left-handed")


@pytest.fixture(scope="module")
def chain(grids):
    return Chain((Displacement(made_displacement(grids[0]).field, grids[0]), made_affine()))


def voxel_points(grid):
    """World points of a few voxels, where all interpolations agree."""
    return apply_affine(grid.affine, np.random.default_rng(0).integers(0, grid.shape, (50, 3)).astype(float))


def test_points_go_the_same_way_through_both(grids, chain):
    points = voxel_points(grids[0])
    for ours in (chain, *chain.parts):
        theirs = to_nitransforms(ours)
        np.testing.assert_allclose(theirs.map(points), ours.map_points(points), atol=1e-4)
        np.testing.assert_allclose(from_nitransforms(theirs).map_points(points), ours.map_points(points), atol=1e-4)


def test_a_field_of_places_is_one_of_displacements(grids, chain):
    displacements = to_nitransforms(chain.parts[0])
    places = nitransforms.DenseFieldTransform(
        nibabel.Nifti1Image(displacements._field, grids[0].affine), is_deltas=False
    )
    np.testing.assert_allclose(from_nitransforms(places).field, chain.parts[0].field, atol=1e-4)


def test_splines_are_evaluated_on_their_reference():
    coefficients = np.random.default_rng(0).normal(size=(6, 6, 6, 3)).astype(np.float32)
    spline = nibabel.Nifti1Image(coefficients, np.diag([4.0, 4.0, 4.0, 1.0]))
    reference = nibabel.Nifti1Image(np.zeros((8, 9, 7), np.float32), np.diag([2.0, 2.0, 2.0, 1.0]))
    theirs = BSplineFieldTransform(spline, reference=reference)
    ours = from_nitransforms(theirs)
    expected = theirs.to_field().to_x5().transform
    assert ours.grid == Grid((8, 9, 7), reference.affine) and np.abs(ours.field).max() > 0.1
    np.testing.assert_array_equal(np.moveaxis(ours.field, 0, -1), expected)
    with pytest.raises(InputError, match="has no reference"), pytest.warns(UserWarning, match="not set"):
        from_nitransforms(BSplineFieldTransform(spline))


def test_they_are_entries_of_a_list_and_starts(grids, chain):
    points = voxel_points(grids[0])
    theirs = to_nitransforms(chain)
    for entries in (theirs, [to_nitransforms(part) for part in chain.parts]):
        np.testing.assert_allclose(read_entries(entries).map_points(points), chain.map_points(points), atol=1e-4)
    moving = Image(smooth_volume(grids[1].shape, 0), grids[1])
    np.testing.assert_allclose(
        apply(moving, grids[0], theirs).data, apply(moving, grids[0], chain).data, atol=1e-4 * np.ptp(moving.data)
    )


def test_a_registration_starts_from_one():
    image, shift = Image.from_array(np.arange(64.0).reshape(8, 8)), np.eye(4)
    shift[0, 3] = 1
    assert read(image, image, "rigid", initial=nitransforms.Affine(shift)).origin == shift.tolist()


def test_no_parts_are_the_identity():
    assert isinstance(to_nitransforms(Chain()), nitransforms.Affine)


def test_what_the_other_side_lacks_is_refused(monkeypatch):
    series = nitransforms.LinearTransformsMapping([np.eye(4), np.eye(4)])
    with pytest.raises(InputError, match="LinearTransformsMapping of nitransforms cannot be used; give one of Affine"):
        from_nitransforms(series)
    unknown = nibabel.Nifti1Image(np.full((4, 5, 6, 3), np.nan), np.eye(4))
    with pytest.raises(InputError, match=r"DenseFieldTransform .* shape \(4, 5, 6, 3\); finite"):
        from_nitransforms(nitransforms.DenseFieldTransform(unknown))
    with pytest.raises(UsageError, match=r"no field on a grid of one slice, shape \(4, 5, 1\)"):
        to_nitransforms(Displacement(np.zeros((3, 4, 5, 1), np.float32), Grid((4, 5, 1), np.eye(4))))
    monkeypatch.setitem(sys.modules, "nitransforms", None)
    with pytest.raises(UsageError, match="pip install nitransforms"):
        to_nitransforms(Affine.identity())


def test_a_transform_of_ours_is_named_as_such():
    with pytest.raises(InputError, match="Affine is a transform of warpline, not of nitransforms; use it as it is"):
        from_nitransforms(Affine.identity())
