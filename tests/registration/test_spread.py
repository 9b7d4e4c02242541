"""Distances of maps from one of them, added up on a backend, against points mapped one by one."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from synthetic import ellipsoid, general_matrix, smooth_field
from warpline.images import Image
from warpline.images.intensity import normalise
from warpline.registration.spread import AffineDistances, FieldDistances, object_of, summarise
from warpline.space import Displacement
from warpline.space.grid import Grid, apply_affine

GRID = Grid((9, 8, 7), np.array([[0, -1.5, 0, 4], [2, 0, 0, 1], [0, 0, 2.5, -3], [0, 0, 0, 1.0]]))
BOX = (slice(1, 9), slice(0, 7), slice(2, 7))
SHIFTS = [general_matrix((3, 3, 3), seed, spread=0.02) for seed in range(3)]


def places():
    return apply_affine(GRID.affine, np.indices(GRID.shape).reshape(3, -1).T)


def in_box(seed):
    """A displacement in voxels of the box."""
    return smooth_field(tuple(span.stop - span.start for span in BOX), seed, largest=1.5)


def mapped(field):
    """Where a displacement in the box takes every voxel, in mm."""
    whole = np.zeros((3, *GRID.shape), np.float32)
    whole[(slice(None), *BOX)] = field
    world = np.einsum("ab,bijk->aijk", GRID.affine[:3, :3], whole).astype(np.float32)
    return Displacement(world, GRID).map_points(places())


def test_distances_are_those_of_points(backend):
    first, others = in_box(0), [in_box(seed) for seed in (1, 2, 3)]
    distances = FieldDistances(GRID, backend.upload(first), BOX, backend)
    squares = []
    for field, shift in zip(others, SHIFTS, strict=True):
        distances.add(backend.upload(field), BOX, shift)
        squares.append(np.square(apply_affine(shift, mapped(field)) - mapped(first)).sum(axis=1))
    expected = np.sqrt(np.mean(squares, axis=0)).reshape(GRID.shape)
    np.testing.assert_allclose(backend.download(distances.root_mean_square()), expected, rtol=1e-4, atol=1e-4)


def test_distances_of_affine_maps_are_those_of_points():
    distances = AffineDistances(GRID)
    for shift in SHIFTS:
        distances.add(shift)
    squares = [np.square(apply_affine(shift, places()) - places()).sum(axis=1) for shift in SHIFTS]
    expected = np.sqrt(np.mean(squares, axis=0)).reshape(GRID.shape)
    np.testing.assert_allclose(distances.root_mean_square(), expected, rtol=1e-5, atol=1e-6)


def test_the_map_itself_is_nowhere_apart(backend):
    field = backend.upload(in_box(0))
    distances = FieldDistances(GRID, field, BOX, backend)
    for _ in range(2):
        distances.add(field, BOX, np.eye(4))
    assert not backend.download(distances.root_mean_square()).any()


@pytest.mark.parametrize("masked", [False, True])
def test_numbers_are_those_inside_the_object(backend, masked):
    shape = (12, 12, 12)
    inside, half = ellipsoid(shape, 0.35), np.indices(shape)[0] < 6
    image = Image(
        np.where(inside, 100, np.where(ellipsoid(shape, 0.45), 5, 0)).astype(np.float32), Grid(shape, np.eye(4))
    )
    mask = Image(half.astype(np.uint8), image.grid) if masked else None
    fixed = normalise(image, backend, mask)
    counted = inside & half if masked else inside
    np.testing.assert_array_equal(backend.download(object_of(fixed)) != 0, counted)
    values = np.random.default_rng(0).random(shape, dtype=np.float32)
    found = summarise(backend.upload(values), fixed, (0.1, 0.2), 1.5, runs=4, backend=backend)
    report, ordered = found.as_report(), np.sort(values[counted])
    assert report["largest"] == ordered[-1] and report["median"] == ordered[len(ordered) // 2]
    assert report["p95"] == ordered[int(0.95 * len(ordered))]
    assert (report["runs"], report["start"], report["noise"]) == (4, 1.5, {"fixed": 0.1, "moving": 0.2})
    np.testing.assert_array_equal(found.image.data, values)


def test_an_object_that_is_nowhere_bright_is_all_that_is_shown(backend):
    volume = np.zeros((8, 8, 8), np.float32)
    volume[3:5, 3:5, 3:5] = 1
    fixed = normalise(Image(volume, Grid(volume.shape, np.eye(4))), backend)
    faint = type(fixed)(**{**vars(fixed), "volume": fixed.volume * np.float32(0.01)})
    assert int(backend.download(object_of(faint)).sum()) == 8
    assert [*product((3, 4), repeat=3)] == [*map(tuple, np.argwhere(backend.download(object_of(faint))).tolist())]
