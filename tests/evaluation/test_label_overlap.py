"""Overlap of labels: SimpleITK's, and what is refused."""

from dataclasses import asdict

import numpy as np
import pytest
import SimpleITK

from warpline.errors import InputError
from warpline.evaluation import label_counts, overlap
from warpline.images import Image

OBLIQUE = np.array(
    ((-1.2, 0.3, 0.1, 20.0), (0.2, 0.1, 2.1, -7.0), (-0.1, 1.4, 0.2, 3.0), (0.0, 0.0, 0.0, 1.0)),
)


def labels_of(array):
    return Image.from_array(array, OBLIQUE)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.int64, np.float32, np.float64])
def test_dice_is_that_of_simpleitk(dtype):
    draw = np.random.default_rng(0)
    fixed, warped = (draw.integers(0, 6, (9, 8, 7)).astype(dtype) for _ in range(2))
    result = overlap(labels_of(fixed), labels_of(warped))
    measures = SimpleITK.LabelOverlapMeasuresImageFilter()
    measures.Execute(*(SimpleITK.GetImageFromArray(a.astype(np.int32)) for a in (fixed, warped)))
    assert list(result.dice) == [1, 2, 3, 4, 5]
    for label, dice in result.dice.items():
        assert dice == pytest.approx(measures.GetDiceCoefficient(label), abs=1e-12)
    assert result.mean == pytest.approx(np.mean(list(result.dice.values())))


def test_labels_that_float_cannot_tell_apart_are_kept_apart():
    low, high = 2**53, 2**53 + 1
    fixed, warped = np.full((4, 4, 4), low), np.full((4, 4, 4), low)
    warped[:2] = high
    fixed[0] = high
    result = overlap(labels_of(fixed), labels_of(warped))
    assert result.dice == {low: 2 * 32 / (48 + 32), high: 2 * 16 / (16 + 32)}


def test_unsigned_and_negative_labels_count():
    fixed = np.array([[[2**63 + 1, 2**63 + 2, 0]]], np.uint64)
    assert overlap(labels_of(fixed), labels_of(fixed)).dice == {2**63 + 1: 1.0, 2**63 + 2: 1.0}
    negative = np.array([[[-5, 7, 0]]], np.int16)
    assert overlap(labels_of(negative), labels_of(negative)).dice == {-5: 1.0, 7: 1.0}


def test_background_and_missing_labels_stay_out_of_the_mean():
    fixed, warped = np.zeros((2, 4, 4, 4), np.uint8)
    fixed[0], warped[0] = 1, 1
    fixed[1], warped[2] = 9, 4
    result = overlap(labels_of(fixed), labels_of(warped))
    assert (result.dice, result.mean, result.missing) == ({1: 1.0}, 1.0, (4, 9))
    assert asdict(result)["dice"] == {1: 1.0}


@pytest.mark.parametrize(
    ("fixed", "warped", "words"),
    [
        (np.ones((3, 3, 3)), np.full((3, 3, 3), 0.5), "whole numbers"),
        (np.ones((3, 3, 3)), np.full((3, 3, 3), np.nan), "whole numbers"),
        (np.ones((3, 3, 3), int), np.full((3, 3, 3), 2), "no label in common"),
        (np.ones((3, 3, 3), int), np.ones((3, 3, 4), int), "not on the grid"),
        (np.ones((3, 3, 3), int), np.ones((3, 3, 3, 2), int), "3-D volume is needed"),
    ],
)
def test_unusable_labels_are_refused(fixed, warped, words):
    with pytest.raises(InputError, match=words):
        overlap(labels_of(fixed), labels_of(warped))


def test_voxels_of_every_label_are_counted():
    first, second = np.zeros((4, 4, 4), np.int16), np.zeros((4, 4, 4), np.int16)
    first[0], first[1], second[0, :2], second[2] = 3, 7, 3, 2**14
    counts = label_counts(Image.from_array(first), Image.from_array(second))
    assert counts == {3: (16, 8, 8), 7: (16, 0, 0), 2**14: (0, 16, 0)}
