"""The judgement of labels."""

from __future__ import annotations

import labelling as bench


def row(subject, method, dice):
    return {"subject": subject, "method": method, "dice": dice, "dice_cortical": 0, "dice_subcortical": 0, "seconds": 1}


def test_fusions_are_held_against_the_best_atlas_of_each_brain():
    scores = (("06", "atlas 01", 0.5), ("06", "atlas 02", 0.6), ("06", "joint", 0.7), ("07", "atlas 01", 0.8))
    single, joint = bench.summary([row(*one) for one in scores])
    assert (single["method"], single["subjects"], single["dice"]) == ("best single atlas", 2, 0.7)
    assert (joint["method"], joint["subjects"], joint["dice"]) == ("joint", 1, 0.7)
