"""The table of fusions, and those that weigh voxel by voxel."""

from __future__ import annotations

import numpy as np
import pytest

from warpline.errors import UsageError
from warpline.labelling.candidates import Candidates
from warpline.labelling.fusion import FUSIONS, chosen_fusion, local, majority
from warpline.labelling.joint_fusion import JointOptions

SHAPE = (9, 8, 7)


@pytest.fixture(scope="module")
def candidates():
    """One atlas that fits, and two that are noise and agree."""
    image, *others = np.random.default_rng(0).random((3, *SHAPE), dtype=np.float32)
    codes = np.stack([np.full(SHAPE, one, np.int32) for one in (1, 0, 0)])
    return Candidates(image, np.stack([image, *others]), codes)


def test_majority_counts_heads(candidates):
    fused = majority(candidates)
    assert (fused.codes == 0).all()
    assert np.allclose(fused.confidence, 2 / 3)


def test_local_weights_follow_the_fit(candidates):
    fused = local(candidates)
    assert (fused.codes == 1).all()
    assert fused.confidence.min() > 0.5


def test_local_weights_do_not_depend_on_brightness(candidates):
    brighter = Candidates(candidates.image, candidates.atlases * 40 + 7, candidates.codes)
    assert np.allclose(local(candidates).confidence, local(brighter).confidence, atol=1e-4)


@pytest.mark.parametrize("name", FUSIONS)
def test_what_all_say_is_certain(name, candidates):
    codes = np.full_like(candidates.codes, 2)
    fused = FUSIONS[name](Candidates(candidates.image, candidates.atlases, codes))
    assert (fused.codes == 2).all()
    assert np.allclose(fused.confidence, 1)


@pytest.mark.parametrize("name", FUSIONS)
def test_confidence_is_a_share(name, candidates):
    codes = np.random.default_rng(4).integers(0, 5, candidates.codes.shape, dtype=np.int32)
    confidence = FUSIONS[name](Candidates(candidates.image, candidates.atlases, codes)).confidence
    assert confidence.dtype == np.float32
    assert 0 < confidence.min() <= confidence.max() <= 1


def test_settings_go_to_joint_fusion_alone(candidates):
    chosen = chosen_fusion("joint", JointOptions(patches=1))
    assert (chosen(candidates).codes == 1).all()
    with pytest.raises(UsageError, match=r"local.*no settings"):
        chosen_fusion("local", JointOptions())
