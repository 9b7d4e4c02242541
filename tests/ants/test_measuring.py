"""Likeness of images and labels, and other grids: ANTsPy's own values."""

from __future__ import annotations

import ants
import numpy as np
import pytest

from ants_peers import DIRECTIONS, in_ants, made_grid, smooth
from warpline import ants as ours
from warpline.errors import InputError, UsageError

GRID = made_grid(DIRECTIONS["oblique"], (20, 18, 16), (1.0, 1.5, 2.0))


def pair(*arrays):
    """Arrays on the grid: as ANTsImages, and as we take them."""
    return [in_ants(array, GRID) for array in arrays], [(array, GRID.affine) for array in arrays]


@pytest.mark.parametrize("name", ["MeanSquares", "Demons", "Correlation", "ANTSNeighborhoodCorrelation"])
def test_similarity(name):
    first = smooth(GRID.shape, 1)
    theirs, mine = pair(first, 0.7 * first + 0.5 * smooth(GRID.shape, 2))
    expected = ants.image_similarity(*theirs, name, sampling_strategy="None")
    assert ours.image_similarity(*mine, name) == pytest.approx(expected, rel=2e-4)


def test_windows_of_an_even_background_count_as_alike_as_in_itk():
    first = smooth(GRID.shape, 1) * (np.indices(GRID.shape)[0] < 8)
    theirs, mine = pair(first, np.roll(first, 1, 0))
    expected = ants.image_similarity(*theirs, "ANTSNeighborhoodCorrelation", sampling_strategy="None")
    assert ours.image_similarity(*mine, "ANTSNeighborhoodCorrelation") == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("which", ["fixed_mask", "moving_mask"])
def test_masks_of_a_similarity(which):
    first, second = smooth(GRID.shape, 1), smooth(GRID.shape, 2)
    mask = np.indices(GRID.shape)[0] < 12
    images = (first, GRID.affine), (second, GRID.affine)
    found = ours.image_similarity(*images, **{which: (mask.astype(np.uint8), GRID.affine)})
    assert found == pytest.approx(np.mean((first[mask] - second[mask]) ** 2), rel=1e-5)


def test_similarity_counts_only_where_both_grids_are():
    first = smooth(GRID.shape, 1)
    half = (first[:10], GRID.affine)
    assert ours.image_similarity((first, GRID.affine), half) == pytest.approx(0, abs=1e-6)
    away = GRID.affine.copy()
    away[:3, 3] += 500
    with pytest.raises(InputError, match="no voxel"):
        ours.image_similarity((first, GRID.affine), (first, away))


def test_labels_overlap():
    pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    first, second = (rng.integers(0, top, GRID.shape).astype(np.float32) for top in (4, 5))
    theirs, mine = pair(first, second)
    expected, found = ants.label_overlap_measures(*theirs), ours.label_overlap_measures(*mine)
    assert list(found.columns) == list(expected.columns)
    assert found["Label"].tolist() == expected["Label"].tolist() == ["All", 1, 2, 3, 4]
    ours_only, theirs_only = found.iloc[:, 1:].to_numpy(float), expected.iloc[:, 1:].to_numpy(float)
    absent = theirs_only > 1e300  # ITK's word for a label that the source has not; ours is the share, 0
    np.testing.assert_allclose(ours_only[~absent], theirs_only[~absent], rtol=1e-6)
    assert absent.sum() == 1 and ours_only[absent] == 0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda image: ours.image_similarity(image, image, "MattesMutualInformation"), "choose from MeanSquares"),
        (lambda image: ours.resample_image(image, (2, 2), False, 0), "for each axis"),
        (lambda image: ours.resample_image(image, (2, 2, 0), False, 0), "above 0"),
        (lambda image: ours.resample_image(image, (2, 2, 2), False, 3), "interp_type is 3"),
        (lambda image: ours.resample_image_to_target(image, image, 2), "interp_type is 2"),
        (lambda image: ours.resample_image_to_target(image, image, imagetype=2), "imagetype is 2"),
    ],
)
def test_what_is_not_offered_is_said(call, words):
    with pytest.raises(UsageError, match=words):
        call((smooth(GRID.shape, 1), GRID.affine))
