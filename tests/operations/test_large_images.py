"""Images that do not fit into memory as a whole are carried over part by part, and that is the same."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from oblique_pair import FIXED, MOVING, TURN, smooth_image
from warpline.errors import UsageError
from warpline.images import Image
from warpline.operations import apply, large_images
from warpline.operations.large_images import room_for_parts
from warpline.resampling import INTERPOLATIONS
from warpline.resampling.parts import Need
from warpline.space import Chain, Displacement
from warpline.space.grid import Grid

GRID = Grid((1000, 1000, 100), np.eye(4))
"""Of 4.4 GB for the map and single precision, 0.4 GB for a result."""

IMAGE = Image(np.broadcast_to(np.uint8(0), GRID.shape), GRID, "large.nii")


NOWHERE = Chain(())


def room_of(image, grid, memory, name="linear", chain=NOWHERE):
    return room_for_parts(image, chain, grid, memory, need=Need.of(INTERPOLATIONS[name], image, 1))


@pytest.mark.parametrize(("memory", "room"), [(6.0, None), (5.0, 3.6e9), (1.5, 0.1e9)])
def test_what_was_asked_for_decides(memory, room):
    assert room_of(IMAGE, GRID, memory) == room


def test_interpolations_and_fields_count():
    assert room_of(IMAGE, GRID, 6.0, "cubic") == 4.6e9
    field = Displacement(np.broadcast_to(np.float32(0), (3, *GRID.shape)), GRID)
    assert room_of(IMAGE, GRID, 6.0, chain=Chain((field,))) == 3.4e9


@pytest.mark.parametrize(("free", "parts"), [(8, False), (3, True)])
def test_what_is_free_decides_where_nobody_asks(monkeypatch, caplog, free, parts):
    monkeypatch.setattr(large_images, "free_memory", lambda: free * 10**9)
    with caplog.at_level(logging.WARNING):
        assert (room_of(IMAGE, GRID, None) is not None) is parts
    assert ("large.nii is carried over part by part" in caplog.text) is parts


def test_small_images_never_change_with_the_machine(monkeypatch):
    monkeypatch.setattr(large_images, "free_memory", lambda: 0)
    assert room_of(smooth_image(MOVING), FIXED, None) is None


@pytest.mark.parametrize(
    ("memory", "name", "words"),
    [
        (1.0, "linear", r"large.nii, its result .* 1\.40 GB"),
        (1.402, "linear", r"the smallest part take 1\.40 GB"),
        (1.405, "cubic", r"the smallest part take 1\.41 GB"),
        (0.0, "linear", "memory is 0.0"),
    ],
)
def test_less_than_the_smallest_part_takes_is_refused(memory, name, words):
    with pytest.raises(UsageError, match=words):
        room_of(IMAGE, GRID, memory, name)


def test_parts_are_the_same_image(monkeypatch):
    image = smooth_image(MOVING)
    whole = apply(image, FIXED, TURN, backend="numpy", outside=-1, threads=1)
    monkeypatch.setattr(large_images, "PROGRAM", 0)
    monkeypatch.setattr("warpline.resampling.parts.PART", 2000)
    monkeypatch.setattr("warpline.resampling.parts.SMALLEST", (8, 8, 8))
    monkeypatch.setattr("warpline.resampling.parts.SMALLEST_BOX", 8**3)
    least = Need.of(INTERPOLATIONS["linear"], image, 1).least
    limit = (image.data.nbytes + 8 * np.prod(FIXED.shape) + least + 1) / 1e9
    parts = apply(image, FIXED, TURN, backend="numpy", outside=-1, memory=limit, threads=1)
    assert parts.grid == whole.grid and parts.data.dtype == whole.data.dtype and (whole.data != -1).mean() > 0.2
    assert (np.abs(parts.data - whole.data) > 1e-4).mean() < 1e-3  # but for points on a face of the image


def test_vectors_are_not_limited():
    vectors = Image(np.ones((*MOVING.shape, 3), np.float32), MOVING)
    with pytest.raises(UsageError, match="vectors are carried over as a whole"):
        apply(vectors, FIXED, TURN, vectors="ras", backend="numpy", memory=4)
