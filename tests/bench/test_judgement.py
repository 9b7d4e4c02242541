"""The cases of the judgement's benchmarks are what they say: their true maps are true, and counting is right."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

import judgement
import situations
from made_heads import lattice, scan
from warpline.recipe import PRESETS
from warpline.space.grid import apply_affine

MOVED = [
    *(f"turned {angle}°" for angle in (20, 70, 120)),
    *("upside down", "back to front", "far away", "first half, third axis", "thin slab, third axis"),
]
HEADERS = [
    *("voxels 1.3 times as long in one direction", "voxels twice as large", "origin 500 mm off", "slab of 20 %"),
    *("axes taken for each other, 1", "axes taken for each other, 2", "both turned about", "two slices"),
]


@pytest.fixture(scope="module")
def case():
    head = scan(lattice())
    return judgement.Case(head, head, np.eye(4), PRESETS["affine"])


@pytest.mark.parametrize("made", [*map(judgement.SPOILS.get, MOVED), *map(situations.SITUATIONS.get, HEADERS)])
def test_the_true_map_leads_to_the_same_values(made, case):
    spoiled = made(case, np.random.default_rng(0))
    there = apply_affine(spoiled.truth, apply_affine(spoiled.fixed.grid.affine, np.argwhere(spoiled.fixed.data > 0)))
    voxels = apply_affine(spoiled.moving.grid.inverse_affine, there).T
    found = map_coordinates(spoiled.moving.data, voxels, order=1, cval=np.nan)
    shown = np.isfinite(found)
    assert shown.mean() > 0.03
    np.testing.assert_allclose(found[shown], spoiled.fixed.data[spoiled.fixed.data > 0][shown], rtol=1e-3)


@pytest.mark.parametrize("made", [*judgement.SPOILS.values(), *situations.SITUATIONS.values()])
def test_every_case_can_be_made(made, case):
    spoiled = made(case, np.random.default_rng(0))
    for image in (spoiled.fixed, spoiled.moving):
        assert np.isfinite(image.data).all()
        assert np.ptp(image.data) > 0


def test_alarms_and_misses_are_counted_apart():
    rows = [
        {"wrong": False, "outcome": "fine"},
        {"wrong": False, "outcome": "doubtful"},
        {"wrong": True, "outcome": "failed"},
        {"wrong": True, "outcome": "fine"},
        {"wrong": None, "outcome": "fine"},
    ]
    expected = {"right": 2, "wrong": 2, "between": 1, "false_alarms": 0.5, "missed_failures": 0.5}
    assert judgement.summary(rows) == expected


def test_cases_are_read_as_they_were_written(tmp_path):
    case = {"pair": "01 moved", "off": 0.5, "wrong": False, "outcome": "fine", "warnings": ["a"]}
    rows = [{**case, "signs": {"coverage": 0.9, "distortion": 1.1}}, {**case, "outcome": "refused", "signs": {}}]
    judgement.write(rows, tmp_path / "rows.json")
    assert judgement.read(tmp_path / "rows.json") == rows
    assert judgement.read(judgement.RESULTS)[0].keys() >= {"pair", "spoil", "off", "wrong", "outcome", "signs"}
