"""Registered atlases that later runs take."""

from __future__ import annotations

import json

import numpy as np
import pytest

from warpline.backends import select
from warpline.errors import OutputError
from warpline.images import Image
from warpline.labelling import kept_atlases
from warpline.labelling.atlases import Atlas, load_atlas
from warpline.labelling.kept_atlases import RECORD, key_of, warp_or_take
from warpline.labelling.warped_atlases import WarpedAtlas, Warping
from warpline.recipe import Recipe
from warpline.registration import load

SHOWN = np.random.default_rng(0).random((6, 5)).astype(np.float32)
LABELS = np.arange(30, dtype=np.int16).reshape(6, 5)


@pytest.fixture
def warping(monkeypatch):
    """How an atlas would be registered; here it is moved by a voxel, and every registration is counted."""
    image, about = load(SHOWN, "image")
    how = Warping(image, about, Recipe.load("rigid"), select("numpy", 1), 1)
    monkeypatch.setattr(Warping, "count", 0, raising=False)

    def warp(self, atlas):
        Warping.count += 1
        moved = (Image(np.roll(one.data, 1, 0), image.grid, "moved") for one in (atlas.image, atlas.labels))
        return WarpedAtlas(atlas.name, *moved, {"outcome": "doubtful", "reasons": ["dim"]}, 3.0, ("a note",))

    monkeypatch.setattr(Warping, "warp", warp)
    return how


@pytest.fixture
def atlas(warping):
    """One atlas."""
    return load_atlas(Atlas(SHOWN, LABELS, "one"), warping.image)


def test_a_kept_atlas_is_the_one_that_was_registered(warping, atlas, tmp_path):
    first, second = (warp_or_take(atlas, warping, tmp_path / "kept") for _ in range(2))
    assert (first.is_reused, second.is_reused, Warping.count) == (False, True, 1)
    for one, other in ((first.image, second.image), (first.labels, second.labels)):
        assert (one.data == other.data).all()
        assert one.data.dtype == other.data.dtype
    assert second.labels.grid == warping.image.grid.bare
    assert (second.judgement, second.seconds, second.warnings) == (first.judgement, 3.0, ("a note",))


@pytest.mark.parametrize("change", ["recipe", "atlas", "labels", "grid"])
def test_other_inputs_have_another_key(change, warping, atlas):
    turned = np.diag([2.0, 1, 1, 1])
    others = {
        "recipe": (atlas, Warping(warping.image, warping.about, Recipe.load("affine"), warping.backend)),
        "atlas": (load_atlas(Atlas(SHOWN + 1, LABELS, "one"), warping.image), warping),
        "labels": (load_atlas(Atlas(SHOWN, LABELS + 1, "one"), warping.image), warping),
        "grid": (load_atlas(Atlas((SHOWN, turned), (LABELS, turned), "one"), warping.image), warping),
    }
    assert key_of(*others[change]) != key_of(atlas, warping)


def test_a_damaged_atlas_is_registered_again_and_said(warping, atlas, tmp_path):
    warp_or_take(atlas, warping, tmp_path)
    (folder,) = tmp_path.iterdir()
    (folder / kept_atlases.LABELS).write_bytes(b"cut")
    again = warp_or_take(atlas, warping, tmp_path)
    assert Warping.count == 2
    assert "is damaged; registered again" in again.warnings[0]
    assert warp_or_take(atlas, warping, tmp_path).is_reused


def test_without_a_record_nothing_is_taken(warping, atlas, tmp_path):
    warp_or_take(atlas, warping, tmp_path)
    (folder,) = tmp_path.iterdir()
    assert json.loads((folder / RECORD).read_text())["atlas"] == "one"
    (folder / RECORD).unlink()
    assert warp_or_take(atlas, warping, tmp_path).warnings == ("a note",)
    assert Warping.count == 2


def test_a_folder_that_cannot_be_written_is_named(warping, atlas, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        warp_or_take(atlas, warping, tmp_path / "file")
    assert Warping.count == 0
