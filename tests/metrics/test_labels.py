"""Label maps: words that tell labels apart, and forces that bring labels together."""

from __future__ import annotations

import numpy as np
import pytest

from metrics.measuring import SHAPE, OnLevel
from synthetic import ellipsoid, label_map
from warpline.errors import InputError
from warpline.metrics.labels import MOST_LABELS, LabelAgreement, common_labels, word, words

ALL = np.array([word(number) for number in range(MOST_LABELS + 1)], np.uint16)


class ShareOnLevel(OnLevel):
    """A label map whose grid is that of the level, so that shares are whole by any order of interpolation."""

    def resampled(self, volume, order=3):
        return volume


def measure(fixed, moving, backend):
    """(value, force on fixed, force on moving) of words, on the host."""
    metric, forces, value = LabelAgreement(), backend.empty((2, 3, *SHAPE)), backend.zeros((1,), np.float64)
    images = metric.features(tuple(ShareOnLevel(backend.upload(codes)) for codes in (fixed, moving)), backend)
    metric.forces(images, forces, value, mask=None, backend=backend)
    return float(backend.download(value)[0]), *(np.array(backend.download(force)) for force in forces)


def least_distance(codes):
    """Fewest bits in which two of the words differ."""
    differing = np.unpackbits((codes[:, None] ^ codes[None]).view(np.uint8), axis=-1)
    bits = differing.reshape(len(codes), len(codes), -1).sum(axis=-1)
    return bits[np.triu_indices(len(codes), 1)].min()


def test_words_of_the_first_labels_differ_in_eight_bits():
    assert least_distance(ALL[:32]) == 8


def test_words_of_all_labels_differ_in_four_bits():
    assert len(ALL) == 2048 == len(set(ALL.tolist()))
    assert least_distance(ALL) == 4


def test_the_background_has_no_bit():
    assert word(0) == 0 and np.all(ALL[1:] > 0)


def test_labels_that_only_one_map_has_are_background():
    labels = np.array([[0, 3, 17], [500, -4, 999]])
    found = words(labels, [3, 500])
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, [[0, word(1), 0], [word(2), 0, 0]])


def test_without_common_labels_all_is_background():
    assert not words(np.array([-1, 0, 1, 2]), []).any()


def test_common_labels_are_shared_and_not_background():
    fixed, moving = np.array([[0, 7, 2], [2, -1, 9]]), np.array([9.0, -1.0, 0.0, 2.0, 5.0])
    assert common_labels(fixed, moving) == [2, 9]
    assert common_labels([0, 1], [0, 2]) == []


def test_more_labels_than_words_are_refused():
    labels = np.arange(MOST_LABELS + 2)
    assert len(np.unique(words(labels, labels[1 : MOST_LABELS + 1].tolist()))) == MOST_LABELS + 1
    with pytest.raises(InputError, match=f"{MOST_LABELS + 1} labels in common; at most {MOST_LABELS}"):
        words(labels, labels[1:].tolist())


def test_equal_label_maps_agree(backend):
    codes = words(label_map(SHAPE), [1, 2, 5])
    value, *forces = measure(codes, codes, backend)
    assert value == 0 and not np.any(forces)


def test_the_value_grows_with_the_distance_of_labels(backend):
    labels = ellipsoid(SHAPE, 0.3).astype(int)
    codes = words(labels, [1])
    near, far = (measure(codes, np.roll(codes, n, axis=0), backend) for n in (1, 3))
    assert 0 < near[0] < far[0]
    assert np.any(near[1]) and np.any(near[2])
