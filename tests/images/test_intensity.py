"""Normalised intensities: background, range, foreground."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthetic import ellipsoid, smooth_volume
from warpline.backends import select
from warpline.errors import InputError
from warpline.images import Image, intensity
from warpline.images.intensity import lies_far_from_zero, value_beyond, winsorise
from warpline.space.grid import Grid

SHAPE = (16, 14, 12)


def normalise(data, mask=None, backend=None):
    """What is found of an array, its volume on the host."""
    backend = backend or select("numpy")
    chosen = None if mask is None else Image.from_array(mask, name="mask")
    found = intensity.normalise(Image.from_array(data), backend, chosen)
    return dataclasses.replace(found, volume=backend.download(found.volume))


def blob(background=0.0, shape=SHAPE):
    """A textured ellipsoid on a constant."""
    return np.where(ellipsoid(shape), 100 + 50 * smooth_volume(shape, 3), background).astype(np.float32)


@pytest.mark.parametrize("background", [0.0, -1000.0, 60.0])
def test_the_common_value_of_the_faces_becomes_zero(background):
    volume = blob(background)
    found = normalise(volume)
    assert found.has_background
    np.testing.assert_array_equal(found.volume == 0, volume == background)


def test_a_few_bright_voxels_do_not_set_the_range():
    volume = blob()
    volume[8, 7, 6] = 1e6
    plain, spiked = normalise(blob()).volume, normalise(volume).volume
    usual = volume < 1e6
    np.testing.assert_allclose(spiked[usual], plain[usual], rtol=0.02)
    assert np.quantile(plain[plain != 0], 0.995) == pytest.approx(1, abs=0.02)


@settings(max_examples=25)
@given(st.floats(0.01, 1000), st.integers(-500, 500))
def test_scale_and_offset_do_not_matter(gain, offset):
    volume = np.round(blob())
    changed = normalise((np.float64(gain) * volume + offset).astype(np.float64)).volume
    np.testing.assert_allclose(changed, normalise(volume).volume, atol=2e-5)


def test_bright_background_and_dark_object():
    found = normalise(np.where(ellipsoid(SHAPE), 10, 200).astype(np.int16))
    assert found.has_background
    assert sorted(np.unique(found.volume)) == [-1, 0]


def test_an_image_that_fills_its_grid_has_no_background():
    volume = 5 + smooth_volume(SHAPE, 1)
    found = normalise(volume)
    assert not found.has_background
    assert found.volume.min() == 0
    assert (found.start, found.stop) == ((0, 0, 0), SHAPE)


def test_background_needs_nine_tenths_of_the_faces():
    volume = blob()
    share = {True: 0.05, False: 0.2}
    for expected, part in share.items():
        noisy = volume.copy()
        noise = np.random.default_rng(0).uniform(1, 2, SHAPE)
        noisy[(np.random.default_rng(1).uniform(size=SHAPE) < part)] += 1
        noisy = np.where(noisy == 1, noise, noisy)
        assert normalise(noisy).has_background is expected


def test_the_foreground_box_is_tight():
    volume = np.zeros(SHAPE, np.uint8)
    volume[3:9, 5:6, 2:11] = 7
    found = normalise(volume)
    assert (found.start, found.stop) == ((3, 5, 2), (9, 6, 11))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int64, np.float64, ">i2"])
def test_any_number_type_comes_out_as_float32(dtype):
    found = normalise(np.round(blob()).astype(dtype)).volume
    assert found.dtype == np.float32
    assert found.flags.c_contiguous
    np.testing.assert_allclose(found, normalise(np.round(blob())).volume, atol=1e-6)


def test_the_input_is_left_alone_and_any_memory_order_will_do():
    volume = blob()
    kept = volume.copy()
    found = normalise(np.asfortranarray(volume))
    np.testing.assert_array_equal(found.volume, normalise(volume).volume)
    assert found.volume.flags.c_contiguous
    np.testing.assert_array_equal(volume, kept)


def test_one_slice_is_judged_by_its_rim():
    plane = blob(shape=(20, 18, 1))
    found = normalise(plane)
    assert found.has_background
    assert (found.start[2], found.stop[2]) == (0, 1)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float32, np.float64])
def test_every_backend_finds_the_same(dtype, backend):
    data = np.round(blob(background=3)).astype(dtype)
    found, expected = normalise(data, backend=backend), normalise(data)
    np.testing.assert_array_equal(found.volume, expected.volume)
    assert (found.start, found.stop, found.has_background) == (expected.start, expected.stop, True)


def test_only_the_mask_sets_the_range(backend):
    data, mask = blob(), np.zeros(SHAPE, np.uint8)
    data[12:] *= 100
    mask[:12] = 1
    inside = normalise(data, mask, backend).volume[:12]
    assert np.quantile(inside[inside != 0], 0.995) == pytest.approx(1, abs=0.02)
    assert np.quantile(normalise(data, backend=backend).volume[:12], 0.995) < 0.05


def test_a_mask_beside_its_image_is_refused(backend):
    beside = np.eye(4)
    beside[0, 3] = 1000
    mask = Image.from_array(np.ones(SHAPE, np.uint8), beside, name="mask")
    with pytest.raises(InputError, match="mask has no voxel inside its image"):
        intensity.normalise(Image.from_array(blob()), backend, mask)


def test_what_is_made_of_a_shared_image_is_kept():
    backend, image = select("numpy"), Image.from_array(blob())
    assert intensity.normalise(image, backend) is not intensity.normalise(image, backend)
    backend.cache.share(image)
    assert intensity.normalise(image, backend) is intensity.normalise(image, backend)


@pytest.mark.parametrize("times", [1e3, 1e6, -1e4])
def test_one_voxel_far_off_the_rest_changes_nothing_else(times, backend):
    spoiled, middle = blob(), (8, 7, 6)
    spoiled[middle] *= times
    clean, found = (np.array(normalise(data, backend=backend).volume) for data in (blob(), spoiled))
    assert abs(found[middle]) == intensity.CLIPPED
    found[middle] = clean[middle]
    np.testing.assert_allclose(found, clean, rtol=0.02)


def test_one_dark_voxel_does_not_set_the_floor():
    values = 100 + 20 * smooth_volume((20, 21, 22), 3)
    spoiled = values.copy()
    spoiled[9, 9, 9] = -1e6
    clean, found = (np.array(normalise(data).volume) for data in (values, spoiled))
    found[9, 9, 9] = clean[9, 9, 9]
    assert np.corrcoef(found.ravel(), clean.ravel())[0, 1] > 0.9999
    assert found.std() == pytest.approx(clean.std(), rel=0.2)


def head(air, tissue, noise=0.0, rim=None, dtype=np.float32):
    rng = np.random.default_rng(0)
    data = np.full((20, 22, 18), air, float) + rng.normal(0, max(noise, 1e-9), (20, 22, 18))
    data[5:15, 5:15, 5:15] = rng.uniform(*tissue, (10, 10, 10))
    if rim is not None:
        data[0] = rim
    return Image(data.round(6).astype(dtype), Grid(data.shape, np.eye(4)))


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (head(-1000, (-100, 1500)), -1000),
        (head(-1000, (-100, 1500), dtype=np.int16), -1000),
        (head(-1000, (-100, 1500), noise=15), pytest.approx(-1000, abs=2)),
        (head(-1000, (-100, 1500), noise=15, rim=-3000), pytest.approx(-1000, abs=30)),
        (head(0, (200, 900)), 0),
        (head(12, (200, 900), noise=4), 0),
        (head(0, (-5, 5)), 0),
        (head(1000, (1500, 2000)), 1000),
        (head(0, (1, 2), dtype=bool), 0),
        (head(1, (1, 1), dtype=np.uint8), 0),
    ],
)
def test_the_value_beyond_is_a_background_far_from_0(image, expected):
    assert value_beyond(image) == expected
    series = Image(np.stack([image.data, image.data], -1), image.grid)
    assert value_beyond(series) == expected


def test_without_background_there_is_no_value_beyond():
    image = Image(np.random.default_rng(0).uniform(800, 1200, (9, 9, 9)).astype(np.float32), Grid((9, 9, 9), np.eye(4)))
    assert value_beyond(image) == 0 and lies_far_from_zero(image)
    assert not lies_far_from_zero(head(12, (200, 900), noise=4))


def test_winsorising_reaches_the_object_only():
    volume = blob()
    volume[8, 7, 6], volume[8, 7, 5] = 1e6, 1e-3
    inside = volume > 0
    found, (low, high) = winsorise(volume, inside, (0.02, 0.98))
    assert found.dtype == np.float32
    assert (found[8, 7, 6], found[8, 7, 5]) == (np.float32(high), np.float32(low))
    np.testing.assert_array_equal(found[~inside], 0)
    between = inside & (volume > low) & (volume < high)
    assert between.sum() > 0.95 * inside.sum()
    np.testing.assert_array_equal(found[between], volume[between])


def test_equal_grey_values_of_two_images_stay_equal():
    """Noise around one object, and more bright voxels in it, are no reason to scale it otherwise."""
    rng, first = np.random.default_rng(0), blob()
    second = first.copy()
    second[6:10, 5:9, 4:8] = 150
    noisy = first + rng.normal(0, 3, SHAPE).astype(np.float32)
    for pair in ((first, second), (first, noisy), (noisy, noisy + 0)):
        images = [Image.from_array(one) for one in pair]
        one, other = (found.volume for found in intensity.normalise_alike(images, select("numpy"), (None, None)))
        scale = (one.max() - one.min()) / (pair[0].max() - pair[0].min())
        np.testing.assert_allclose(other - one, (pair[1] - pair[0]) * scale, atol=1e-5)
    back = intensity.normalise_alike(images[::-1], select("numpy"), (None, None))
    np.testing.assert_array_equal(back[0].volume, other)
