"""Joint label fusion."""

from __future__ import annotations

import numpy as np

from warpline.labelling.candidates import Candidates
from warpline.labelling.joint_fusion import JointOptions, best_offsets, joint, joint_weights

SHAPE = (12, 11, 10)


def noise(seed):
    return np.random.default_rng(seed).random(SHAPE, dtype=np.float32)


def constant(*codes):
    return np.stack([np.full(SHAPE, one, np.int32) for one in codes])


def test_atlases_that_err_alike_do_not_outvote_one_that_fits():
    image, other = noise(0), noise(1)
    fused = joint(Candidates(image, np.stack([other, image, other]), constant(0, 1, 0)))
    assert (fused.codes == 1).all()
    assert fused.confidence.min() > 0.75


def test_independent_atlases_that_fit_equally_weigh_the_same():
    errors = np.eye(4, dtype=np.float32)[None]
    assert np.allclose(joint_weights(errors, 2.0, 0.1), 0.25)


def test_weights_solve_the_papers_equation():
    made = np.random.default_rng(3).random((5, 3, 20))
    errors = np.einsum("mip,mjp->mij", made, made).astype(np.float32) / 20
    matrix = errors[2].astype(float) ** 2 + 0.1 * np.eye(3)
    wanted = np.linalg.inv(matrix).sum(axis=1)
    wanted = np.maximum(wanted, 0) / np.maximum(wanted, 0).sum()
    assert np.allclose(joint_weights(errors, 2.0, 0.1)[2], wanted, atol=1e-6)


def test_a_shifted_atlas_is_mended_by_the_search():
    image = noise(0)
    labels = (np.indices(SHAPE)[0] > 5).astype(np.int32)
    shifted = [np.roll(image, by, 0) for by in (1, -1)], [np.roll(labels, by, 0) for by in (1, -1)]
    given = Candidates(image, np.stack(shifted[0]), np.stack(shifted[1]))
    inner = slice(2, -2)
    assert (joint(given).codes[inner] == labels[inner]).all()
    assert not (joint(given, JointOptions(search=0)).codes[inner] == labels[inner]).all()


def test_offsets_point_into_the_atlas():
    image = noise(0)
    found = best_offsets(np.roll(image, (1, -1), (0, 2)), image, (1, 1, 1), (1, 1, 1))
    assert (found[3:-3, 3:-3, 3:-3] == (-1, 0, 1)).all()


def test_flat_patches_stay_where_they_are():
    flat = np.full(SHAPE, 1000, np.float32)
    flat[0, 0, 0] = 0
    assert not best_offsets(flat, flat, (1, 1, 1), (2, 2, 2))[5:].any()


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
