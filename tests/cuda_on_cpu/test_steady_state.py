"""What a registration costs the host once another one like it has run: waits, memory from the driver, large copies."""

from __future__ import annotations

import pytest

from cuda_on_cpu import emulated, pretended
from warpline.backends import cuda_device
from warpline.backends.cuda_backend import CudaBackend
from warpline.backends.cuda_device import GpuRuntime
from warpline.phantom import brain_pair
from warpline.recipe import Linear, Recipe, Syn
from warpline.registration import initialisation
from warpline.registration.alignment import align
from warpline.registration.syn import CHECK_EVERY

RECIPE = Recipe(linear=Linear(samples=1000), syn=Syn(iterations=(20, 10, 6)))
"""All stages and levels of the default recipe, with fewer points and iterations."""
BRAINS = {"refinements": 5, "rounds": 2}
"""What real brains take, more than what is registered here: two waits for each refinement, one for each round."""


ROBUST = RECIPE.with_options("syn.robust=true")
"""Waits once more for each level, to learn its weights."""


@pytest.fixture(scope="module", params=[RECIPE, ROBUST], ids=["default", "robust"])
def counted(request):
    """The second of two registrations, its ledger, and whether weights were learnt."""
    if not emulated.available():
        pytest.skip(f"no C++ compiler called {emulated.COMPILER}")
    pair = brain_pair((20, 23, 20), voxel_size=9.0)
    turns = initialisation._lattice()[::20]  # that there are 924 of them takes long, not more waits
    with pytest.MonkeyPatch.context() as patch, pretended.Cupy() as cupy:
        patch.setattr(initialisation, "_lattice", lambda: turns)
        patch.setattr(cuda_device, "STAGED_BYTES", min(pair.fixed.data.nbytes, pair.moving.data.nbytes))
        patch.setattr(pretended, "LARGE", cuda_device.STAGED_BYTES)
        backend = CudaBackend(GpuRuntime(0))
        for _ in range(2):
            cupy.ledger.clear()
            found = align(pair.fixed, pair.moving, request.param, backend=backend)
    return found, cupy.ledger, request.param.syn.robust


def test_the_host_waits_few_times(counted):
    found, ledger, robust = counted
    refinements = sum(level.stage == "affine" and level.level > 2 for level in found.levels)
    more = 2 * (BRAINS["refinements"] - refinements) + max(BRAINS["rounds"] - found.quality.rounds, 0)
    levels = sum(level.stage == "syn" for level in found.levels)
    assert sum(ledger.waits.values()) + more <= 60 + robust * levels, ledger.waits.most_common()


def test_it_looks_at_energies_while_the_device_goes_on(counted):
    found, ledger, _ = counted
    batches = [-(-level.iterations // CHECK_EVERY) for level in found.levels if level.stage == "syn"]
    assert sum(ledger.looks.values()) == sum(batches) - len(batches), "the last one of a level has nothing behind it"


def test_all_memory_is_that_of_the_registration_before(counted):
    _, ledger, _ = counted
    assert (ledger.pool.from_driver, ledger.pinned_pool.from_driver) == (0, 0)


def test_large_copies_are_pinned_and_made_once(counted):
    found, ledger, robust = counted
    images, field = [found.fixed.data.nbytes, found.moving.data.nbytes], found.warp.field.nbytes
    assert ledger.pageable == []
    assert [nbytes for nbytes in ledger.pinned if nbytes > max(images)] == [field] * (
        2 + robust
    )  # grey values of a small image
    assert ledger.uploads == images
