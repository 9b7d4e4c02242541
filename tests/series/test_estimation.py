"""Motion of whole series."""

from __future__ import annotations

import numpy as np
import pytest

from made_series import largest_error, made_series, rigid, seen_through
from warpline.backends import select
from warpline.errors import UsageError
from warpline.images import Image
from warpline.io.series_files import open_series
from warpline.series.concurrency import Workers
from warpline.series.estimation import REFERENCES, doubtful_volumes, fit_series, reference_of, targets_of


def motion_of(series, workers, chosen):
    reference, starts = reference_of(series, chosen, workers, freedom="rigid")
    targets = targets_of(reference.image, workers, freedom="rigid", mask=None)
    return fit_series(series, targets, workers, starts=starts)


@pytest.mark.parametrize("chosen", [*REFERENCES, 2, -1])
def test_motion_is_found_from_every_reference(made, series, workers, chosen):
    found = np.stack([one.matrix for one in motion_of(series, workers, chosen)])
    true = made.matrices @ np.linalg.inv(made.matrices[0])
    relative = found @ np.linalg.inv(found[0])
    assert largest_error(relative, true, series.grid) < 0.1


def test_volumes_that_jumped_far_are_found(made, workers):
    far = rigid((9.0, -7, 5), (6, -5, 8))
    data = made.data.copy()
    data[..., 3] = seen_through(made.grid, far)
    series = open_series((data, made.grid.affine))
    found = motion_of(series, workers, "first")
    assert found[3].converged
    assert largest_error([found[3].matrix], [far], series.grid) < 0.1


def test_a_spoilt_volume_does_not_spoil_the_reference(made, workers):
    data = made.data.copy()
    data[..., 3] = np.random.default_rng(2).normal(500, 300, made.grid.shape)
    series = open_series((data, made.grid.affine))
    _, known = reference_of(series, "robust", workers, freedom="rigid")
    assert 3 not in known
    found = motion_of(series, workers, "robust")
    assert doubtful_volumes(found) == [3]
    kept = [0, 1, 2, 4, 5]
    relative = np.stack([found[n].matrix for n in kept]) @ np.linalg.inv(found[0].matrix)
    assert largest_error(relative, made.matrices[kept], series.grid) < 0.1


def test_bits_do_not_depend_on_the_number_of_workers(series):
    one, three = (motion_of(series, Workers.of(select("numba"), n), "robust") for n in (1, 3))
    for first, second in zip(one, three, strict=True):
        np.testing.assert_array_equal(first.matrix, second.matrix)


@pytest.mark.parametrize("chosen", ["best", 6, -7])
def test_unknown_references_are_refused(series, workers, chosen):
    with pytest.raises(UsageError, match="reference"):
        reference_of(series, chosen, workers, freedom="rigid")


def test_progress_counts_volumes(workers):
    made = made_series(2)
    series, seen = open_series((made.data, made.grid.affine)), []
    targets = targets_of(Image(series.volume(0), series.grid), workers, freedom="rigid", mask=None)
    fit_series(series, targets, workers, progress=lambda *told: seen.append(told))
    assert seen == [("fit", 1, 2), ("fit", 2, 2)]
