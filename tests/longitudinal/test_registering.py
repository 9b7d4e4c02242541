"""From time points to maps and files."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from made_series import grid, rigid, seen_through
from made_time_points import GROWTH, ONE, QUICK, placed, time_point, ventricle, ventricle_growth
from warpline.errors import InputError, UsageError
from warpline.images import Image
from warpline.io.images import write_image
from warpline.longitudinal import register_longitudinal, run_longitudinal
from warpline.space import Affine


def points_within():
    """Points of the middle, well inside what it shows, (N, 3)."""
    return np.pad(np.random.default_rng(0).uniform(-28, 28, (200, 2)), ((0, 0), (0, 1)))


def test_swapped_points_give_the_inverse(images, found):
    swapped = register_longitudinal(images[1::-1], **ONE)
    points = points_within()
    there, inverse = swapped.transform(0, 1), found.transform(0, 1).inverse()
    np.testing.assert_allclose(there.map_points(points), inverse.map_points(points), atol=1e-9)
    np.testing.assert_array_equal(
        swapped.log_jacobian(0, 1).data, -found.log_jacobian(0, 1).data, err_msg="what grew one way shrinks the other"
    )


def test_three_points_in_any_order_give_the_same(images, found_three):
    order = (2, 0, 1)
    other, points = register_longitudinal([images[n] for n in order], **QUICK), points_within()
    np.testing.assert_array_equal(other.middle.data, found_three.middle.data)
    for new, old in enumerate(order):
        np.testing.assert_array_equal(other.points[new].warp.field, found_three.points[old].warp.field)
        np.testing.assert_array_equal(other.points[new].rigid.matrix, found_three.points[old].rigid.matrix)
    there, inverse = other.transform(0, 1), found_three.transform(0, 2).inverse()
    np.testing.assert_allclose(there.map_points(points), inverse.map_points(points), atol=1e-9)


def test_growth_and_motion_are_found(found):
    grown = found.label_growth(ventricle(3.0, (1.1, -0.7)), 0, 1)[1]
    assert grown == pytest.approx(ventricle_growth(GROWTH), abs=1.0)
    truth = placed(-2.0, (-0.8, 0.4)) @ np.linalg.inv(placed(3.0, (1.1, -0.7)))
    first, second = (point.rigid.matrix for point in found.points)
    np.testing.assert_allclose(second @ np.linalg.inv(first), truth, atol=0.1)


def test_what_does_not_change_does_not_grow(images):
    still = time_point(0.0, -2.0, (-0.8, 0.4), seed=2)
    found = register_longitudinal([images[0], still], **QUICK)
    assert found.label_growth(ventricle(3.0, (1.1, -0.7)), 0, 1)[1] == pytest.approx(0, abs=1.0)


def test_files_are_written_with_the_report(images, tmp_path):
    paths = [tmp_path / "a.nii.gz", tmp_path / "b.nii.gz"]
    for path, image in zip(paths, images, strict=False):
        write_image(image, path)
    found = run_longitudinal(paths, tmp_path / "out", dates=["2020-01-01", "2022-01-01"], **QUICK)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report == found.report
    assert {path.name for path in (tmp_path / "out").iterdir()} - {"report.json"} == {
        path.rpartition("/")[2] for path in report["outputs"].values()
    }
    change = report["changes"][0]
    assert change["years"] == pytest.approx(2, abs=0.01)
    assert change["object_growth_percent_per_year"] == pytest.approx(change["object_growth_percent"] / change["years"])


@pytest.mark.parametrize(
    ("count", "options", "message"),
    [
        (1, {}, "two or more"),
        (2, {"years": [1.0]}, "one for each"),
        (2, {"years": [2.0, 1.0]}, "must rise"),
        (2, {"years": [1.0, 2.0], "dates": ["2020-01-01", "2021-01-01"]}, "one of them"),
        (2, {"dates": ["2020-01-01", "soon"]}, "'soon' is no date"),
        (2, {"settings": ["syn.model=syn"]}, "syn.model=velocity"),
        (2, {"settings": ["syn.step=-1"]}, "syn.step"),
        (2, {"labels": np.ones((4, 4), int), "labels_of": 2}, "labels_of is 2"),
        (2, {"memory": 0.1}, "give more memory"),
    ],
)
def test_wrong_arguments_are_refused(images, count, options, message):
    with pytest.raises(UsageError, match=message):
        register_longitudinal(images[:count], **options, **ONE)


def test_a_run_that_fails_leaves_nothing(images, tmp_path):
    write_image(images[0], tmp_path / "a.nii")
    with pytest.raises(InputError, match=r"missing\.nii"):
        run_longitudinal([tmp_path / "a.nii", tmp_path / "missing.nii"], tmp_path / "new" / "out", **ONE)
    assert not (tmp_path / "new").exists()


def test_labels_and_masks_reach_the_report_and_a_table(images, tmp_path):
    labels, masks = ventricle(3.0, (1.1, -0.7)), [Image(one.data > -50, one.grid) for one in images[:2]]
    found = register_longitudinal(images[:2], masks=masks, labels=labels, years=[70, 72], **QUICK)
    assert found.report["labels"]["growth"][0]["growth_percent"] == pytest.approx(ventricle_growth(GROWTH), abs=1.0)
    assert "mask" in found.report["inputs"][1]
    table = found.save(tmp_path)["label_growth"]
    assert table.read_text().splitlines()[1].startswith("1\tpoint-1\tpoint-2\t2\t")
    plain = replace(found, report={**found.report, "labels": None}, years=None)
    plain.save(tmp_path)
    assert not table.exists() and list(tmp_path.glob("*PerYear*")) == []
    assert (tmp_path / "report.html").stat().st_size > 10_000


def test_labels_are_refused_before_anything_is_registered(images):
    told = []
    with pytest.raises(InputError, match="whole numbers"):
        register_longitudinal(images[:2], labels=images[0], on_pair=lambda *step: told.append(step), **ONE)
    assert told == []


def test_another_head_is_doubted(images):
    other = time_point(0.5, -2.0, (-0.8, 0.4), seed=2)
    found = register_longitudinal([images[0], other], **QUICK)
    assert any("do both images show one subject" in text for text in found.report["warnings"])


def test_a_slice_and_a_volume_are_refused(images):
    volume = Image.from_array(np.zeros((12, 12, 12), np.float32), name="volume")
    with pytest.raises(InputError, match="2-D"):
        register_longitudinal([images[0], volume], **ONE)


def test_unlike_contrasts_are_named(images):
    other = time_point(0.0, seed=4)
    inverted = Image((other.data > 8) * (220 - other.data), other.grid, "inverted")
    found = register_longitudinal([images[0], inverted], **QUICK)
    assert any("correlates with the middle" in text for text in found.report["warnings"])


def test_volumes_may_lie_on_unlike_grids():
    """Oblique volumes with their own voxels, in known motion."""
    first_grid, second_grid = grid(), grid((26, 22, 20), (2.8, 3.2, 3.0), np.eye(3))
    truth = rigid((2.0, -1.0, 1.5), (3.0, -2.0, 4.0))
    first = Image(seen_through(first_grid, np.eye(4)), first_grid, "first")
    second = Image(seen_through(second_grid, truth), second_grid, "second")
    found = register_longitudinal([first, second], **QUICK)
    points = np.random.default_rng(0).uniform(-12, 12, (50, 3)) + (5, -7, 11)
    mapped = found.transform(0, 1).map_points(points)
    np.testing.assert_allclose(mapped, Affine(truth).map_points(points), atol=0.5)
    np.testing.assert_allclose(found.transform(1, 0).map_points(mapped), points, atol=0.05)
    np.testing.assert_allclose(found.middle.grid.voxel_size, 2.8)
