"""Volumes of labels in native and in template space, and probability maps."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest

from made_cohort import GROWTH, VOXEL, ball, grid_of, maps_of, stretch, write_cohort
from warpline.backends import select
from warpline.cohort.group import label_statistics
from warpline.cohort.group.label_statistics import ProbabilityMaps, VolumeTables, label_volumes, volumes_of
from warpline.errors import InputError
from warpline.io.nifti_series import SeriesFile
from warpline.io.transform_files import write_transform
from warpline.operations import invert


def test_volumes_are_in_cubic_mm():
    labels = np.zeros(grid_of().shape, np.int64)
    labels[2:5, 2, 2], labels[0, 0, 0] = 7, 2
    assert volumes_of(labels, grid_of()) == {2: pytest.approx(VOXEL), 7: pytest.approx(3 * VOXEL)}


def test_moving_labels_are_counted_in_both_spaces(tmp_path):
    maps = maps_of(write_cohort(tmp_path, ["pass"]), 1)
    source, native, template = label_volumes(maps, grid_of(), select("numpy"))
    assert source == "moving"
    assert native == {3: pytest.approx(ball(grid_of(), 6.2).sum() * VOXEL)}
    assert template == {3: pytest.approx((maps.labels == 3).sum() * VOXEL)}


def test_fixed_labels_are_carried_back_by_the_inverse(tmp_path):
    maps = maps_of(write_cohort(tmp_path, ["pass"], labels=["fixed"]), 1)
    source, native, template = label_volumes(maps, grid_of(), select("numpy"))
    assert source == "fixed" and template == {3: pytest.approx(ball(grid_of()).sum() * VOXEL)}
    assert native[3] == pytest.approx(template[3] * GROWTH * 1.1, rel=0.1)  # a surface of few voxels


def test_an_inverse_that_was_kept_is_taken(tmp_path):
    root = write_cohort(tmp_path, ["pass"], labels=["fixed"])
    _, computed, _ = label_volumes(maps_of(root, 1), grid_of(), select("numpy"))
    maps = maps_of(root, 1)
    write_transform(invert(stretch(grid_of(), 0.1), backend="numpy"), maps.path("inverse_warp"))
    sidecar = maps.path("report")
    report = json.loads(sidecar.read_text())
    report["files"]["inverse_warp"] = {"bytes": maps.path("inverse_warp").stat().st_size, "sha256": ""}
    sidecar.write_text(json.dumps(report))
    maps.path("warp").write_bytes(bytes(maps.path("warp").stat().st_size))  # nobody reads it
    _, native, _ = label_volumes(maps_of(root, 1), grid_of(), select("numpy"))
    assert native == computed


def test_pairs_without_labels_have_no_volumes(tmp_path):
    assert label_volumes(maps_of(write_cohort(tmp_path, ["pass"], labels=[]), 1), grid_of(), select("numpy")) is None


def test_tables_have_a_column_for_every_label(tmp_path):
    tables = VolumeTables(io.StringIO())
    tables.add("sub-1", ("moving", {4: 2.0}, {4: 3.0}))
    tables.add("sub-2", None)
    tables.add("sub-3", ("fixed", {11: 1.5}, {}))
    tables.write(tmp_path)
    native = (tmp_path / "label_volumes_native.tsv").read_text().splitlines()
    assert native == [
        "id\tlabels_from\tlabel4\tlabel11",
        "sub-1\tmoving\t2\t0",
        "sub-2\tn/a\tn/a\tn/a",
        "sub-3\tfixed\t0\t1.5",
    ]
    assert (tmp_path / "label_volumes_template.tsv").read_text().splitlines()[1] == "sub-1\tmoving\t3\t0"


def test_probabilities_are_shares_of_subjects(tmp_path):
    grid, drawn = grid_of(), np.random.default_rng(2)
    subjects = [drawn.integers(0, 3 + number, grid.shape) for number in range(4)]
    with SeriesFile(tmp_path / "p.nii", grid, 9) as series:
        maps = ProbabilityMaps(series)
        for labels in subjects:
            maps.add(labels)
        table = dict(maps.finish())
        volumes = np.array(series.volumes())
    assert sorted(table.values()) == [1, 2, 3, 4, 5]
    for volume, label in table.items():
        shares = np.mean([labels == label for labels in subjects], axis=0)
        assert np.array_equal(volumes[volume].T, shares.astype(np.float32))


def test_images_that_are_no_labels_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(label_statistics, "MOST_LABELS", 5)
    with SeriesFile(tmp_path / "p.nii", grid_of(), 9) as series, pytest.raises(InputError, match="more than 5 labels"):
        ProbabilityMaps(series).add(np.arange(np.prod(grid_of().shape)).reshape(grid_of().shape))
