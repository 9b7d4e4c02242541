"""The best translation of each rotation: against slow loops, in parts of an object, in other contrasts and sizes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from made_heads import lattice, scan
from warpline.backends import select
from warpline.images import Image
from warpline.images.intensity import normalise
from warpline.registration.pyramid import build_pyramid
from warpline.registration.translation_search import Edges, _Transforms, best_translations, even_rotations
from warpline.space.grid import Grid

BACKEND = select("numpy")
TURN = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])


def edges(image, size=12.0):
    return Edges.of(whole := normalise(image, BACKEND), build_pyramid(whole, (size,), BACKEND)[0], size)


def part(image, *spans):
    """Some voxels of an image, where they were."""
    start, stop = zip(
        *(slice(*span).indices(n)[:2] for span, n in zip(spans, image.grid.shape, strict=True)), strict=True
    )
    box = tuple(map(slice, start, stop))
    return Image(np.ascontiguousarray(image.data[box]), image.grid.cropped(start, stop))


def slow_score(first, second, shift):
    """Of the voxels that two masked images share where the second lies `shift` voxels further."""
    common = [(max(0, s), min(n, m + s)) for s, n, m in zip(shift, first[0].shape, second[0].shape, strict=True)]
    if any(a >= b for a, b in common):
        return 0.0
    here = tuple(slice(a, b) for a, b in common)
    there = tuple(slice(a - s, b - s) for (a, b), s in zip(common, shift, strict=True))
    both = (first[1][here] * second[1][there]) > 0
    if both.sum() < 3:
        return 0.0
    one, other = first[0][here][both], second[0][there][both]
    shares = one.var() * both.sum() / (first[0] ** 2).sum(), other.var() * both.sum() / (second[0] ** 2).sum()
    if not (min(shares) > 0.1 or (min(shares) > 0.02 and max(shares) > 0.5)):
        return 0.0
    return -both.sum() * np.log1p(-min(np.corrcoef(one, other)[0, 1] ** 2, 0.9999))


def test_scores_are_those_of_slow_loops():
    rng = np.random.default_rng(3)
    known = [(rng.uniform(size=shape) > 0.2).astype(np.float32) for shape in ((5, 6, 2), (4, 3, 2))]
    images = [((rng.normal(size=one.shape)).astype(np.float32) * one, one) for one in known]
    still = _Transforms.of(*images[0], (8, 8, 3))
    shift, score = still.best_shift(*images[1])
    lattice_of = np.array(np.meshgrid(range(-3, 5), range(-2, 6), (-1, 0, 1), indexing="ij")).reshape(3, -1).T
    slow = np.array([slow_score(*images, tuple(one)) for one in lattice_of])
    assert score == pytest.approx(slow.max(), rel=1e-3) and score > 0
    np.testing.assert_array_equal(np.array(shift), lattice_of[slow.argmax()] % still.shape)


def test_rotations_leave_no_gap():
    tried = even_rotations()
    some = Rotation.random(300, random_state=0).as_matrix()
    cosines = (np.einsum("aij,bij->ab", some, tried) - 1) / 2
    assert np.degrees(np.arccos(cosines.max(axis=1).clip(-1, 1))).max() < 31
    np.testing.assert_array_equal(tried[0], np.eye(3))
    np.testing.assert_allclose(np.linalg.det(tried), 1)


@pytest.mark.parametrize("contrast", [lambda v: v, np.negative])
def test_a_part_is_found_turned_and_far_away(contrast):
    truth = np.eye(4)
    truth[:3, :3], truth[:3, 3] = TURN, (310.0, -200.0, 40.0)
    whole = scan(lattice(size=4.0, shape=(36, 42, 32)), contrast=contrast)
    quarter = part(whole, (16, None), (None, 20), (None, None))
    moving = Image(quarter.data, Grid(quarter.grid.shape, truth @ quarter.grid.affine))
    rotations = np.stack([np.eye(3), TURN, TURN.T, TURN @ TURN])
    maps, scores = best_translations(edges(scan(lattice(size=4.0, shape=(36, 42, 32)))), edges(moving), rotations)
    assert scores.argmax() == 1
    steps = np.abs(maps[1] - truth)
    assert steps[:3, :3].max() == 0 and steps[:3, 3].max() <= 12.0


def test_sizes_may_be_unlike():
    fixed = scan(lattice(size=4.0, shape=(36, 42, 32)))
    small = Image(fixed.data, Grid(fixed.grid.shape, np.diag([0.25, 0.25, 0.25, 1]) @ fixed.grid.affine))
    maps, _ = best_translations(edges(fixed), edges(small, 3.0), np.eye(3)[None])
    np.testing.assert_allclose(maps[0], np.diag([0.25, 0.25, 0.25, 1]), atol=1.5)
    np.testing.assert_allclose(maps[0, :3, :3], 0.25 * np.eye(3))


def test_slices_stay_in_their_plane():
    grid = Grid((60, 70, 1), np.array([[3.0, 0, 0, -88], [0, 3, 0, -103], [0, 0, 3, 5], [0, 0, 0, 1]]))
    fixed = scan(grid)
    moving = part(fixed, (28, None), (None, 40), (None, None))
    maps, scores = best_translations(edges(fixed), edges(moving), np.stack([TURN, np.eye(3)]), np.eye(3))
    assert scores.argmax() == 1 and np.abs(maps[1] - np.eye(4)).max() <= 6.0 + 1e-9
    assert abs(maps[1, 2, 3]) < 1e-9


def test_masked_voxels_do_not_count():
    grid = Grid((60, 70, 1), np.array([[3.0, 0, 0, -88], [0, 3, 0, -103], [0, 0, 3, 5], [0, 0, 0, 1]]))
    fixed = scan(grid)
    spoiled, counts = fixed.data.copy(), np.ones(grid.shape, np.uint8)
    spoiled[40:], counts[36:] = 2000.0, 0
    whole = normalise(Image(spoiled, grid), BACKEND, Image(counts, grid))
    masked = Edges.of(whole, build_pyramid(whole, (12.0,), BACKEND)[0], 12.0)
    maps, _ = best_translations(edges(fixed), masked, np.eye(3)[None], np.eye(3))
    assert np.abs(maps[0] - np.eye(4)).max() <= 6.0 + 1e-9
