"""Agreement inside two objects: it peaks under the right map, and outlines alone give none."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from made_heads import lattice, scan
from warpline.images import Image
from warpline.images.intensity import normalise
from warpline.registration.judgement import ObjectComparison
from warpline.space.grid import Grid

SIZE = {"size": 4.0, "shape": (36, 42, 32)}


def comparison(backend, fixed, moving):
    return ObjectComparison(normalise(fixed, backend), normalise(moving, backend), backend)


def shifted(*millimetres):
    matrix = np.eye(4)
    matrix[:3, 3] = millimetres
    return matrix


def noise_like(image):
    """Smooth noise in the outline of an image."""
    noise = gaussian_filter(np.random.default_rng(3).normal(size=image.data.shape), 1.5)
    return Image(np.where(image.data > 0, 100 + 300 * noise, 0).astype(np.float32), image.grid)


def above_chance(found, matrix):
    agreement = found.at(matrix)
    return agreement.correlation / found.before_and_chance(matrix, agreement.voxels // 2)[1]


def test_the_right_map_agrees_better_than_wrong_ones(backend):
    head = scan(lattice(**SIZE))
    found = comparison(backend, head, scan(lattice(**SIZE, shift=(3, 0, 0)), contrast=lambda v: (v > 0) * (200 - v)))
    assert found.at(np.eye(4)).correlation > 0.9
    assert above_chance(found, np.eye(4)) > 3
    assert above_chance(found, shifted(30, 0, 0)) < 1.5


def test_maps_are_compared_as_each_would_be_alone(backend, monkeypatch):
    head = scan(lattice(**SIZE))
    found = comparison(backend, head, scan(lattice(**SIZE, shift=(3, 0, 0))))
    maps = [shifted(4.0 * n, 0, 0) for n in range(4)]
    together, alone = found.correlations(maps), [found.correlation(matrix) for matrix in maps]
    np.testing.assert_array_equal(together, alone)
    monkeypatch.setattr("warpline.registration.judgement.object_comparison.BATCH_VOXELS", 3 * np.prod(found.grid.shape))
    np.testing.assert_array_equal(found.correlations(maps), together)


def test_a_shared_outline_is_no_agreement(backend):
    head = scan(lattice(**SIZE))
    found = comparison(backend, head, noise_like(head))
    assert found.at(np.eye(4)).overlap > 0.99
    assert above_chance(found, np.eye(4)) < 1.5


def test_masks_have_nothing_but_their_outline(backend):
    head = scan(lattice(**SIZE))
    mask = Image((head.data > 0).astype(np.float32), head.grid)
    found = comparison(backend, mask, mask)
    assert not found.has_structure
    assert above_chance(found, np.eye(4)) > 2
    assert above_chance(found, shifted(40, 30, 0)) < 1.5


def test_overlap_and_coverage_are_of_what_both_images_show(backend):
    head = scan(lattice(**SIZE))
    part = Image(head.data[:, :, 12:20], head.grid.cropped((0, 0, 12), (36, 42, 20)))
    agreement = comparison(backend, head, part).at(np.eye(4))
    assert agreement.overlap > 0.95
    assert 0.4 < agreement.coverage < 0.6
    gone = comparison(backend, head, head).at(shifted(500, 0, 0))
    assert (gone.voxels, gone.correlation, gone.coverage) == (0, 0.0, 0.0)


def test_a_displacement_comes_before_the_matrix(backend):
    head = scan(lattice(**SIZE))
    found = comparison(backend, head, head)
    field = np.zeros((3, *head.grid.shape), np.float32)
    field[1] = 2.0
    there = found.correlation(np.eye(4), found.coarse_field(backend.upload(field), head.grid))
    assert there == pytest.approx(found.at(shifted(0, 8.0, 0)).correlation, abs=0.02)
    back = found.correlation(shifted(0, -8.0, 0), found.coarse_field(backend.upload(field), head.grid))
    assert back > 0.9


def test_slices_are_compared_in_their_plane(backend):
    whole = scan(lattice(size=2.0, shape=(60, 72, 40)))
    slice_ = Image(whole.data[:, :, 18:19], whole.grid.cropped((0, 0, 18), (60, 72, 19)))
    found = comparison(backend, slice_, slice_)
    assert above_chance(found, np.eye(4)) > 2


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_headers_in_other_units_change_nothing(factor, backend):
    head, other = scan(lattice(**SIZE)), scan(lattice(**SIZE, shift=(3, 0, 0)))
    plain = comparison(backend, head, other)
    scaled = comparison(backend, *(enlarged(image, factor) for image in (head, other)))
    before, chance = plain.before_and_chance(np.eye(4), 100)
    assert scaled.radius == pytest.approx(factor * plain.radius)
    assert scaled.before_and_chance(np.eye(4), 100) == pytest.approx((before, chance), rel=1e-4)


def enlarged(image, factor):
    return Image(image.data, Grid(image.grid.shape, np.diag([factor] * 3 + [1.0]) @ image.grid.affine))


def test_the_gain_of_a_map_and_its_error(backend):
    head = scan(lattice(**SIZE))
    found = comparison(backend, head, head)
    gain, error = found.gain(np.eye(4), shifted(8.0, 0, 0))
    assert gain > 4 * error > 0
    assert gain == pytest.approx(found.correlation(np.eye(4)) - found.correlation(shifted(8.0, 0, 0)), abs=0.05)
    assert found.gain(np.eye(4), np.eye(4)) == (0.0, 0.0)
    assert np.isnan(found.gain(np.eye(4), shifted(1000.0, 0, 0))).all()
