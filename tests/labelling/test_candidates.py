"""What atlases say."""

from __future__ import annotations

import numpy as np

from warpline.labelling.candidates import Candidates, Fused
from warpline.labelling.fusion import FUSIONS


def test_every_fusion_takes_candidates_and_keeps_them():
    image = np.random.default_rng(0).random((6, 6, 6), dtype=np.float32)
    codes = np.random.default_rng(1).integers(0, 3, (2, 6, 6, 6), dtype=np.int32)
    before = codes.copy()
    for fuse in FUSIONS.values():
        fused = fuse(Candidates(image, np.stack([image, image[::-1]]), codes))
        assert isinstance(fused, Fused)
        assert (codes == before).all()
