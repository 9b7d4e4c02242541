"""Large images part by part: what `warp` gives of the whole image, in the type of the image."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from made_images import grid_of
from synthetic import smooth_field, smooth_volume
from warpline.backends import select
from warpline.images import Image
from warpline.resampling import INTERPOLATIONS, parts, warp
from warpline.resampling.streaming import apply_in_parts, warp_in_parts
from warpline.space import Affine, Chain, Displacement
from warpline.space.grid import Grid

SHAPE = (20, 14, 12)
FIXED = grid_of("oblique", SHAPE)
MOVING = grid_of("oblique", (16, 18, 10))


def made_transform(grid=FIXED):
    """A warp on a coarser grid, then an affine."""
    coarse = grid.resized((10, 7, 6) if grid.shape[2] > 1 else (10, 7, 1))
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(0.1), -np.sin(0.1)], [np.sin(0.1), np.cos(0.1)]]
    field = 3 * smooth_field(coarse.shape, seed=3)
    return Chain((Displacement(field, coarse), Affine(turn)))


@pytest.fixture(params=[60, 500, 10**6])
def split(request, monkeypatch):
    """Many small parts, a few, and a single one."""
    monkeypatch.setattr(parts, "PART", request.param)


@pytest.mark.parametrize("transform", [Affine.identity(), made_transform()], ids=["affine", "chain"])
def test_floats_are_those_of_the_whole_image(split, numpy_backend, transform):
    image = Image(smooth_volume(MOVING.shape, 1), MOVING)
    expected = warp(image, transform, FIXED, outside=-3, backend=numpy_backend)
    found = warp_in_parts(image, transform, FIXED, outside=-3, backend=numpy_backend)
    inside = expected.data != -3
    assert 0.2 < inside.mean() < 1
    np.testing.assert_allclose(found.data, expected.data, atol=2e-5)  # coordinates of a cropped box round otherwise


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16])
def test_integers_stay_what_they_are_and_are_rounded(numpy_backend, dtype):
    values = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, MOVING.shape, endpoint=True).astype(dtype)
    image = Image(values, MOVING)
    expected = warp(image, made_transform(), FIXED, backend=numpy_backend).data
    found = warp_in_parts(image, made_transform(), FIXED, outside=0, backend=numpy_backend)
    assert found.data.dtype == dtype
    assert np.abs(found.data - expected.astype(np.float64)).max() <= 0.5 + 1e-5 * np.iinfo(dtype).max


@pytest.mark.parametrize("outside", [-1000.0, 0.5])
def test_an_outside_that_the_type_cannot_hold_gives_floats(numpy_backend, outside):
    image = Image(np.ones(MOVING.shape, np.uint8), MOVING)
    away = Affine(np.diag([1.0, 1, 1, 1]) + np.outer([1, 0, 0, 0], [0, 0, 0, 500.0]))
    found = warp_in_parts(image, away, FIXED, outside=outside, backend=numpy_backend)
    assert found.data.dtype == np.float32 and (found.data == outside).all()


def test_2d_images_are_warped_within_their_plane(split, numpy_backend):
    grid = Grid((20, 14, 1), np.eye(4), flat=True)
    raised = Grid((18, 16, 1), np.diag([1.0, 1, 1, 1]) + np.outer([0, 0, 1, 0], [0, 0, 0, 5.0]), flat=True)
    image = Image(smooth_volume(raised.shape, 1), raised)
    field = smooth_field((10, 7, 1), seed=3)
    transform = Displacement(field, grid.resized((10, 7, 1)))
    expected = warp(image, transform, grid, backend=numpy_backend)
    found = warp_in_parts(image, transform, grid, outside=0, backend=numpy_backend)
    assert expected.data.any() and found.grid.flat
    np.testing.assert_allclose(found.data, expected.data, atol=2e-5)


@pytest.mark.parametrize("name", list(INTERPOLATIONS))
@pytest.mark.parametrize("components", [(), (2,)], ids=["3-D", "4-D"])
def test_parts_are_those_of_any_interpolation(split, numpy_backend, name, components):
    values = smooth_volume((*MOVING.shape, *components), 1)[..., :2] if components else smooth_volume(MOVING.shape, 1)
    kept = name in ("nearest", "label")
    image = Image((9 * values).astype(np.int16) if kept else values.astype(np.float32), MOVING)
    options = {"outside": -3, "backend": numpy_backend, "threads": 1}
    expected = INTERPOLATIONS[name](image, made_transform(), FIXED, **options)
    found = apply_in_parts(INTERPOLATIONS[name], image, made_transform(), FIXED, **options)
    assert found.data.dtype == expected.data.dtype and found.grid == expected.grid
    inside = expected.data != -3
    assert 0.2 < inside.mean() < 1
    # Coordinates of a cropped box round otherwise, and what lies half way between two voxels may fall to either.
    wrong = np.abs(found.data.astype(float) - expected.data) > 2e-5
    assert wrong.mean() < (1e-3 if kept else 1e-9)


def test_places_without_a_displacement_read_nothing(numpy_backend, monkeypatch):
    monkeypatch.setattr(parts, "PART", 500)
    field = np.full((3, *FIXED.shape), 0.37, np.float32)
    field[:, :7] = np.nan
    image = Image(smooth_volume(FIXED.shape, 1).astype(np.float32), FIXED)
    options = {"outside": -3, "backend": numpy_backend}
    expected = warp(image, Displacement(field, FIXED), FIXED, **options)
    found = apply_in_parts(INTERPOLATIONS["linear"], image, Displacement(field, FIXED), FIXED, **options)
    np.testing.assert_allclose(found.data[8:], expected.data[8:], atol=2e-5)  # 7: interpolated between 6 and 7
    assert (expected.data[8:] != -3).mean() > 0.5 and (found.data[:7] == -3).all()


SLICE = Grid((1, 400, 400), np.diag([1.0, 0.1, 0.1, 1.0]))
"""A sagittal section: its first axis cannot be split."""

SMALL, LARGE = Grid((16, 16, 16), np.diag([6.0, 6, 6, 1])), Grid((96, 96, 96), np.eye(4))
"""A small reference of a large image: a part reads far more than it has voxels."""

COARSE = Grid((1, 20, 20), np.diag([1.0, 2, 2, 1]))
SWAY = Displacement(smooth_field(COARSE.shape, seed=3), COARSE)


def taken(run):
    """What a call gives, and the most bytes that it took beside that, of arrays."""
    run()  # imports, and compiles
    tracemalloc.start()
    try:
        result = run()
        return result.data, tracemalloc.get_traced_memory()[1] - result.data.nbytes
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("name", "image", "transform", "grid", "room"),
    [
        ("linear", Grid((1, 40, 40), np.eye(4)), SWAY, SLICE, 5e6),
        ("label", Grid((1, 40, 40), np.eye(4)), SWAY, SLICE, 25e6),
        ("linear", LARGE, Affine.identity(), SMALL, 1e6),
        ("cubic", LARGE, Affine.identity(), SMALL, 8e6),
    ],
    ids=["slice", "labels of a slice", "small reference", "cubic"],
)
def test_parts_take_no_more_than_there_is(name, image, transform, grid, room):
    image = Image((100 * smooth_volume(image.shape, 1)).astype(np.uint8), image)
    options = {"outside": 0, "backend": select("numba", 1), "threads": 1}
    expected, whole = taken(lambda: INTERPOLATIONS[name](image, transform, grid, **options))
    found, most = taken(lambda: apply_in_parts(INTERPOLATIONS[name], image, transform, grid, room=room, **options))
    assert most <= room < whole
    np.testing.assert_allclose(found, expected, atol=2e-3)


@pytest.mark.parametrize(("image", "grid"), [(Grid((1, 40, 40), np.eye(4)), SLICE), (LARGE, SMALL)])
def test_linear_parts_take_no_more_either(image, grid):
    image, backend = Image((100 * smooth_volume(image.shape, 1)).astype(np.uint8), image), select("numba", 1)
    expected, whole = taken(lambda: warp_in_parts(image, SWAY, grid, outside=0, backend=backend))
    found, most = taken(lambda: warp_in_parts(image, SWAY, grid, outside=0, backend=backend, room=1e6))
    assert most <= 1e6 < whole and expected.any()
    assert (found != expected).mean() < 1e-3  # rounding of coordinates may round a value to the next one
