"""The files of a registration: their names, what they hold, and that they are written all or none."""

from __future__ import annotations

import copy
import errno
import json
import os
import resource
from pathlib import Path

import ants
import numpy as np
import pytest

from made_registrations import NO_STAGES, OF_VELOCITY, QUICK_RIGID, RESULTS, everything_under
from warpline.errors import OutputError, UsageError
from warpline.io.atomic import Transaction
from warpline.io.images import read_image
from warpline.io.transform_files import read_transform
from warpline.registration import check_names, names_after, output_files, register, store


def test_files_hold_what_the_registration_holds(finished):
    folder, _, registration, _ = finished
    warp, affine = registration.transform.parts
    np.testing.assert_array_equal(read_transform(folder / "sub-01_0GenericAffine.mat").matrix, affine.matrix)
    np.testing.assert_array_equal(read_transform(folder / "sub-01_1Warp.nii.gz").field, warp.field)
    np.testing.assert_array_equal(read_transform(folder / "sub-01_1InverseWarp.nii.gz").field, warp.inverse_field)
    inverse = read_image(folder / "sub-01_InverseWarped.nii.gz")
    np.testing.assert_array_equal(inverse.data, registration.inverse_warped.data)
    points = np.random.default_rng(0).normal(registration.warped.grid.centre, 6, (20, 3))
    back = registration.inverse.map_points(registration.transform.map_points(points))
    np.testing.assert_allclose(back, points, atol=0.3)


def test_ants_makes_the_same_images_from_the_files(finished):
    folder, job, registration, _ = finished
    fixed, moving = ants.image_read(str(job.fixed)), ants.image_read(str(job.moving))
    affine, warp, inverse = (str(folder / f"sub-01_{RESULTS[kind]}") for kind in ("affine", "warp", "inverse_warp"))
    warped = ants.apply_transforms(fixed, moving, [warp, affine]).numpy()
    np.testing.assert_allclose(registration.warped.data, warped, atol=1e-4 * np.ptp(warped))
    unwarped = ants.apply_transforms(moving, fixed, [affine, inverse], whichtoinvert=[True, False]).numpy()
    np.testing.assert_allclose(registration.inverse_warped.data, unwarped, atol=1e-4 * np.ptp(unwarped))


def test_linear_recipe_writes_no_warp_and_removes_an_older(finished, paths, tmp_path):
    source = finished[2]
    source.save(tmp_path / "sub_")
    assert (tmp_path / "sub_1Warp.nii.gz").exists()
    outputs = register(*paths, QUICK_RIGID).save(f"{tmp_path}/sub_")
    expected = set(RESULTS) - {"warp", "inverse_warp", "deformation"}
    assert set(outputs) == expected
    assert everything_under(tmp_path) == sorted(f"sub_{RESULTS[kind]}" for kind in expected)


@pytest.mark.parametrize("limit", [2**13, 2**16])
def test_disk_that_fills_up_while_writing_leaves_nothing(finished, tmp_path, limit):
    registration = finished[2]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        with pytest.raises(OutputError, match=r"new/sub_.* cannot be written: File too large"):
            registration.save(tmp_path / "new" / "sub_")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert everything_under(tmp_path) == []


def test_page_that_cannot_be_written_leaves_nothing(finished, tmp_path, monkeypatch):
    def breaks(report, pictures, path, **_):
        path.write_text("half a page")
        raise OutputError(f"page {path} cannot be written: {os.strerror(errno.ENOSPC)}")

    monkeypatch.setattr(output_files, "write_page", breaks)
    with pytest.raises(OutputError, match=r"page .*/sub_report\.html cannot be written: No space left on device"):
        finished[2].save(tmp_path / "sub_")
    assert everything_under(tmp_path) == []


@pytest.fixture(scope="module")
def made(paths):
    """The arguments of `store` that a registration gives, by keyword."""
    registration = register(*paths, NO_STAGES)
    return {"alignment": registration.alignment, "images": registration.images, "report": registration.report}


def stored(made, names, **options):
    with Transaction() as files:
        return store(**made, files=files, names={kind: Path(name) for kind, name in names.items()}, **options)


def test_every_file_has_a_name_after_the_prefix():
    names = names_after("out/sub-01_")
    asked = {
        "robust_weights": "RobustWeights.nii.gz",
        "uncertainty": "Uncertainty.nii.gz",
    }  # only where they are asked for
    endings = RESULTS | OF_VELOCITY | asked
    assert names == {kind: Path(f"out/sub-01_{ending}") for kind, ending in endings.items()}


def test_a_name_of_an_input_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = names_after(tmp_path / "sub_")
    check_names(names, ["fixed.nii", None, np.zeros(3)])
    with pytest.raises(UsageError, match=r"would overwrite the input sub_Warped\.nii\.gz; choose another prefix"):
        check_names(names, ["fixed.nii", "sub_Warped.nii.gz"])


def test_storing_leaves_its_arguments_alone(made, tmp_path):
    before = copy.deepcopy(made["report"])
    found = stored(made, {"affine": "a.mat", "report": "r.json"}, root=tmp_path)
    assert made["report"] == before
    assert set(found.report) - set(before) == {"finished", "outputs", "files"}
    assert {"write", "pictures"} <= found.report["seconds"].keys() - before["seconds"].keys()


def test_what_an_earlier_run_left_is_named(made, tmp_path):
    names = {"affine": "a.mat", "warp": "w.nii.gz", "velocity": "v.nii.gz", "report": "r.json"}
    assert stored(made, names, root=tmp_path).replaced is None
    (tmp_path / "w.nii.gz").write_bytes(b"of an earlier run")
    found = stored(made, names, root=tmp_path)
    assert found.replaced == {"files": ["a.mat", "r.json"], "removed": ["w.nii.gz"]}
    assert everything_under(tmp_path) == ["a.mat", "r.json"]


def test_only_files_with_a_name_are_written(made, tmp_path):
    found = stored(made, {"warped": "w.nii.gz", "report": "r.json"}, root=tmp_path)
    assert everything_under(tmp_path) == ["r.json", "w.nii.gz"]
    assert found.paths == {"warped": Path("w.nii.gz"), "report": Path("r.json")}


def test_the_report_states_sizes_and_paths_below_the_root(made, tmp_path):
    (tmp_path / "deep").mkdir()
    report = stored(made, {"affine": "deep/a.mat", "report": "r.json"}, root=tmp_path).report
    assert report == json.loads((tmp_path / "r.json").read_text())
    assert report["outputs"] == {"affine": "deep/a.mat"}
    assert report["files"]["affine"]["bytes"] == (tmp_path / "deep/a.mat").stat().st_size


def test_further_files_are_written_beside_the_others(made, tmp_path):
    extra = {"note": lambda: b"hello", "unnamed": lambda: b"never written"}
    found = stored(made, {"note": "n.txt", "report": "r.json"}, root=tmp_path, extra=extra)
    assert (tmp_path / "n.txt").read_bytes() == b"hello"
    assert found.report["files"]["note"]["bytes"] == 5


def test_the_report_is_encoded_as_the_caller_asks(made, tmp_path):
    stored(made, {"report": "r.txt"}, root=tmp_path, encode=lambda report: report["finished"].encode())
    assert (tmp_path / "r.txt").read_text().startswith("20")
