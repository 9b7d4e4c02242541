"""Images that do not fit into memory as a whole are carried over part by part, and that is the same."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from oblique_pair import FIXED, MOVING, TURN, smooth_image
from warpline.errors import UsageError
from warpline.images import Image
from warpline.operations import apply, large_images
from warpline.operations.large_images import needs_parts
from warpline.space.grid import Grid

GRID = Grid((1000, 1000, 100), np.eye(4))
"""Of 4.4 GB for the map and single precision, 0.4 GB for a result."""

IMAGE = Image(np.broadcast_to(np.uint8(0), GRID.shape), GRID, "large.nii")


@pytest.mark.parametrize(("memory", "parts"), [(6.0, False), (5.0, True), (1.5, True)])
def test_what_was_asked_for_decides(memory, parts):
    assert needs_parts(IMAGE, GRID, memory) is parts


@pytest.mark.parametrize(("free", "parts"), [(8, False), (3, True)])
def test_what_is_free_decides_where_nobody_asks(monkeypatch, caplog, free, parts):
    monkeypatch.setattr(large_images, "free_memory", lambda: free * 10**9)
    with caplog.at_level(logging.WARNING):
        assert needs_parts(IMAGE, GRID, None) is parts
    assert ("large.nii is carried over part by part" in caplog.text) is parts


def test_small_images_never_change_with_the_machine(monkeypatch):
    monkeypatch.setattr(large_images, "free_memory", lambda: 0)
    assert not needs_parts(smooth_image(MOVING), FIXED, None)


@pytest.mark.parametrize(("memory", "words"), [(1.0, r"large.nii, its result .* 1\.40 GB"), (0.0, "memory is 0.0")])
def test_less_than_the_result_takes_is_refused(memory, words):
    with pytest.raises(UsageError, match=words):
        needs_parts(IMAGE, GRID, memory)


def test_parts_are_the_same_image(monkeypatch):
    whole = apply(smooth_image(MOVING), FIXED, TURN, backend="numpy", outside=-1)
    monkeypatch.setattr(large_images, "PROGRAM", 0)
    monkeypatch.setattr("warpline.resampling.streaming.PART", 2000)
    limit = (smooth_image(MOVING).data.nbytes + 8 * np.prod(FIXED.shape)) / 1e9
    parts = apply(smooth_image(MOVING), FIXED, TURN, backend="numpy", outside=-1, memory=limit)
    assert parts.grid == whole.grid and parts.data.dtype == whole.data.dtype and (whole.data != -1).mean() > 0.2
    assert (np.abs(parts.data - whole.data) > 1e-4).mean() < 1e-3  # but for points on a face of the image


def test_vectors_are_not_limited():
    vectors = Image(np.ones((*MOVING.shape, 3), np.float32), MOVING)
    with pytest.raises(UsageError, match="vectors are carried over as a whole"):
        apply(vectors, FIXED, TURN, vectors="ras", backend="numpy", memory=4)
