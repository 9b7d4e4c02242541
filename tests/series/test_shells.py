"""Series of one contrast, and diffusion series shell by shell."""

from __future__ import annotations

import numpy as np
import pytest

from made_series import grid, largest_error, made_series, rigid, seen_through
from warpline.backends import select
from warpline.errors import UsageError
from warpline.images import Image
from warpline.io.series_files import open_series
from warpline.series.gradients import Gradients
from warpline.series.shells import find_motion, find_motion_by_shell

HOW = {"freedom": "rigid", "mask": None}


def test_a_volume_that_fails_moves_as_its_neighbour(made, workers):
    data = made.data.copy()
    data[..., 5] = np.random.default_rng(2).normal(0, 1, made.grid.shape)
    found = find_motion(open_series((data, made.grid.affine)), "first", workers=workers, **HOW)
    assert found.not_aligned == [5]
    np.testing.assert_array_equal(found.fits[5].matrix, found.fits[4].matrix)


def test_an_image_may_be_the_reference(made, series, workers):
    where = grid((30, 30, 26), (2.5, 2.5, 2.5), np.eye(3))
    found = find_motion(series, Image(seen_through(where, np.eye(4)), where), workers=workers, **HOW)
    assert largest_error([one.matrix for one in found.fits], made.matrices, made.grid) < 0.1
    assert found.made_from == "an image that was given"


@pytest.fixture(scope="module")
def diffusion():
    """Unweighted volumes and a shell of weaker texture."""
    where, rng = grid(), np.random.default_rng(4)
    bvals = np.array([0, 1000, 0, 1000, 1000.0])
    matrices = [np.eye(4), *(rigid(*rng.normal(0, 0.7, (2, 3))) for _ in bvals[1:])]
    data = [seen_through(where, m, 0.15 if b else 0) * (0.5 if b else 1) for m, b in zip(matrices, bvals, strict=True)]
    return open_series((np.stack(data, axis=-1), where.affine)), bvals, np.stack(matrices)


def test_shells_meet_in_the_unweighted_reference(diffusion, workers):
    series, bvals, true = diffusion
    found = find_motion_by_shell(
        series, Gradients(bvals), "first", workers=workers, backend=select("numpy"), threads=1, **HOW
    )
    matrices = np.stack([one.matrix for one in found.fits])
    assert largest_error(matrices[[0, 2]], true[[0, 2]], series.grid) < 0.1
    shell = matrices[[1, 3, 4]] @ np.linalg.inv(matrices[1])
    assert largest_error(shell, true[[1, 3, 4]] @ np.linalg.inv(true[1]), series.grid) < 0.1
    assert largest_error(matrices, true, series.grid) < 0.6  # mutual information of two images of 9000 voxels
    assert [row["volumes"] for row in found.shells] == [2, 3]


def test_the_reference_of_shells_is_unweighted(diffusion, workers):
    series, bvals, _ = diffusion
    how = {"workers": workers, "backend": select("numpy"), "threads": 1, **HOW}
    with pytest.raises(UsageError, match=r"unweighted one is needed: \[0, 2\]"):
        find_motion_by_shell(series, Gradients(bvals), 1, **how)
    found = find_motion_by_shell(series, Gradients(np.zeros(5)), 3, **how)
    np.testing.assert_array_equal(found.fits[3].matrix, np.eye(4))


def test_two_volumes_have_a_robust_reference(workers):
    made = made_series(2)
    found = find_motion(open_series((made.data, made.grid.affine)), "robust", workers=workers, **HOW)
    assert found.made_from == "volume 0"
