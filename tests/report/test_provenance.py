from __future__ import annotations

import math

import numpy as np
import pytest

from warpline.backends import select
from warpline.evaluation import similarity
from warpline.image import Image
from warpline.report.provenance import describe, likeness, plain
from warpline.resampling import resample


def test_likeness_compares_what_the_headers_say_with_the_result(phantom):
    backend = select("numpy")
    found = likeness(phantom.fixed, phantom.moving, phantom.fixed, backend=backend)
    by_headers = resample(phantom.moving, like=phantom.fixed, backend=backend)
    inside = Image(phantom.fixed.data > phantom.fixed.data.min(), phantom.fixed.grid)
    expected = similarity(phantom.fixed, by_headers, inside, backend=backend)
    assert found["before"] == {"ncc": expected.ncc, "local_ncc": expected.local_ncc}
    assert found["after"]["ncc"] == pytest.approx(1)
    assert found["after"]["local_ncc"] > found["before"]["local_ncc"]


def test_likeness_needs_no_positive_intensities(phantom):
    shifted = Image(phantom.fixed.data - np.float32(5000), phantom.fixed.grid)
    assert likeness(shifted, shifted, shifted, backend=select("numpy"))["after"]["ncc"] == pytest.approx(1, abs=1e-3)


def test_likeness_counts_negative_mask_values(phantom):
    mask = Image(-(phantom.fixed_labels.data > 0).astype(np.int8), phantom.fixed.grid)
    found = likeness(phantom.fixed, phantom.moving, phantom.fixed, mask, backend=select("numpy"))
    assert found["after"]["ncc"] == pytest.approx(1)


def test_an_array_is_described_without_a_path(phantom):
    record = describe(phantom.fixed, phantom.fixed.data)
    assert record["path"] is None
    assert record["shape"] == list(phantom.fixed.data.shape)
    assert len(record["sha256"]) == 64


def test_plain_values_are_json():
    assert plain({1: (np.float32(0.5), math.inf, np.int64(3)), "a": None}) == {"1": [0.5, None, 3], "a": None}
