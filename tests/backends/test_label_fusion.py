"""The steps of joint label fusion: the specification against loops, the compiled ones against it."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from warpline.backends.label_fusion import NEARER, label_fusion, offsets_by_distance

SHAPE, ATLASES, RANKS, LABELS = (7, 6, 5), 3, 2, 4
SETTINGS = {"flat": 1e-6, "beta": 2.0, "alpha": 0.1}


@pytest.fixture(scope="module")
def made():
    """Image, atlases, codes, offsets, weights and places that reach all borders."""
    random = np.random.default_rng(0)
    image = random.random(SHAPE, dtype=np.float32)
    atlases = random.random((ATLASES, *SHAPE), dtype=np.float32)
    atlases[1, :4] = 0.5  # patches without contrast
    codes = random.integers(0, LABELS, (ATLASES, *SHAPE), dtype=np.int32)
    offsets = random.integers(-2, 3, (ATLASES, RANKS, *SHAPE, 3), dtype=np.int8)
    places = np.argwhere(random.random(SHAPE) < 0.7).astype(np.int32)
    weights = random.random((len(places), ATLASES, RANKS), dtype=np.float32)
    return image, atlases, codes, offsets, weights, places


def patch_of(volume, centre, radius):
    ranges = [range(c - r, c + r + 1) for c, r in zip(centre, radius, strict=True)]
    clipped = (tuple(np.clip(at, 0, np.array(volume.shape) - 1)) for at in product(*ranges))
    return np.array([volume[at] for at in clipped], dtype=np.float64)


def standardised(values):
    spread = values.std()
    return (values - values.mean()) / spread if spread > 1e-6 else values * 0


def test_offsets_begin_with_the_nearest():
    offsets = offsets_by_distance((1, 2, 0))
    assert offsets.shape == (15, 3)
    assert not offsets[0].any()
    assert (np.diff((offsets**2).sum(axis=1)) >= 0).all()


@pytest.mark.parametrize("name", ["numpy", "numba"])
@pytest.mark.parametrize(("radius", "search"), [((1, 1, 1), (1, 2, 1)), ((1, 2, 0), (2, 1, 0))])
def test_best_offsets_differ_least(name, radius, search, made):
    image, atlases, *_ = made
    found = label_fusion(name).best_offsets(
        image, atlases[0], np.ones(SHAPE, bool), radius=radius, search=search, count=3, threads=2
    )
    offsets = offsets_by_distance(search)
    for at in ((0, 0, 0), (3, 2, 2), (6, 5, 4)):
        patches = [patch_of(image, at, radius), *(patch_of(atlases[0], at + offset, radius) for offset in offsets)]
        differences = ((np.array(patches[1:]) - patches[0]) ** 2).mean(axis=1) + NEARER * (offsets**2).sum(axis=1)
        assert (found[(slice(None), *at)] == offsets[np.argsort(differences)[:3]]).all()


@pytest.mark.parametrize("name", ["numpy", "numba"])
def test_offsets_are_found_where_they_are_asked_for(name, made):
    image, atlases, *_ = made
    places = np.zeros(SHAPE, bool)
    places[2:4, 3] = True
    settings = {"radius": (1, 1, 1), "search": (1, 1, 1), "count": 2}
    found = label_fusion(name).best_offsets(image, atlases[0], places, **settings)
    everywhere = label_fusion(name).best_offsets(image, atlases[0], np.ones(SHAPE, bool), **settings)
    assert (found[:, places] == everywhere[:, places]).all()
    assert not found[:, ~places].any()


@pytest.mark.parametrize("name", ["numpy", "numba"])
@pytest.mark.parametrize("radius", [(1, 1, 1), (2, 1, 0)])
def test_joint_weights_solve_the_equation_of_the_paper(name, radius, made):
    image, atlases, _, offsets, _, places = made
    found = label_fusion(name).joint_weights(image, atlases, offsets, places, radius=radius, threads=2, **SETTINGS)
    for row in (0, len(places) // 2, len(places) - 1):
        at = tuple(places[row])
        target = standardised(patch_of(image, at, radius))
        moved = [
            standardised(patch_of(atlases[n], at + offsets[(n, rank, *at)], radius))
            for n, rank in np.ndindex(ATLASES, RANKS)
        ]
        error = np.abs(target - np.array(moved))
        matrix = (error @ error.T / error.shape[1]) ** 2 + 0.1 * np.eye(len(error))
        wanted = np.maximum(np.linalg.inv(matrix).sum(axis=1), 0)
        assert np.allclose(found[row].ravel(), wanted / wanted.sum(), atol=1e-5)


@pytest.mark.parametrize("name", ["numpy", "numba"])
def test_patches_vote_for_the_voxels_they_cover(name, made):
    _, _, codes, offsets, weights, places = made
    best, share = label_fusion(name).patch_votes(
        codes, offsets, weights, places, radius=(1, 1, 1), count=LABELS, threads=2
    )
    rows = {tuple(place): row for row, place in enumerate(places)}
    for row in (0, len(places) // 2, len(places) - 1):
        votes = np.zeros(LABELS)
        for shift in product((-1, 0, 1), repeat=3):
            centre = tuple(int(n) for n in places[row] + np.array(shift))
            if centre in rows:
                for n, rank in np.ndindex(ATLASES, RANKS):
                    at = np.clip(places[row] + offsets[(n, rank, *centre)], 0, np.array(SHAPE) - 1)
                    votes[codes[n][tuple(at)]] += weights[rows[centre], n, rank]
        assert best[row] == votes.argmax()
        assert share[row] == pytest.approx(votes.max() / votes.sum(), abs=1e-6)


def test_compiled_steps_agree_with_the_specification(made):
    image, atlases, codes, offsets, weights, places = made
    first, second = label_fusion("numpy"), label_fusion("numba")
    solved = [
        one.joint_weights(image, atlases, offsets, places, radius=(2, 2, 2), flat=1e-6, beta=1.5, alpha=0.01)
        for one in (first, second)
    ]
    assert np.allclose(*solved, atol=1e-4)
    votes = [
        one.patch_votes(codes, offsets, weights, places, radius=(1, 1, 1), count=LABELS) for one in (first, second)
    ]
    assert (votes[0][0] == votes[1][0]).mean() > 0.99  # labels with equal votes but for rounding
    assert np.allclose(votes[0][1], votes[1][1], atol=1e-6)


def test_threads_do_not_change_a_bit(made):
    image, atlases, codes, offsets, weights, places = made
    steps = label_fusion("numba")

    def all_steps(threads):
        search = {"radius": (1, 1, 1), "search": (2, 2, 2), "count": 2, "threads": threads}
        yield steps.best_offsets(image, atlases[0], np.ones(SHAPE, bool), **search)
        yield steps.joint_weights(image, atlases, offsets, places, radius=(1, 1, 1), threads=threads, **SETTINGS)
        yield from steps.patch_votes(codes, offsets, weights, places, radius=(1, 1, 1), count=LABELS, threads=threads)

    assert all(np.array_equal(one, other) for one, other in zip(all_steps(1), all_steps(3), strict=True))
