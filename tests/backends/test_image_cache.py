"""Results that a backend caches while registrations share an image."""

from __future__ import annotations

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from warpline.backends import select
from warpline.backends.image_cache import ImageCache
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


def test_only_results_of_shared_owners_are_cached():
    cache, owner, other, made = ImageCache(), Owner(), Owner(), []
    cache.share(owner)
    for asked in (owner, other, owner, other):
        cache.get(asked, "key", lambda asked=asked: made.append(asked))
    assert made == [owner, other, other]
    assert cache.is_shared(owner)
    assert not cache.is_shared(other)


def test_keys_are_told_apart_and_sharing_twice_loses_nothing():
    cache, owner = ImageCache(), Owner()
    cache.share(owner)
    assert [cache.get(owner, key, lambda key=key: key * 2) for key in (1, 2, 1)] == [2, 4, 2]
    cache.share(owner)
    assert cache.get(owner, 1, lambda: "again") == 2


def test_results_are_freed_with_their_owner():
    cache, owner = ImageCache(), Owner()
    cache.share(owner)
    result = weakref.ref(cache.get(owner, "key", Owner))
    assert cache.get(owner, "key", lambda: None) is result()
    del owner
    gc.collect()
    assert result() is None
    assert len(cache) == 0


def test_the_oldest_of_many_results_goes():
    cache, owner, made = ImageCache(), Owner(), []
    cache.share(owner)
    for key in (0, 1, 2, 3, 4, 4, 3, 0):
        cache.get(owner, key, lambda key=key: made.append(key))
    assert made == [0, 1, 2, 3, 4, 0]


def test_threads_do_not_see_each_others_results():
    cache, owner = ImageCache(), Owner()
    cache.share(owner)
    cache.get(owner, "key", lambda: "mine")
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(cache.get, owner, "key", lambda: "theirs").result() == "theirs"
    assert cache.get(owner, "key", lambda: "again") == "mine"


def test_nothing_stays_once_a_shared_image_is_gone():
    pair, backend = brain_pair((24, 28, 24), voxel_size=8.0), select("numba", 2)
    shared = Image(pair.fixed.data, pair.fixed.grid)
    backend.cache.share(shared)
    align(shared, pair.moving, RECIPE, backend=backend)
    assert len(backend.cache) == 2, "the shared image, and what was made of it"
    del shared
    gc.collect()
    assert len(backend.cache) == 0


@pytest.mark.parametrize("masked", [False, True])
def test_a_shared_fixed_image_gives_the_same_maps(masked):
    pair, backend = brain_pair((24, 28, 24), voxel_size=8.0), select("numba", 2)
    mask = Image((pair.fixed.data != 0).astype(np.uint8), pair.fixed.grid) if masked else None
    shared = Image(pair.fixed.data, pair.fixed.grid)
    backend.cache.share(shared)
    found = [
        align(fixed, pair.moving, RECIPE, backend=backend, fixed_mask=mask) for fixed in (pair.fixed, shared, shared)
    ]
    for one in found[1:]:
        np.testing.assert_array_equal(one.affine.matrix, found[0].affine.matrix)
        np.testing.assert_array_equal(one.warp.field, found[0].warp.field)
        np.testing.assert_array_equal(one.warp.inverse_field, found[0].warp.inverse_field)
