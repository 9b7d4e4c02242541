"""How much memory of a GPU a registration takes: counted on a small image, in volumes of its finest level."""

from __future__ import annotations

import numpy as np
import pytest

from cuda_on_cpu import emulated
from cuda_on_cpu.counted import CountedRuntime
from synthetic import pair_with_known_map, smooth_field
from warpline.backends import cuda_filters
from warpline.backends.cuda_backend import CudaBackend
from warpline.recipe import Syn
from warpline.registration.cropping import Channel, CroppedPair
from warpline.registration.inverse_consistency import enforce_inverse_consistency
from warpline.registration.syn import register_syn
from warpline.space.grid import Grid

SHAPE = (32, 32, 28)
VOLUME = 4 * np.prod(SHAPE)
LARGE, H100 = 4 * 1024 * 1024 * 512, 79 * 2**30
"""Bytes of a volume of 1024 x 1024 x 512 voxels, and of an H100 beside what the driver takes."""
IMAGES = 2.25
"""Both images and what of the fixed one is content; a byte a voxel."""
SMALL = 0.15
"""Sums, weights of filters, thumbnails of a few kilobytes: nothing in a large image."""

pytestmark = pytest.mark.skipif(not emulated.available(), reason=f"no C++ compiler called {emulated.COMPILER}")


@pytest.fixture
def backend(monkeypatch):
    """One that takes every level for a large one."""
    monkeypatch.setattr(cuda_filters, "FEW", 0)
    return CudaBackend(CountedRuntime())


def volumes(backend, before):
    """The most memory that was in use since, in volumes."""
    return (backend._work.runtime.ledger.most - before) / VOLUME


def pair_of(backend, masked):
    up, grid = backend.upload, Grid(SHAPE, np.eye(4))
    fixed, moving = (up(image) for image in pair_with_known_map(SHAPE, 1)[:2])
    masks = [up(np.ones(SHAPE, np.float32)) if masked else None for _ in range(2)]
    return CroppedPair((Channel(fixed, moving, grid, grid, *masks),), np.eye(4), up(np.ones(SHAPE, np.uint8)))


@pytest.mark.parametrize(("masked", "most"), [(False, 26 + 6 / 8 + 27 / 16), (True, 30 + 6 / 8 + 27 / 16)])
def test_the_finest_level_of_a_large_image_fits_80_gb(backend, masked, most):
    options = Syn(factors=(2.0, 1.0), iterations=(2, 7))
    with backend.session():
        pair = pair_of(backend, masked)
        before = backend._work.runtime.ledger.used
        halves = register_syn(pair, options, backend=backend)
        after = backend._work.runtime.ledger.used
    assert most <= volumes(backend, before) <= most + SMALL
    assert (after - before) / VOLUME <= 6 + SMALL, "half-maps are all that a level leaves"
    assert halves.levels[-1].shape == SHAPE
    assert (most + (2 if masked else 0) + IMAGES) * LARGE < H100


@pytest.mark.parametrize(("largest", "rounds"), [(1.0, 0), (4.0, 1)])
def test_inverting_takes_less_than_the_finest_level(backend, largest, rounds):
    with backend.session():
        field = np.clip(largest * smooth_field(SHAPE, 1), -largest, largest).astype(np.float32)
        halves = [backend.upload(field), backend.upload(-field)]
        mask, before = backend.upload(np.ones(SHAPE, np.uint8)), backend._work.runtime.ledger.used - 6 * VOLUME
        found = enforce_inverse_consistency(*halves, mask, backend)
    assert found.quality.rounds >= rounds
    assert volumes(backend, before) <= 26
