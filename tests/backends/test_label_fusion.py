"""The steps of joint label fusion: the specification against loops, the compiled ones against it."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from warpline.backends.label_fusion import label_fusion

SHAPE, ATLASES, LABELS = (7, 6, 5), 3, 4


@pytest.fixture(scope="module")
def made():
    """Image, atlases, codes, offsets, weights and places that reach all borders."""
    random = np.random.default_rng(0)
    image = random.random(SHAPE, dtype=np.float32)
    atlases = random.random((ATLASES, *SHAPE), dtype=np.float32)
    atlases[1, :4] = 0.5  # patches without contrast
    codes = random.integers(0, LABELS, (ATLASES, *SHAPE), dtype=np.int32)
    offsets = random.integers(-2, 3, (ATLASES, *SHAPE, 3), dtype=np.int8)
    places = np.argwhere(random.random(SHAPE) < 0.7).astype(np.int32)
    weights = random.random((len(places), ATLASES), dtype=np.float32)
    return image, atlases, codes, offsets, weights, places


def patch_of(volume, centre, radius):
    ranges = [range(c - r, c + r + 1) for c, r in zip(centre, radius, strict=True)]
    clipped = (tuple(np.clip(at, 0, np.array(volume.shape) - 1)) for at in product(*ranges))
    values = np.array([volume[at] for at in clipped], dtype=np.float64)
    spread = values.std()
    return (values - values.mean()) / spread if spread > 1e-6 else values * 0


@pytest.mark.parametrize("name", ["numpy", "numba"])
@pytest.mark.parametrize("radius", [(1, 1, 1), (2, 1, 0)])
def test_joint_errors_are_mean_products(name, radius, made):
    image, atlases, _, offsets, _, places = made
    found = label_fusion(name).joint_errors(image, atlases, offsets, places, radius=radius, threads=2)
    for row in (0, len(places) // 2, len(places) - 1):
        at = tuple(places[row])
        target = patch_of(image, at, radius)
        moved = [patch_of(one, at + shift[at], radius) for one, shift in zip(atlases, offsets, strict=True)]
        error = np.abs(target - np.array(moved))
        assert np.allclose(found[row], error @ error.T / error.shape[1], atol=1e-5)


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
                for n in range(ATLASES):
                    at = np.clip(places[row] + offsets[n][centre], 0, np.array(SHAPE) - 1)
                    votes[codes[n][tuple(at)]] += weights[rows[centre], n]
        assert best[row] == votes.argmax()
        assert share[row] == pytest.approx(votes.max() / votes.sum(), abs=1e-6)


def test_compiled_steps_agree_with_the_specification(made):
    image, atlases, codes, offsets, weights, places = made
    first, second = label_fusion("numpy"), label_fusion("numba")
    errors = [one.joint_errors(image, atlases, offsets, places, radius=(2, 2, 2)) for one in (first, second)]
    assert np.allclose(*errors, atol=1e-5)
    votes = [
        one.patch_votes(codes, offsets, weights, places, radius=(1, 1, 1), count=LABELS) for one in (first, second)
    ]
    assert (votes[0][0] == votes[1][0]).mean() > 0.99  # labels with equal votes but for rounding
    assert np.allclose(votes[0][1], votes[1][1], atol=1e-6)
