"""Atlases on the grid of an image, fused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from warpline.errors import InputError, UsageError
from warpline.images import Image
from warpline.labelling.warped_atlases import WarpedAtlas, fuse

IMAGE = Image.from_array(np.arange(16.0).reshape(4, 4))
FINE = {"outcome": "fine", "reasons": []}


def atlas(name, labels, outcome="fine", kind=np.uint8):
    data = np.zeros((4, 4), kind)
    data[:, : len(labels)] = labels
    return WarpedAtlas(name, IMAGE, Image.from_array(data), {"outcome": outcome, "reasons": ["it turned"]})


def warnings(*atlases):
    return fuse(IMAGE, atlases, "majority").report["warnings"]


def test_failed_atlases_are_named_and_left_out():
    given = [atlas("a", [1]), atlas("b", [2], "failed"), atlas("c", [1]), atlas("d", [2], "failed")]
    found = fuse(IMAGE, given, "majority")
    assert (found.labels.data[:, 0] == 1).all()
    assert "atlas b is left out, its registration failed: it turned" in found.report["warnings"]
    assert [one["used"] for one in found.report["atlases"]] == [True, False, True, False]


def test_reasons_of_doubt_are_said_once():
    told = WarpedAtlas("a", IMAGE, IMAGE, {"outcome": "doubtful", "reasons": ["it turned"]}, 1.0, ("it turned", "dim"))
    assert warnings(told, atlas("b", [1]))[:2] == [
        "atlas a is kept although its registration is doubtful: it turned",
        "atlas a: dim",
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": Image.from_array(np.eye(4), np.diag([2, 2, 1, 1]))}, r"atlas b .* does not lie on the grid of"),
        ({"labels": Image.from_array(np.eye(3))}, r"labels \(3, 3, 1\)\) does not lie on the grid of"),
        ({"labels": Image.from_array(np.eye(4) / 2)}, "holds 0.5; labels are whole numbers"),
        ({"image": Image.from_array(np.full((4, 4), np.nan))}, "16 NaN or infinite values"),
    ],
)
def test_atlases_that_cannot_be_fused_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        fuse(IMAGE, [atlas("a", [1]), replace(atlas("b", [1]), **change)], "local")


def test_an_unknown_fusion_is_refused():
    with pytest.raises(UsageError, match="joint, local, majority"):
        fuse(IMAGE, [atlas("a", [1])], "staple")


def test_large_numbers_of_labels_are_written_out():
    found = fuse(IMAGE, [atlas("a", [312782574, 1], kind=np.int32), atlas("b", [0, 1]), atlas("c", [0, 1])], "majority")
    assert found.report["labels"]["of_some_atlases"] == {"312782574": ["a"]}
    assert any("no voxel in the result (1): 312782574" in text for text in found.report["warnings"])


def test_doubtful_atlases_are_named_and_kept():
    assert warnings(atlas("a", [1]), atlas("b", [1], "doubtful")) == [
        "atlas b is kept although its registration is doubtful: it turned"
    ]


def test_without_any_atlas_there_are_no_labels():
    with pytest.raises(InputError, match=r"no atlas could be registered.*a: it turned"):
        warnings(atlas("a", [1], "failed"))


def test_one_atlas_gives_no_confidence_and_says_so():
    found = fuse(IMAGE, [atlas("a", [5])], "joint")
    assert found.confidence is None
    assert (found.labels.data[:, 0] == 5).all()
    assert "one atlas gives no confidence" in found.report["warnings"][0]


def test_labels_of_some_atlases_are_named():
    found = fuse(IMAGE, [atlas("a", [1, 9]), atlas("b", [1]), atlas("c", [1])], "majority")
    assert found.report["labels"]["of_some_atlases"] == {"9": ["a"]}
    assert any("9 (a)" in text for text in found.report["warnings"])
    assert any("no voxel in the result (1): 9" in text for text in found.report["warnings"])


@pytest.mark.parametrize(("kinds", "expected"), [((np.uint8, np.uint8), np.uint8), ((np.int64, np.uint64), np.int64)])
def test_labels_keep_the_type_of_the_atlases(kinds, expected):
    found = fuse(IMAGE, [atlas(str(n), [200], kind=kind) for n, kind in enumerate(kinds)], "majority")
    assert found.labels.data.dtype == expected
    assert found.labels.data.max() == 200
    assert any("stored as" in text for text in found.report["warnings"]) == (kinds[0] != kinds[1])
