"""Options of a group summary."""

from __future__ import annotations

import pytest

from warpline.cohort.group import GroupOptions
from warpline.errors import UsageError


def test_tissues_and_labels_are_modulated_by_default():
    options = GroupOptions(tissues={"gm": "{id}.nii"}, labels=[17])
    assert options.chosen_maps == ("log_jacobian", "modulated_gm", "modulated_label17")
    assert GroupOptions().chosen_maps == ("log_jacobian",) and GroupOptions(maps=()).chosen_maps == ()


def test_maps_that_need_no_jacobian_are_known():
    assert not GroupOptions(maps=["warped"]).needs_field
    assert GroupOptions(maps=["warped", "modulated_warped"]).needs_field


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"maps": ["logjac"]}, "map 'logjac' is unknown; jacobian, log_jacobian, warped"),
        ({"maps": ["label17"]}, "map 'label17' is unknown"),
        ({"fwhm": [-1]}, "fwhm is -1; widths from 0 to 100 mm"),
        ({"fwhm": []}, "fwhm is empty"),
        ({"tissues": {"gm": "gm.nii"}}, "has no {id}"),
        ({"tissues": {"label1": "{id}.nii"}}, "tissue 'label1' cannot be a name"),
        ({"tissues": {"../gm": "{id}.nii"}}, "cannot be a name"),
        ({"readers": 0}, "readers is 0"),
    ],
)
def test_what_is_not_allowed_is_named(wrong, words):
    with pytest.raises(UsageError) as caught:
        GroupOptions(**wrong)
    assert words in str(caught.value)
