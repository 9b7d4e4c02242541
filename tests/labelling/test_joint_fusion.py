"""Joint label fusion."""

from __future__ import annotations

import numpy as np
import pytest

from warpline.errors import UsageError
from warpline.labelling import joint_fusion
from warpline.labelling.candidates import Candidates
from warpline.labelling.joint_fusion import JointOptions, joint

SHAPE = (12, 11, 10)


def noise(seed):
    return np.random.default_rng(seed).random(SHAPE, dtype=np.float32)


def constant(*codes):
    return np.stack([np.full(SHAPE, one, np.int32) for one in codes])


@pytest.fixture(scope="module")
def shifted():
    """Labels of two halves, and two atlases, moved by a voxel to either side."""
    image = noise(0)
    labels = (np.indices(SHAPE)[0] > 5).astype(np.int32)
    images, codes = ([np.roll(one, by, 0) for by in (1, -1)] for one in (image, labels))
    return labels, Candidates(image, np.stack(images), np.stack(codes))


def test_atlases_that_err_alike_do_not_outvote_one_that_fits():
    image, other = noise(0), noise(1)
    fused = joint(Candidates(image, np.stack([other, image, other]), constant(0, 1, 0)))
    assert (fused.codes == 1).all()
    assert fused.confidence.min() > 0.7


def test_a_shifted_atlas_is_mended_by_the_search(shifted):
    labels, given = shifted
    assert (joint(given).codes[2:-2] == labels[2:-2]).all()
    assert not (joint(given, JointOptions(search_radius=0)).codes[2:-2] == labels[2:-2]).all()


def test_what_all_atlases_get_wrong_is_mended_too():
    image = noise(0)
    labels = (np.indices(SHAPE)[0] > 5).astype(np.int32)
    moved = [np.stack([np.roll(one, 1, 0)] * 2) for one in (image, labels)]
    assert (joint(Candidates(image, *moved)).codes[2:-2] == labels[2:-2]).all()


def test_brightness_and_shading_do_not_matter(shifted):
    labels, given = shifted
    shaded = given.atlases * np.linspace(20, 40, SHAPE[2], dtype=np.float32) + 300
    assert (joint(Candidates(given.image, shaded, given.codes)).codes[2:-2] == labels[2:-2]).all()


def test_flat_images_leave_labels_in_place():
    flat = np.full(SHAPE, 1000, np.float32)
    codes = constant(0, 0)
    codes[:, 6:] = 1
    fused = joint(Candidates(flat, np.stack([flat, flat]), codes), JointOptions(patches=1))
    assert (fused.codes == codes[0]).all()


def test_blocks_do_not_change_a_bit(shifted, monkeypatch):
    _, given = shifted
    whole = joint(given)
    monkeypatch.setattr(joint_fusion, "BLOCK_BYTES", 1)
    parts = joint(given)
    assert (whole.codes == parts.codes).all()
    assert (whole.confidence == parts.confidence).all()


def test_open_places_far_apart_are_fused_apart(monkeypatch):
    image = np.random.default_rng(0).random((24, 6, 6), dtype=np.float32)
    codes = np.zeros((2, *image.shape), np.int32)
    codes[0, 1], codes[0, -2] = 1, 2
    given = Candidates(image, np.stack([image, image[::-1]]), codes)
    monkeypatch.setattr(joint_fusion, "BLOCK_BYTES", 1)
    fused = joint(given)
    assert (fused.codes == codes[0]).mean() > 0.95
    assert (fused.confidence[6:-6] == 1).all()


def test_compiled_fusion_agrees_with_the_specification(shifted):
    _, given = shifted
    plain = joint(Candidates(given.image, given.atlases, given.codes, "numpy"))
    found = joint(given)
    assert (found.codes == plain.codes).mean() > 0.999
    assert np.allclose(found.confidence, plain.confidence, atol=1e-4)


def test_where_all_agree_nothing_is_computed():
    image = noise(0)
    fused = joint(Candidates(image, np.stack([image, image]), constant(3, 3)))
    assert (fused.codes == 3).all()
    assert (fused.confidence == 1).all()


def test_two_dimensional_images_are_fused_in_their_plane():
    image, other = (np.ascontiguousarray(noise(seed)[:, :, :1]) for seed in (0, 1))
    codes = np.ascontiguousarray(constant(0, 1)[..., :1])
    fused = joint(Candidates(image, np.stack([other, image]), codes))
    assert (fused.codes[2:-2, 2:-2] == 1).all()


@pytest.mark.parametrize(
    "settings",
    [
        {"patch_radius": 0},
        {"search_radius": 2.5},
        {"patches": True},
        {"beta": 0},
        {"beta": 11},
        {"alpha": 1e-9},
        {"alpha": float("nan")},
    ],
)
def test_settings_that_are_not_allowed_are_named(settings):
    (name,) = settings
    with pytest.raises(UsageError, match=f"^{name} is .* needed$"):
        JointOptions(**settings)
