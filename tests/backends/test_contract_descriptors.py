"""Operations on descriptors of every backend against slow loops, and what holds for descriptors of any image."""

from __future__ import annotations

import numpy as np
import pytest

import descriptor_oracles
from backends.rounding import assert_rounded
from descriptor_oracles import CHANNELS, TOP, USED
from synthetic import smooth_volume, soft_weights, wide_field

SHAPES = [(9, 7, 1), (1, 8, 7), (2, 5, 4), (6, 5, 7), (3, 18, 35)]
OUTPUTS = ("value", "out_fixed", "out_moving")

SIMILARITY_ERROR = 2e-4 * TOP
"""Single precision rounds ten squarings (1e-4), and a distance that is a difference of sums as large as the spread."""
BLEND_ERROR = 8 * 2.0**-23 * TOP
"""Weights are rounded, and three blends of entries."""


def described(backend, volume, floor=0.03):
    """Descriptors on the host; memory for them is not empty at first."""
    out = backend.upload(np.full((*volume.shape, CHANNELS), 255, np.uint8))
    assert backend.descriptors.describe(backend.upload(volume), floor=floor, out=out) is out
    return backend.download(out)


def drawn(shape, seed=0, least=0, most=TOP):
    """Random descriptors, with zeros where those of images have them."""
    entries = np.random.default_rng(seed).integers(least, most + 1, (*shape, CHANNELS), dtype=np.uint8)
    entries[..., USED:] = 0
    return entries


def warped(backend, descriptors, field):
    out = backend.empty(descriptors.shape, np.uint8)
    assert backend.descriptors.warp(backend.upload(descriptors), backend.upload(field), out=out) is out
    return backend.download(out)


def forces(backend, fixed, moving, mask=None, kind=np.float64):
    """(value, force on fixed, force on moving) on the host; memory for forces is not empty at first."""
    rubbish = np.full((2, 3, *fixed.shape[:3]), np.nan, np.float32)
    outs = backend.empty((1,), kind), *(backend.upload(one) for one in rubbish)
    mask = None if mask is None else backend.upload(mask)
    given = backend.upload(fixed), backend.upload(moving)
    backend.descriptors.forces(*given, mask=mask, **dict(zip(OUTPUTS, outs, strict=True)))
    value, *found = (np.array(backend.download(out)) for out in outs)
    return value.item(), *found


# -- describe ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("floor", [0.03, 1e-3])
@pytest.mark.parametrize("shape", SHAPES)
def test_entries_are_similarities_of_neighbours(backend, shape, floor):
    volume = smooth_volume(shape, 1)
    found, expected = described(backend, volume, floor), descriptor_oracles.describe(volume, floor)
    assert found.dtype == np.uint8
    assert np.abs(found - expected).max() <= 0.5 + SIMILARITY_ERROR
    assert np.mean(found != np.rint(expected)) <= 0.01, "only next to borders of rounding"
    assert (found.max(axis=-1) == TOP).all(), "of the neighbours that are most alike"


def test_neighbours_of_a_flat_volume_are_all_alike(backend):
    found = described(backend, np.full((4, 5, 19), 0.7, np.float32))
    assert (found[..., :USED] == TOP).all()
    assert not found[..., USED:].any()


@pytest.mark.parametrize("shape", SHAPES)
def test_descriptors_of_inverted_contrast_are_the_same(backend, shape):
    volume = smooth_volume(shape, 2)
    plain, inverted = (described(backend, image).astype(int) for image in (volume, 1 - volume))
    assert np.abs(plain - inverted).max() <= 1
    assert np.mean(plain != inverted) <= 0.01


def test_memory_for_descriptors_is_made_where_none_is_given(backend):
    volume = smooth_volume((5, 4, 6), 3)
    found = backend.download(backend.descriptors.describe(backend.upload(volume), floor=0.03))
    np.testing.assert_array_equal(found, described(backend, volume))


# -- warp -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
def test_descriptors_through_fields_that_leave_the_volume(backend, shape):
    """Two descriptors with a field each."""
    both = np.stack([drawn(shape, 1), drawn(shape, 2)])
    fields = np.stack([wide_field(shape, 3), wide_field(shape, 4, largest=40.0)])
    found = warped(backend, both, fields)
    expected = np.stack([descriptor_oracles.warp(*given) for given in zip(both, fields, strict=True)])
    assert found.dtype == np.uint8
    assert np.abs(found - expected).max() <= 0.5 + BLEND_ERROR


@pytest.mark.parametrize("shape", SHAPES)
def test_sixteenths_of_a_voxel_are_exact(backend, shape):
    """Their products are, also where an entry lies between two whole numbers and is rounded up."""
    descriptors, field = drawn(shape, 5), np.rint(16 * wide_field(shape, 6)) / np.float32(16)
    expected = np.floor(descriptor_oracles.warp(descriptors, field) + 0.5)
    np.testing.assert_array_equal(warped(backend, descriptors[None], field[None])[0], expected)


def test_a_field_of_zeros_changes_no_descriptor(backend):
    both = np.stack([drawn((4, 9, 37), seed) for seed in (7, 8)])
    np.testing.assert_array_equal(warped(backend, both, np.zeros((2, 3, 4, 9, 37), np.float32)), both)


def test_far_beyond_the_volume_lies_its_border(backend):
    descriptors, field = drawn((4, 5, 6), 9), np.empty((3, 4, 5, 6), np.float32)
    field[0], field[1], field[2] = -1e6, 1e30, 1e6
    found = warped(backend, descriptors[None], field[None])[0]
    np.testing.assert_array_equal(found, np.broadcast_to(descriptors[0, -1, -1], found.shape))


# -- forces -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_value_and_forces_of_descriptors(backend, shape, masked):
    fixed, moving = drawn(shape, 1), drawn(shape, 2)
    mask = soft_weights(shape) if masked else None
    value, *found = forces(backend, fixed, moving, mask)
    expected, *truths = descriptor_oracles.forces(fixed, moving, mask)
    assert value == pytest.approx(expected, rel=1e-12)
    for force, truth in zip(found, truths, strict=True):
        assert force.dtype == np.float32
        np.testing.assert_allclose(force, truth, rtol=4 * 2.0**-24, atol=1e-15)  # a whole number times a rounded one
        assert not (masked and force[:, mask <= 0].any())


def test_no_force_on_outer_faces(backend):
    inside = (slice(None), *(slice(1, -1),) * 3)
    for force in forces(backend, drawn((5, 6, 18), 3), drawn((5, 6, 18), 4))[1:]:
        assert force[inside].all()
        force[inside] = 0
        assert not force.any()


def test_forces_on_descriptors_are_derivatives_of_the_value(backend):
    """By single entries, whose squares make central differences exact, times their slopes."""
    both = [drawn((6, 5, 7), seed, least=1, most=TOP - 1) for seed in (5, 6)]
    found = forces(backend, *both)[1:]
    for index in ((2, 2, 3), (4, 1, 5)):
        for side in range(2):
            by_entry = np.empty(USED)
            for channel in range(USED):
                ends = []
                for sign in (1, -1):
                    changed = [one.copy() for one in both]
                    changed[side][(*index, channel)] = both[side][(*index, channel)].item() + sign
                    ends.append(forces(backend, *changed)[0])
                by_entry[channel] = (ends[0] - ends[1]) / (2 / TOP)
            slopes = np.gradient(both[side][..., :USED] / TOP, axis=(0, 1, 2))
            expected = [-by_entry @ slope[index] * found[side][0].size / 2 for slope in slopes]
            np.testing.assert_allclose(found[side][(slice(None), *index)], expected, rtol=1e-6, atol=1e-9)


def test_equal_descriptors_feel_no_force(backend):
    descriptors = drawn((5, 4, 6), 7)
    value, *found = forces(backend, descriptors, descriptors)
    assert value == 0
    assert not np.any(found)


def test_forces_have_the_same_bits_on_any_threads(backend, make_backend):
    given = drawn((9, 8, 33), 8), drawn((9, 8, 33), 9)
    first = forces(backend, *given)
    for other in (backend, make_backend(3)):
        for one, again in zip(first, forces(other, *given), strict=True):
            np.testing.assert_array_equal(one, again)


def test_a_value_of_single_precision(backend):
    given = drawn((4, 5, 6), 10), drawn((4, 5, 6), 11)
    exact, rounded = forces(backend, *given)[0], forces(backend, *given, kind=np.float32)[0]
    assert_rounded(rounded, exact)
