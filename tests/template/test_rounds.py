"""Subjects registered to a template, and averaged."""

from __future__ import annotations

import numpy as np
import pytest

from template_files import QUICK, asked, subjects
from warpline import cohort, read_image
from warpline.backends import select
from warpline.cohort import StopReason
from warpline.io.transform_files import read_transform
from warpline.template import StoppedError
from warpline.template.layout import STARTS, round_folder
from warpline.template.rounds import Averaging, Registered, register_all, start_file
from warpline.template.shape import mean_map


@pytest.fixture
def last(built, slices):
    """The last round of the finished template."""
    number = built.rounds[-1].number
    before, folder = (round_folder(built.folder, n) for n in (number - 1, number))
    return Registered(folder, before / "template.nii.gz", tuple(subjects(slices)), {})


def test_maps_lead_to_the_subjects(last):
    fixed, backend = read_image(last.fixed), select("numpy")
    for subject, files in zip(last.subjects, last.maps(), strict=True):
        assert last.warped(subject).grid == fixed.grid
        assert files.warp is not None and files.velocity is None
    weights = (1.0,) * len(last.subjects)
    averaging = Averaging(
        last, weights, mean_map(last.maps(), weights, fixed.grid, backend), fixed.grid, asked(), backend
    )
    mean = averaging.image([one.moving for one in last.subjects], symmetric=False)
    assert np.corrcoef(mean.image.data.ravel(), fixed.data.ravel())[0, 1] > 0.95
    assert len(list(averaging.labels())) == len(last.subjects)


def test_fewer_subjects_keep_their_order(last):
    assert [one.id for one in last.without({"sub-1"}).subjects] == ["sub-0", "sub-2", "sub-3", "sub-4"]


def test_a_round_leaves_maps_for_the_next_to_start_from(built, slices):
    last = built.rounds[-1].number
    starts = round_folder(built.folder, last - 1) / STARTS
    for one in subjects(slices):
        whole, affine = (read_transform(start_file(starts, one, warped=warped)) for warped in (True, False))
        assert np.allclose(whole.parts[1].matrix, affine.matrix, atol=1e-5) and whole.parts[0].field.any()
    assert not (round_folder(built.folder, last - 2) / STARTS).exists()


def test_a_round_that_is_stopped_says_so(last, monkeypatch, tmp_path):
    class Summary:
        stop_reason = StopReason("stopped by SIGTERM", 75)

    monkeypatch.setattr(cohort, "run", lambda *_: Summary)
    with pytest.raises(StoppedError, match="SIGTERM"):
        register_all(last.subjects, last.fixed, tmp_path, QUICK, options=asked(), starts=None)
