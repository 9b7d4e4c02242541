"""Recipes of time points, and settings of either stage."""

from __future__ import annotations

import pytest

from warpline.errors import UsageError
from warpline.longitudinal.recipes import recipes_with


def test_settings_go_to_the_stage_that_has_them():
    rigid, deformable = recipes_with(["syn.radius=3", "linear.samples=5000", "initialise.rotations=false"])
    assert (rigid.syn, rigid.linear.samples, rigid.initialise.rotations) == (None, 5000, False)
    assert (deformable.syn.radius, deformable.linear, deformable.initialise.method) == (3, None, "identity")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("syn=off", r"syn\.model=velocity"),
        ("syn.model=syn", r"syn\.model=velocity"),
        ('linear.stages=["affine"]', r"linear\.stages"),
        ("linear=off", r"linear\.stages"),
        ("prepare.denoise=true", "initialise, linear, syn"),
        ("budget.max_bending=1", "initialise, linear, syn"),
        ("syn.radius", "no '='"),
    ],
)
def test_settings_that_do_not_fit_are_refused(setting, message):
    with pytest.raises(UsageError, match=message):
        recipes_with([setting])
