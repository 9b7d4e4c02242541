"""Transforms of one registration, in orders that have a meaning and that have none."""

from __future__ import annotations

import pytest

from warpline.io.transform_lists import order_warning_of
from warpline.io.transform_order import order_warning
from warpline.space import Affine

A, W, B = "out/s_0GenericAffine.mat", "out/s_1Warp.nii.gz", "out/s_1InverseWarp.nii.gz"
RIGHT = f"-t {W} -t {A}, and the map back -t '[{A},1]' -t {B}"


@pytest.mark.parametrize(
    "entries",
    [
        [W, A],
        [f"[{A},1]", B],
        [f"[{A},1]", f"[{W},1]"],
        [f"[{B},1]", A],
        [f"[{A},0]", "out/t_1Warp.nii.gz"],
        [A, "other/s_1Warp.nii.gz"],
        [A, "between.mat", W],
        [A, A],
        [W, B],
        [A],
        [],
        [f"[{A},1]", B, "t_1Warp.nii.gz", "t_0GenericAffine.mat"],
    ],
)
def test_orders_with_a_meaning_are_not_mentioned(entries):
    assert order_warning_of(entries) is None


@pytest.mark.parametrize(
    "entries",
    [
        [A, W],
        [B, f"[{A},1]"],
        [f"[{A},1]", W],
        [W, f"[{A},1]"],
        [A, B],
        [B, A],
        ["./" + A, W],
        [f"itk-affine:{A}", W],
        ["first.mat", A, W],
    ],
)
def test_orders_without_one_are_named_with_the_right_one(entries):
    warning = order_warning_of(entries)
    assert warning is not None and RIGHT in warning.replace("./", "")


def test_a_transform_that_is_no_file_is_passed_over():
    identity = Affine.identity()
    assert order_warning_of([identity, W, A]) is None
    assert order_warning_of([A, identity, W]) is None
    assert order_warning([(A, False), None, (W, False)]) is None


def test_files_without_a_prefix_are_those_of_one_registration():
    assert order_warning([("0GenericAffine.mat", False), ("./1Warp.nii.gz", False)]) is not None
