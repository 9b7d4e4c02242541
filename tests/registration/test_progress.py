"""Progress of a registration, and the records of its levels."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from made_heads import lattice, scan
from warpline.backends import select
from warpline.images.intensity import normalise
from warpline.recipe import Linear
from warpline.registration import linear
from warpline.space import Affine

QUICK = {"voxel_sizes": (8.0, 4.0), "iterations": (40, 30), "samples": 8000, "refinements": 3}


@pytest.fixture(scope="module")
def fast():
    return select(None, threads=1)


def register_linear(fixed, moving, start, options, *, backend, fixed_mask=None, moving_mask=None, **more):
    """Of images, which are normalised first."""
    still, moved = normalise(fixed, backend, fixed_mask), normalise(moving, backend, moving_mask)
    return linear.register_linear(still, moved, start, options, backend=backend, **more)


def motion(turn=(0.12, -0.08, 0.1), shift=(6.0, -5.0, 4.0), stretch=None):
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(turn).as_matrix() @ (np.eye(3) if stretch is None else stretch)
    matrix[:3, 3] = shift
    return matrix


def test_progress_and_records_tell_the_same(fast):
    heard = []
    fixed, moving = scan(lattice()), scan(lattice(), np.linalg.inv(motion()))
    options = Linear(**QUICK)
    found = register_linear(fixed, moving, Affine.identity(), options, backend=fast, progress=heard.append)
    steps = [(r.stage, r.level) for r in found.levels]
    assert steps[:4] == [("rigid", 0), ("affine", 0), ("affine", 1), ("affine", 2)]
    assert steps[4:] == [("affine", level) for level in range(3, 3 + len(steps[4:]))]
    assert all(h.levels == 5 for h in heard)
    told = [h.energy for h in heard]
    assert told == [energy for record in found.levels for energy in record.energies]
    assert all(record.iterations == len(record.energies) for record in found.levels)
