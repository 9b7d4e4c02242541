"""From an image and atlases to labels and files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from warpline import labelling
from warpline.errors import InputError, UsageError
from warpline.evaluation import overlap
from warpline.images import Image
from warpline.labelling import Atlas, JointOptions, label, run_label
from warpline.recipe import Recipe

FAST = {"recipe": "rigid", "backend": "numpy", "threads": 1}


@pytest.fixture(scope="module")
def kept(target, atlases, tmp_path_factory):
    """Labels, the calls of `on_atlas`, and the folder where the registrations stay."""
    folder, seen = tmp_path_factory.mktemp("kept"), []
    return label(target[0], atlases, registrations=folder, on_atlas=lambda *one: seen.append(one), **FAST), seen, folder


def test_labels_land_on_the_image(target, kept):
    found, seen, _ = kept
    assert overlap(Image.from_array(target[1]), found.labels).mean > 0.95
    assert found.labels.data.dtype == np.uint16
    assert [one["name"] for one in found.report["atlases"]] == ["atlas 1", "atlas 2", "atlas 3"]
    assert seen[1] == ("atlas 2", 2, 3)
    assert found.report["options"]["fusion"] == labelling.labelling.DEFAULT_FUSION


def test_files_are_written_and_described(files, tmp_path):
    image, pairs = files
    (tmp_path / "names.tsv").write_text("index\tname\n3\tleft\n")
    found = run_label(image, pairs[:2], f"{tmp_path}/out/x_", label_names=tmp_path / "names.tsv", **FAST)
    report = json.loads((tmp_path / "out" / "x_report.json").read_text())
    assert report == found.report
    assert sorted(Path(path).name for path in report["outputs"].values()) == sorted(
        ["x_labels.nii.gz", "x_confidence.nii.gz", "x_volumes.tsv", "x_labels.png"]
    )
    assert report["inputs"]["atlases"][0]["labels"]["path"] == pairs[0][1]
    assert report["inputs"]["label_names"]["path"] == str(tmp_path / "names.tsv")
    assert "\tleft\t" in (tmp_path / "out" / "x_volumes.tsv").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fusion": "staple"}, "joint, local, majority"),
        ({"recipe": "none"}, "recipe"),
        ({"recipe": Recipe.load("rigid").with_options("uncertainty.runs=2")}, "a labelling keeps no uncertainty"),
    ],
)
def test_options_that_are_not_offered_are_refused(options, message, target, atlases):
    with pytest.raises(UsageError, match=message):
        label(target[0], atlases, **{**FAST, **options})


def test_a_bad_atlas_ends_the_run_without_output(files, tmp_path):
    image, pairs = files
    with pytest.raises(InputError, match="missing"):
        run_label(image, [*pairs, Atlas("missing.nii", "missing.nii")], tmp_path / "out" / "a_", **FAST)
    assert not (tmp_path / "out").exists()


def test_an_atlas_is_never_overwritten(files, tmp_path):
    image, pairs = files
    with pytest.raises(UsageError, match="overwrite"):
        run_label(image, [(pairs[0][0], str(tmp_path / "labels.nii.gz"))], f"{tmp_path}/", **FAST)


def test_settings_of_joint_fusion_reach_the_report(target, atlases, kept):
    asked = JointOptions(patch_radius=2, search_radius=1, patches=1, beta=4.0, alpha=0.01)
    found = label(target[0], atlases, joint_options=asked, registrations=kept[2], **FAST)
    assert found.report["options"]["joint"] == vars(asked)
    assert overlap(Image.from_array(target[1]), found.labels).mean > 0.9
    assert not np.array_equal(found.confidence.data, kept[0].confidence.data)


def test_settings_are_refused_where_they_are_not_heeded(target, atlases):
    with pytest.raises(UsageError, match=r"majority.*no settings"):
        label(target[0], atlases, fusion="majority", joint_options=JointOptions(), **FAST)


def test_kept_registrations_give_the_same_labels(target, atlases, kept):
    first, second = kept[0], label(target[0], atlases, registrations=kept[2], **FAST)
    assert [one["reused"] for one in first.report["atlases"]] == [False] * 3
    assert [one["reused"] for one in second.report["atlases"]] == [True] * 3
    assert (first.labels.data == second.labels.data).all()
    assert (first.confidence.data == second.confidence.data).all()
    assert first.report["warnings"] == second.report["warnings"]


def test_a_flat_atlas_is_refused_before_any_registration(target, atlases):
    seen = []
    with pytest.raises(InputError, match="constant"):
        label(
            target[0], [*atlases, (np.ones_like(target[0]), target[1])], on_atlas=lambda *one: seen.append(one), **FAST
        )
    assert not seen


def test_unknown_voxels_outside_are_filled_and_said(target, atlases):
    image = np.array(target[0])
    image[0] = np.nan
    found = label(image, atlases[:1], **FAST)
    assert any("NaN" in text for text in found.report["warnings"])
    assert found.labels.data.any()


def test_a_series_is_no_image(atlases):
    with pytest.raises(InputError, match="4-D"):
        label(np.zeros((4, 4, 4, 2)), atlases, **FAST)
