"""Mutual information of volumes finds the map between unlike contrasts."""

from __future__ import annotations

import numpy as np
import pytest

from metrics.measuring import measure, rough_pair
from synthetic import pair_with_known_map
from warpline.metrics import DEFORMABLE_METRICS
from warpline.metrics.volume_information import SPAN
from warpline.recipe import Syn

CONTRASTS = {
    "inverted": lambda image: 1 - image,
    "squared": np.square,
    "folded": lambda image: np.abs(image - 0.5),
    "below the background": lambda image: -image,
}


def metric(bins=64):
    return DEFORMABLE_METRICS["mutual_information"](Syn(bins=bins))


@pytest.mark.parametrize("contrast", CONTRASTS)
def test_forces_point_the_same_way_in_any_contrast(backend, contrast):
    """What moves like contrasts together moves unlike ones as well, where grey values tell tissues apart."""
    fixed, moving, _ = pair_with_known_map((24, 22, 20), 3)
    other = CONTRASTS[contrast](np.float64(moving)).astype(np.float32)
    _, plain, _ = measure(metric(), fixed, moving, backend)
    _, found, _ = measure(metric(), fixed, other, backend)
    agreement = (plain * found).sum() / np.sqrt(np.square(plain).sum() * np.square(found).sum())
    assert agreement > (0.3 if contrast == "folded" else 0.8)


def test_values_beyond_the_span_feel_no_force(backend):
    fixed, moving = rough_pair(seed=2)
    bright = fixed > 0.7
    fixed = np.where(bright, SPAN[1] + fixed, fixed).astype(np.float32)
    _, on_fixed, _ = measure(metric(), fixed, moving, backend)
    assert not on_fixed[:, bright].any()
    assert on_fixed.any()


def test_more_bins_tell_more_apart(backend):
    fixed, moving = rough_pair(seed=4)
    values = [measure(metric(bins), fixed, fixed, backend)[0] for bins in (16, 64)]
    assert values[1] < values[0] < 0
    assert measure(metric(), fixed, moving, backend)[0] > values[1]
