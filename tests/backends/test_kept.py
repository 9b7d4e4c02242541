"""What stays on a backend while registrations share an image."""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from warpline.backends import select
from warpline.backends.kept import Kept
from warpline.images import Image
from warpline.phantom import brain_pair
from warpline.recipe import Initialise, Linear, Recipe, Syn
from warpline.registration.alignment import align

RECIPE = Recipe(
    initialise=Initialise(rotations=False),
    linear=Linear(stages=("affine",), voxel_sizes=(16.0, 8.0), iterations=(10, 5), samples=2000, refinements=1),
    syn=Syn(factors=(2.0, 1.0), iterations=(10, 5)),
)


class Owner:
    pass


def test_only_what_a_shared_owner_gives_is_kept():
    kept, owner, other, made = Kept(), Owner(), Owner(), []
    kept.share(owner)
    for asked in (owner, other, owner, other):
        kept.get(asked, "key", lambda asked=asked: made.append(asked))
    assert made == [owner, other, other]
    assert kept.is_shared(owner)
    assert not kept.is_shared(other)


def test_keys_are_told_apart_and_sharing_twice_loses_nothing():
    kept, owner = Kept(), Owner()
    kept.share(owner)
    assert [kept.get(owner, key, lambda key=key: key * 2) for key in (1, 2, 1)] == [2, 4, 2]
    kept.share(owner)
    assert kept.get(owner, 1, lambda: "again") == 2


def test_results_go_with_their_owner():
    kept, owner = Kept(), Owner()
    kept.share(owner)
    result = kept.get(owner, "key", Owner)
    assert kept.get(owner, "key", Owner) is result
    del owner
    gc.collect()
    assert len(kept._stores) == 0


def test_the_oldest_of_many_results_goes():
    kept, owner, made = Kept(), Owner(), []
    kept.share(owner)
    for key in (0, 1, 2, 3, 4, 4, 3, 0):
        kept.get(owner, key, lambda key=key: made.append(key))
    assert made == [0, 1, 2, 3, 4, 0]


def test_threads_do_not_see_each_others_results():
    kept, owner = Kept(), Owner()
    kept.share(owner)
    kept.get(owner, "key", lambda: "mine")
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(kept.get, owner, "key", lambda: "theirs").result() == "theirs"
    assert kept.get(owner, "key", lambda: "again") == "mine"


def test_nothing_is_left_of_a_registration_when_its_shared_image_has_gone():
    pair, backend = brain_pair((24, 28, 24), voxel_size=8.0), select("numba", 2)
    shared = Image(pair.fixed.data, pair.fixed.grid)
    backend.kept.share(shared)
    align(shared, pair.moving, RECIPE, backend=backend)
    assert len(backend.kept._stores) == 2, "the shared image's, and that of what was made of it"
    del shared
    gc.collect()
    assert len(backend.kept._stores) == 0


@pytest.mark.parametrize("masked", [False, True])
def test_a_shared_fixed_image_gives_the_same_maps(masked):
    pair, backend = brain_pair((24, 28, 24), voxel_size=8.0), select("numba", 2)
    mask = Image((pair.fixed.data != 0).astype(np.uint8), pair.fixed.grid) if masked else None
    shared = Image(pair.fixed.data, pair.fixed.grid)
    backend.kept.share(shared)
    found = [
        align(fixed, pair.moving, RECIPE, backend=backend, fixed_mask=mask) for fixed in (pair.fixed, shared, shared)
    ]
    for one in found[1:]:
        np.testing.assert_array_equal(one.affine.matrix, found[0].affine.matrix)
        np.testing.assert_array_equal(one.warp.field, found[0].warp.field)
        np.testing.assert_array_equal(one.warp.inverse_field, found[0].warp.inverse_field)
