"""Whole registrations of small images, from files to files: what is written, and what is left after a failure."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import tempfile
from pathlib import Path

import nibabel
import numpy as np
import pytest

import warpline
from made_registrations import NO_STAGES, QUICK, RESULTS, SHAPE, everything_under
from warpline.errors import InputError, OutputError, UsageError
from warpline.io.images import read_image
from warpline.recipe import Recipe
from warpline.registration import ImagePair, Job, register, run


def test_run_leaves_every_file_and_nothing_else(finished):
    folder, _, registration, _ = finished
    assert everything_under(folder) == sorted(f"sub-01_{name}" for name in RESULTS.values())
    outputs = {kind: f"{folder}/sub-01_{name}" for kind, name in RESULTS.items() if kind != "report"}
    assert registration.report["outputs"] == outputs
    for picture in ("Overlay.png", "Grid.png"):
        assert (folder / f"sub-01_{picture}").read_bytes().startswith(b"\x89PNG")


def test_registration_brings_the_images_together(finished):
    folder, job, registration, _ = finished
    fixed = read_image(job.fixed).data
    before = warpline.resample(read_image(job.moving), like=read_image(job.fixed)).data
    after = read_image(folder / "sub-01_Warped.nii.gz").data
    assert np.corrcoef(fixed.ravel(), after.ravel())[0, 1] > max(0.97, np.corrcoef(fixed.ravel(), before.ravel())[0, 1])
    np.testing.assert_array_equal(after, registration.warped.data)


def test_report_tells_the_whole_story(finished):
    folder, job, registration, seen = finished
    report = json.loads((folder / "sub-01_report.json").read_text(encoding="utf-8"))
    assert report == registration.report
    assert report["versions"]["numpy"] == np.__version__
    assert set(report["versions"]) == {"numpy", "scipy", "numba", "nibabel"}
    assert Recipe.model_validate(report["recipe"]) == QUICK
    assert report["backend"]["threads"] == 2 and report["backend"]["name"] in ("numpy", "numba")
    fixed = report["inputs"]["fixed"]
    assert fixed["path"] == str(job.fixed) and fixed["shape"] == list(SHAPE)
    assert fixed["sha256"] == hashlib.sha256(Path(job.fixed).read_bytes()).hexdigest()
    np.testing.assert_allclose(fixed["voxel_size"], 1.5)
    assert {"read", "check", "linear", "deformable", "warp", "write", "pictures", "page"} <= set(report["seconds"])
    deformable = [level for level in report["levels"] if level["stage"] == "syn"]
    assert [level["iterations"] for level in deformable] == [10, 5]
    assert all(level["energies"] for level in deformable)
    assert report["quality"]["folded_voxels"] == 0 and report["quality"]["jacobian_min"] > 0
    assert report["warnings"] == []
    assert report["similarity"]["after"]["local_ncc"] > report["similarity"]["before"]["local_ncc"]
    assert {step.stage for step in seen} == {level["stage"] for level in report["levels"]}


def test_repeating_a_run_gives_the_same_bytes(finished, tmp_path):
    folder, job, *_ = finished
    run(Job(job.fixed, job.moving, prefix=f"{tmp_path}/again/", recipe=QUICK, threads=2))
    for name in set(RESULTS.values()) - {"report.html", "report.json"}:
        assert (tmp_path / "again" / name).read_bytes() == (folder / f"sub-01_{name}").read_bytes(), name


def changed(path, folder, change):
    """A copy of an image after `change(data, affine) -> (data, affine)`."""
    image = read_image(path)
    data, affine = change(image.data.copy(), image.affine.copy())
    raw = bytearray(nibabel.Nifti1Image(data, np.eye(4)).to_bytes())
    raw[280:328] = affine[:3].astype("<f4").tobytes()  # the sform, which nibabel would not write when it is singular
    (folder / "bad.nii").write_bytes(raw)
    return folder / "bad.nii"


def with_nan(data, affine):
    data[3, 4, 5] = np.nan
    return data, affine


def far_away(data, affine):
    affine[2, 3] += 900
    return data, affine


def flattened(data, affine):
    affine[:3, 1] = 0
    return data, affine


TRUSTING = QUICK.with_options("initialise.method=identity", "initialise.rotations=false")
"""Starts from the headers, which must then overlap."""

BAD_IMAGES = {
    "4-D": (lambda data, affine: (np.stack([data, data], -1), affine), "4-D, shape .* registration needs one volume"),
    "nan": (with_nan, r"1 NaN or infinite value, the first at voxel \(3, 4, 5\); replace them"),
    "constant": (lambda data, affine: (data * 0 + 7, affine), r"is constant: 7\.0 everywhere"),
    "small": (lambda data, affine: (data[12:16], affine), "4 voxels along axis 0, .* radius 2 needs at least 5"),
    "apart": (far_away, r"do not overlap in world space: along inferior-superior .* mm apart; .* \(srow_z"),
    "singular": (flattened, "the affine of its header is singular"),
}


@pytest.mark.usefixtures("no_align")
@pytest.mark.parametrize("side", ["fixed", "moving"])
@pytest.mark.parametrize(("change", "message"), BAD_IMAGES.values(), ids=BAD_IMAGES)
def test_bad_image_ends_in_one_line_and_leaves_nothing(paths, tmp_path, side, change, message):
    sources = dict(zip(("fixed", "moving"), paths, strict=True))
    sources[side] = changed(sources[side], tmp_path, change)
    with pytest.raises(InputError, match=message) as caught:
        run(Job(**sources, prefix=f"{tmp_path}/new/deep/sub_", recipe=TRUSTING))
    assert "bad.nii" in str(caught.value) and "\n" not in str(caught.value)
    assert everything_under(tmp_path) == ["bad.nii"]


@pytest.mark.usefixtures("no_align")
@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "does not exist"), (b"not an image", "not a readable image"), (b"\x1f\x8b\x08\0\0\0", "truncated gzip")],
)
def test_file_that_cannot_be_read_leaves_nothing(paths, tmp_path, content, message):
    path = tmp_path / "bad.nii.gz"
    if content is not None:
        path.write_bytes(content)
    before = everything_under(tmp_path)
    for options in ({"moving": path}, {"moving": paths[1], "fixed_mask": path}):
        with pytest.raises(InputError, match=rf"bad\.nii\.gz .*{message}"):
            run(Job(paths[0], **options, prefix=f"{tmp_path}/new/sub_", recipe=QUICK))
        assert everything_under(tmp_path) == before


@pytest.mark.usefixtures("no_align")
def test_a_mask_beside_its_image_is_refused(paths, tmp_path):
    def away(data, affine):
        affine[:3, 3] += 500
        return (data > 0).astype("uint8"), affine

    mask = changed(paths[0], tmp_path, away)
    with pytest.raises(InputError, match=r"bad\.nii has no voxel other than 0 within .*fixed\.nii\.gz"):
        run(Job(*paths, prefix=f"{tmp_path}/sub_", recipe=QUICK, fixed_mask=mask))
    assert everything_under(tmp_path) == ["bad.nii"]


@pytest.mark.usefixtures("no_align")
@pytest.mark.parametrize("prefix", ["file/sub_", "file/deep/sub_"])
def test_an_unwritable_folder_is_noticed_before_computing(paths, tmp_path, prefix):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match=r"file.* cannot be written: Not a directory; choose a folder"):
        run(Job(*paths, prefix=f"{tmp_path}/{prefix}", recipe=QUICK))
    assert everything_under(tmp_path) == ["file"]


@pytest.mark.usefixtures("no_align")
def test_full_disk_is_noticed_before_computing(paths, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(OutputError, match="No space left on device"):
        run(Job(*paths, prefix=f"{tmp_path}/new/sub_", recipe=QUICK))
    assert everything_under(tmp_path) == []


@pytest.mark.usefixtures("no_align")
def test_outputs_never_replace_inputs(paths, tmp_path):
    taken = tmp_path / "sub_Warped.nii.gz"
    taken.write_bytes(paths[1].read_bytes())
    with pytest.raises(UsageError, match=r"would overwrite the input .*sub_Warped\.nii\.gz; choose another prefix"):
        run(Job(paths[0], taken, prefix=f"{tmp_path}/sub_", recipe=QUICK))
    assert taken.read_bytes() == paths[1].read_bytes()


def test_the_call_overrides_the_backend_of_the_environment(paths, monkeypatch):
    monkeypatch.setenv("WARPLINE_BACKEND", "numpy")
    assert register(*paths, NO_STAGES).report["backend"]["name"] == "numpy"
    assert register(*paths, NO_STAGES, backend="numba").report["backend"]["name"] == "numba"


@pytest.mark.usefixtures("no_align")
def test_unknown_options_are_refused_before_computing(paths, tmp_path):
    for options in ({"recipe": "sin"}, {"backend": "abacus"}, {"threads": 0}):
        with pytest.raises(UsageError):
            run(Job(*paths, prefix=f"{tmp_path}/new/sub_", **options))
    assert everything_under(tmp_path) == []


def test_several_metrics_of_the_same_images_are_reported(paths, tmp_path):
    beside = 'syn.beside=[{metric="mean_squares", weight=0.5}]'
    further = ImagePair(*paths, metric="mean_squares")
    made = run(Job(*paths, prefix=f"{tmp_path}/b_", recipe=QUICK.with_options(beside), pairs=(further,)))
    terms = [(term["metric"], term["weight"], term["pair"]) for term in made.report["terms"]]
    assert terms == [("local_cc", 1, 1), ("mean_squares", 0.5, 1), ("mean_squares", 1, 2)]
    assert (tmp_path / "b_report.html").read_text(encoding="utf-8").count("<td>mean_squares</td>") == 2
