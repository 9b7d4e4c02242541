"""Local correlation under an affine map: what it is of, its sign, and the comparison that climbs it."""

from __future__ import annotations

import numpy as np
import pytest

from made_heads import lattice, scan
from warpline.images.intensity import normalise
from warpline.registration.affine_parameters import AffineParameters
from warpline.registration.multi_start import MultiStartBfgs
from warpline.registration.pyramid import build_pyramid
from warpline.registration.refinement import LocalCorrelationObjective
from warpline.space import Affine


def refinement(backend, contrast=lambda v: v):
    images = (normalise(scan(lattice(), contrast=c), backend) for c in (lambda v: v, contrast))
    fixed, moving = (build_pyramid(image, (5.0,), backend)[0] for image in images)
    return LocalCorrelationObjective(fixed, moving, 4000)


def shifted(x):
    matrix = np.eye(4)
    matrix[0, 3] = x
    return Affine(matrix)


def test_images_agree_best_where_they_match(backend):
    found = refinement(backend)
    here, there = found.at(Affine.identity()), found.at(shifted(4.0))
    assert 0 < there.mean_square < here.mean_square < 1
    assert here.coherence > 0.999
    assert there.affine.matrix[0, 3] == 4


def test_an_inverted_contrast_changes_only_the_sign(backend):
    plain, inverted = (refinement(backend, c).at(shifted(2.0)) for c in (lambda v: v, lambda v: 200 - v))
    assert inverted.mean_square == pytest.approx(plain.mean_square, rel=1e-3)
    assert inverted.coherence == pytest.approx(-plain.coherence, abs=1e-3)


def test_minimising_around_a_map_raises_the_correlation(backend):
    found = refinement(backend)
    start = found.at(shifted(3.0))
    motion = AffineParameters.named("translation", np.zeros(3), 60.0, None)
    climbed = MultiStartBfgs(found.linearised_at(start), motion, start.affine.matrix[None]).run(5)
    reached = found.at(Affine(climbed[0]))
    assert reached.mean_square > start.mean_square
    np.testing.assert_allclose(reached.affine.matrix[:3, 3], 0, atol=0.3)
