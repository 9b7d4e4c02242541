"""Further channels and restricted directions under ANTsPy's names."""

from __future__ import annotations

import numpy as np
import pytest

from made_registrations import made_pair
from warpline import ants
from warpline.ants.extras import directions, image_pairs
from warpline.errors import UsageError
from warpline.space.grid import Grid

SWAPPED = np.array([[0, 2.0, 0, 0], [1.5, 0, 0, 0], [0, 0, 3, 0], [0, 0, 0, 1]])
OBLIQUE = np.array([[0.8, -0.6, 0, 0], [0.6, 0.8, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])


@pytest.mark.parametrize(
    ("flags", "affine", "setting"),
    [
        ((0, 1, 0), OBLIQUE, ["syn.directions=[0.0, 1.0, 0.0]"]),
        ((1, 0, 1), SWAPPED, ["syn.directions=jk"]),
        ((1, 1, 0), np.eye(4), ["syn.directions=ij"]),
        ((1, 1, 1), OBLIQUE, []),
        ((1, 0), np.eye(4), ["syn.directions=[1.0, 0.0, 0.0]"]),
    ],
)
def test_flags_become_directions(flags, affine, setting):
    assert directions(flags, Grid((4, 4, 4), affine)) == setting


@pytest.mark.parametrize(
    ("flags", "words"),
    [((1, 1, 0), "is oblique"), ((0.5, 1, 0), "1 or 0"), ((0, 0, 0), "one of them 1"), ((1,), "for every axis")],
)
def test_other_flags_are_refused(flags, words):
    with pytest.raises(UsageError, match=words):
        directions(flags, Grid((4, 4, 4), OBLIQUE))


@pytest.mark.parametrize("entry", [("CC", "a"), ("PR", "a", "b", 1, 4)])
def test_other_entries_are_refused(entry):
    with pytest.raises(UsageError, match="multivariate_extras needs entries"):
        image_pairs([entry])


def test_a_restricted_registration_of_two_channels(tmp_path):
    fixed, moving = made_pair()
    extras = [("meansquares", fixed, moving, 0.5, 0)]
    options = {"multivariate_extras": extras, "restrict_transformation": (0, 1, 0), "reg_iterations": (5, 5)}
    found = ants.registration(fixed, moving, "SyNOnly", outprefix=f"{tmp_path}/r_", **options)
    points = np.array([[1.0, 2.0, 3.0], [-4.0, 1.0, 0.0]]) + fixed.grid.centre
    affine = ants.read_transform(found["fwdtransforms"][1])
    warp = ants.read_transform(found["fwdtransforms"][0])
    assert affine is not None
    moved = np.array([warp.apply_to_point(point) for point in points]) - points
    assert np.abs(moved[:, [0, 2]]).max() < 1e-5 < np.abs(moved[:, 1]).max()
