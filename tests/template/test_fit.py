"""Products of pairs, fits and weights."""

from __future__ import annotations

import numpy as np
import pytest

from warpline.errors import OutputError
from warpline.template.fit import CLEAR, agreements, asymmetry, biweight, fits_of, products, with_the_others


def rows_of(count=6, seed=0, own=0.4):
    random = np.random.default_rng(seed)
    shared = random.normal(size=500)
    return [shared + own * random.normal(size=500) + 3 for _ in range(count)]


def test_products_are_correlations_and_leave_no_file(tmp_path):
    rows = rows_of()
    assert np.allclose(products(iter(rows), tmp_path), np.corrcoef(rows), atol=1e-6)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(OutputError, match="missing cannot be written"):
        products(iter(rows_of()), tmp_path / "missing")


def test_rows_that_say_nothing_have_products_of_zero(tmp_path):
    assert np.allclose(products([np.ones(8), np.arange(8.0)], tmp_path), [[0, 0], [0, 1]], atol=1e-6)


def test_a_row_is_compared_with_the_weighted_sum_of_the_others(tmp_path):
    rows, weight = [row - row.mean() for row in rows_of(4)], np.array([1.0, 0.5, 0.2, 0.0])
    rows = [row / np.linalg.norm(row) for row in rows]
    found = with_the_others(products(rows, tmp_path, centred=False), weight)
    for number, row in enumerate(rows):
        others = sum(w * one for n, (w, one) in enumerate(zip(weight, rows, strict=True)) if n != number)
        assert np.isclose(found[number], np.corrcoef(row, others)[0, 1], atol=1e-5)


def test_what_does_not_belong_weighs_exactly_nothing(tmp_path):
    rows = [*rows_of(), np.random.default_rng(9).normal(size=500)]
    found = fits_of(products(rows, tmp_path))
    assert found.weight[-1] == 0.0 and found.weight[:-1].min() > 0.8
    alone = fits_of(products(rows[:-1], tmp_path))
    assert np.allclose(found.fit[:-1], alone.fit, atol=2e-3)


def test_better_fits_than_usual_are_not_punished():
    assert biweight(np.array([0.9, 0.9, 0.9, 0.99])).tolist() == [1, 1, 1, 1]
    assert biweight(np.array([0.9, 0.9, 0.9, 0.75]))[3] == 0.0


def test_asymmetry_changes_its_sign_in_a_mirror():
    volume = np.random.default_rng(0).normal(size=(6, 4, 3))
    assert np.array_equal(asymmetry(volume[::-1]), -asymmetry(volume))
    assert asymmetry(volume).shape == (3, 4, 3)


def test_who_is_turned_around_does_not_turn_others(tmp_path):
    """The last but one hardly agrees with the others: with two of them turned around it would seem to disagree."""
    random = np.random.default_rng(3)
    shared = random.normal(size=4000)
    rows = [shared + random.normal(size=4000) for _ in range(5)]
    weak = 0.2 * shared + random.normal(size=4000)
    found = agreements([products([-rows[0], -rows[1], *rows[2:], weak], tmp_path, centred=False)])
    assert found[:2].max() < -CLEAR and found[2:].min() > CLEAR
