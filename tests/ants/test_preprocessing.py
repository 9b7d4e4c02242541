"""Bias fields, noise and histograms, against ANTsPy."""

from __future__ import annotations

import ants
import numpy as np
import pytest

from ants_peers import DIRECTIONS, in_ants, made_grid, smooth
from synthetic import ellipsoid
from warpline import ants as ours
from warpline.errors import InputError, UsageError

GRID = made_grid(DIRECTIONS["straight"], (26, 22, 20), (1.0, 1.5, 2.0))
INSIDE = ellipsoid(GRID.shape, 0.4).astype(np.float32)


def shaded(seed=1):
    """Texture under a smooth field, nowhere 0."""
    ramp = np.linspace(-0.5, 0.5, GRID.shape[0])[:, None, None]
    return ((200 + smooth(GRID.shape, seed)) * np.exp(ramp)).astype(np.float32)


def both(array):
    """An array on the grid: as ANTsImage, and as we take it."""
    return in_ants(array, GRID), (array, GRID.affine)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(
    "how",
    [
        {"shrink_factor": 2, "convergence": {"iters": [10], "tol": 1e-7}},
        {"shrink_factor": 2, "convergence": {"iters": [20, 10], "tol": 1e-6}},
        {"shrink_factor": 1, "convergence": {"iters": [20], "tol": 1e-4}, "spline_param": [2, 1, 2]},
    ],
    ids=str,
)
def test_bias_fields(how, masked):
    """With enough voxels a level only single precision is left, in sums that every iteration goes on from."""
    theirs, mine = both(shaded())
    their_mask, my_mask = both(INSIDE) if masked else (None, None)
    expected = ants.n4_bias_field_correction(theirs, mask=their_mask, return_bias_field=True, **how).numpy()
    found = ours.n4_bias_field_correction(mine, mask=my_mask, return_bias_field=True, **how)
    np.testing.assert_allclose(found.affine, GRID.affine)
    np.testing.assert_allclose(np.asarray(found.dataobj), expected, rtol=1e-4)
    assert np.ptp(expected) > 0.1
    corrected = ants.n4_bias_field_correction(theirs, mask=their_mask, **how).numpy()
    np.testing.assert_allclose(ours.n4_bias_field_correction(mine, mask=my_mask, **how).dataobj, corrected, rtol=1e-4)


@pytest.mark.parametrize("how", [{}, {"number_of_histogram_bins": 64, "use_threshold_at_mean_intensity": True}])
def test_matched_histograms(how):
    (source, mine), (reference, my_reference) = both(shaded(1)), both(0.3 * shaded(2) ** 1.1)
    expected = ants.histogram_match_image(source, reference, **how).numpy()
    np.testing.assert_allclose(ours.histogram_match_image(mine, my_reference, **how).dataobj, expected, rtol=1e-5)


def test_types_of_values_are_kept():
    array = shaded().astype(np.uint8)
    found = ours.histogram_match_image((array, GRID.affine), (array // 2, GRID.affine))
    assert found.get_data_dtype() == np.uint8
    assert ours.denoise_image((array.astype(np.int16), GRID.affine)).get_data_dtype() == np.float32


@pytest.mark.parametrize("model", ["Rician", "Gaussian"])
def test_noise_is_removed_about_as_well_as_by_ants(model):
    clean = 500 + 200 * INSIDE
    noisy = (clean + np.random.default_rng(0).normal(0, 20, clean.shape)).astype(np.float32)
    theirs, mine = both(noisy)
    expected = ants.denoise_image(theirs, noise_model=model).numpy()
    found = np.asarray(ours.denoise_image(mine, noise_model=model).dataobj)
    left, before = np.std(found - clean), np.std(noisy - clean)
    assert left < 0.7 * before and left < 1.2 * np.std(expected - clean)


def test_outside_a_mask_nothing_changes():
    _, mine = both(shaded())
    mask = (INSIDE, GRID.affine)
    for made in (ours.n4_bias_field_correction(mine, mask=mask), ours.denoise_image(mine, mask=mask)):
        np.testing.assert_array_equal(np.asarray(made.dataobj)[INSIDE == 0], shaded()[INSIDE == 0])


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("n4_bias_field_correction", {"rescale_intensities": True}, "rescale_intensities and weight_mask"),
        ("n4_bias_field_correction", {"spline_param": 200}, "spline_param is 200; the number of meshes"),
        ("n4_bias_field_correction", {"convergence": {"iters": [5]}}, "convergence"),
        ("denoise_image", {"noise_model": "Poisson"}, "choose from Rician, Gaussian"),
        ("denoise_image", {"shrink_factor": 2}, "no shrink_factor"),
        ("denoise_image", {"p": "2x2"}, "whole numbers"),
    ],
)
def test_other_arguments_are_refused(name, arguments, message):
    with pytest.raises(UsageError, match=message):
        getattr(ours, name)(both(shaded())[1], **arguments)


def test_a_series_and_a_mask_elsewhere_are_refused():
    with pytest.raises(InputError, match="is 4-D"):
        ours.denoise_image((np.ones((4, 4, 4, 2)), np.eye(4)))
    with pytest.raises(InputError, match="does not lie on the grid"):
        ours.n4_bias_field_correction(both(shaded())[1], mask=(INSIDE, np.eye(4)))
