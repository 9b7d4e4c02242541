"""Votes of atlases."""

from __future__ import annotations

import numpy as np
import pytest

from warpline.labelling.votes import winners


def column(*values):
    return np.array(values, np.int32)[:, None]


def test_weights_of_one_label_add_up():
    found, share = winners(column(4, 2, 2), np.array([[0.4], [0.3], [0.3]], np.float32))
    assert (found[0], share[0]) == (2, pytest.approx(0.6))


def test_the_smallest_of_labels_with_equal_votes_wins():
    for order in ((5, 1), (1, 5)):
        found, share = winners(column(*order), np.ones(2, np.float32))
        assert (found[0], share[0]) == (1, 0.5)


def test_without_weight_there_is_no_confidence():
    found, share = winners(column(5, 1), np.zeros((2, 1), np.float32))
    assert (found[0], share[0]) == (1, 0)
