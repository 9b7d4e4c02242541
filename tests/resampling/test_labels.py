"""Labels by vote: the label with the most linear weight, ids exact."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from oblique_pair import FIXED, MOVING, TURN, smooth_field
from warpline.images import Image
from warpline.resampling import warp_labels
from warpline.resampling.labels import majority_label
from warpline.space import Affine, Chain
from warpline.space.grid import Grid, apply_affine

KINDS = ("bool", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", ">i4", "f4", "f8")


def most_weight(volume, where):
    """Linear weight of every label in turn, on its own indicator; the smallest of equals."""
    names = np.unique(volume)
    votes = [ndimage.map_coordinates((volume == name).astype(float), where, order=1, mode="nearest") for name in names]
    return names[np.argmax(np.round(votes, 9), axis=0)]


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.tuples(*[st.integers(1, 4)] * 3))
def test_the_label_with_most_weight_wins(seed, shape):
    rng = np.random.default_rng(seed)
    volume = rng.integers(0, 5, shape)
    where = rng.uniform(-0.5, np.array(shape)[:, None] - 0.5, (3, 40))
    np.testing.assert_array_equal(majority_label(volume, where), most_weight(volume, where))


def test_of_equal_votes_the_smallest_label_wins():
    volume = np.array([[[7, 3]]])
    assert majority_label(volume, np.array([[0.0], [0.0], [0.5]])) == [3]


@pytest.mark.parametrize("dtype", KINDS)
def test_types_and_ids_are_kept(dtype, numpy_backend):
    kind = np.dtype(dtype)
    top = 2 if kind.kind == "b" else np.iinfo(kind).max if kind.kind in "iu" else 2**20
    ids = np.array([0, 1, top - 1, top], dtype=object)[: 2 if kind.kind == "b" else 4]
    labels = np.random.default_rng(1).choice(ids, MOVING.shape).astype(kind)
    warped = warp_labels(
        Image(labels, MOVING), Chain((smooth_field(FIXED), TURN)), FIXED, outside=1, backend=numpy_backend
    )
    assert warped.data.dtype == kind.newbyteorder("=")
    assert set(np.unique(warped.data).tolist()) <= set(labels.ravel().tolist()) | {1}


def test_identity_changes_nothing_in_each_volume_of_a_series(numpy_backend):
    series = np.random.default_rng(2).integers(0, 4, (*MOVING.shape, 3)).astype(np.uint16)
    warped = warp_labels(Image(series, MOVING), Affine.identity(), MOVING, backend=numpy_backend)
    np.testing.assert_array_equal(warped.data, series)


def test_beyond_the_image_is_outside(numpy_backend):
    far = np.eye(4)
    far[0, 3] = 1000
    labels = Image(np.ones(MOVING.shape, np.int32), MOVING)
    assert (warp_labels(labels, Affine(far), FIXED, outside=-5, backend=numpy_backend).data == -5).all()


def test_the_grid_is_mapped_as_points_are(numpy_backend):
    labels = np.random.default_rng(3).integers(0, 4, MOVING.shape)
    chain = Chain((smooth_field(FIXED), TURN))
    points = chain.map_points(apply_affine(FIXED.affine, np.moveaxis(np.indices(FIXED.shape), 0, -1)))
    where = np.moveaxis(apply_affine(MOVING.inverse_affine, points), -1, 0)
    inside = np.all((where > 0) & (where < np.array(MOVING.shape).reshape(3, 1, 1, 1) - 1), axis=0)
    warped = warp_labels(Image(labels, MOVING), chain, FIXED, threads=2, backend=numpy_backend)
    expected = most_weight(labels, where[:, inside])
    assert (warped.data[inside] == expected).mean() > 0.998  # float32 fields may break a tie the other way


def test_a_slice_is_an_image(numpy_backend):
    image = Image.from_array(np.array([[1, 1, 2], [1, 2, 2]], np.uint8))
    finer = Grid((3, 5, 1), np.diag([0.5, 0.5, 1, 1]))
    warped = warp_labels(image, Affine.identity(), finer, backend=numpy_backend)
    assert set(np.unique(warped.data)) == {1, 2}
