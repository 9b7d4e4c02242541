"""Whole registrations of small images: what is written, what is said, and what is left when something fails."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import ants
import nibabel
import numpy as np
import pytest

import warpline
from small_jobs import FIXED_AFFINE, MOVING_AFFINE, QUICK, QUICK_RIGID, SHAPE, everything_under
from warpline.errors import InputError, UsageError
from warpline.io.images import read_image
from warpline.io.transform_files import write_transform
from warpline.recipe import Recipe
from warpline.registration import Job, register, result, run
from warpline.space import Affine
from warpline.space.grid import Grid

RESULTS = {
    "affine": "0GenericAffine.mat",
    "warp": "1Warp.nii.gz",
    "inverse_warp": "1InverseWarp.nii.gz",
    "warped": "Warped.nii.gz",
    "inverse_warped": "InverseWarped.nii.gz",
    "overlay": "Overlay.png",
    "deformation": "Grid.png",
    "page": "report.html",
    "report": "report.json",
}


def test_run_leaves_every_file_and_nothing_else(done):
    folder, _, registration, _ = done
    assert everything_under(folder) == sorted(f"sub-01_{name}" for name in RESULTS.values())
    outputs = {kind: f"{folder}/sub-01_{name}" for kind, name in RESULTS.items() if kind != "report"}
    assert registration.report["outputs"] == outputs
    for picture in ("Overlay.png", "Grid.png"):
        assert (folder / f"sub-01_{picture}").read_bytes().startswith(b"\x89PNG")


def test_registration_brings_the_images_together(done):
    folder, job, registration, _ = done
    fixed = read_image(job.fixed).data
    before = warpline.resample(read_image(job.moving), like=read_image(job.fixed)).data
    after = read_image(folder / "sub-01_Warped.nii.gz").data
    assert np.corrcoef(fixed.ravel(), after.ravel())[0, 1] > max(0.97, np.corrcoef(fixed.ravel(), before.ravel())[0, 1])
    np.testing.assert_array_equal(after, registration.warped.data)


def test_ants_makes_the_same_images_from_the_files(done):
    folder, job, registration, _ = done
    fixed, moving = ants.image_read(str(job.fixed)), ants.image_read(str(job.moving))
    affine, warp, inverse = (str(folder / f"sub-01_{RESULTS[kind]}") for kind in ("affine", "warp", "inverse_warp"))
    warped = ants.apply_transforms(fixed, moving, [warp, affine]).numpy()
    np.testing.assert_allclose(registration.warped.data, warped, atol=1e-4 * np.ptp(warped))
    unwarped = ants.apply_transforms(moving, fixed, [affine, inverse], whichtoinvert=[True, False]).numpy()
    np.testing.assert_allclose(registration.inverse_warped.data, unwarped, atol=1e-4 * np.ptp(unwarped))


def test_report_tells_the_whole_story(done):
    folder, job, registration, seen = done
    report = json.loads((folder / "sub-01_report.json").read_text())
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
    assert "0 folded voxels" in repr(registration) and len(repr(registration)) < 300
    assert {step.stage for step in seen} == {level["stage"] for level in report["levels"]}


def test_repeating_a_run_gives_the_same_bytes(done, tmp_path):
    folder, job, *_ = done
    run(Job(job.fixed, job.moving, prefix=f"{tmp_path}/again/", recipe=QUICK, threads=2))
    for name in set(RESULTS.values()) - {"report.html", "report.json"}:
        assert (tmp_path / "again" / name).read_bytes() == (folder / f"sub-01_{name}").read_bytes(), name


def test_linear_recipe_writes_no_warp_and_removes_an_older(done, files, tmp_path):
    source = done[2]
    source.save(tmp_path / "sub_")
    assert (tmp_path / "sub_1Warp.nii.gz").exists()
    outputs = register(*files, QUICK_RIGID).save(f"{tmp_path}/sub_")
    expected = set(RESULTS) - {"warp", "inverse_warp", "deformation"}
    assert set(outputs) == expected
    assert everything_under(tmp_path) == sorted(f"sub_{RESULTS[kind]}" for kind in expected)


def test_initial_transform_is_where_it_starts(files, tmp_path):
    start = np.eye(4)
    start[:3, 3] = (1.0, 2.0, -3.0)
    write_transform(Affine(start), tmp_path / "start.mat")
    still = QUICK_RIGID.with_options("linear=none")
    for initial in (start, Affine(start), tmp_path / "start.mat"):
        registration = register(*files, still, initial=initial)
        np.testing.assert_array_equal(registration.transform.parts[0].matrix, start)
    with pytest.raises(InputError, match=r"w\.nii\.gz is not affine"):
        write_transform(made_displacement(), tmp_path / "w.nii.gz")
        register(*files, still, initial=tmp_path / "w.nii.gz")


def made_displacement():
    grid = Grid(SHAPE, FIXED_AFFINE)
    return warpline.Displacement(np.zeros((3, *SHAPE), np.float32), grid)


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
def test_bad_image_ends_in_one_line_and_leaves_nothing(files, tmp_path, side, change, message):
    sources = dict(zip(("fixed", "moving"), files, strict=True))
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
def test_file_that_cannot_be_read_leaves_nothing(files, tmp_path, content, message):
    path = tmp_path / "bad.nii.gz"
    if content is not None:
        path.write_bytes(content)
    before = everything_under(tmp_path)
    for options in ({"moving": path}, {"moving": files[1], "fixed_mask": path}):
        with pytest.raises(InputError, match=rf"bad\.nii\.gz .*{message}"):
            run(Job(files[0], **options, prefix=f"{tmp_path}/new/sub_", recipe=QUICK))
        assert everything_under(tmp_path) == before


@pytest.mark.usefixtures("no_align")
def test_mask_of_another_grid_is_refused(files, tmp_path):
    mask = changed(files[0], tmp_path, lambda data, affine: ((data[1:] > 0).astype("uint8"), affine))
    with pytest.raises(InputError, match=r"bad\.nii .* does not lie on the grid of .*fixed\.nii\.gz"):
        run(Job(*files, prefix=f"{tmp_path}/sub_", recipe=QUICK, fixed_mask=mask))


def test_masks_are_used(files, tmp_path):
    masks = [changed(path, tmp_path, lambda data, affine: ((data > 0.6).astype("uint8"), affine)) for path in files[:1]]
    free, masked = register(*files, QUICK), register(*files, QUICK, masks[0])
    assert masked.report["inputs"]["fixed_mask"]["path"] == str(masks[0])
    assert np.abs(free.transform.parts[0].field - masked.transform.parts[0].field).max() > 0


def test_the_call_overrides_the_backend_of_the_environment(files, monkeypatch):
    monkeypatch.setenv("WARPLINE_BACKEND", "numpy")
    nothing = QUICK.with_options("syn=none", "linear=none")
    assert register(*files, nothing).report["backend"]["name"] == "numpy"
    assert register(*files, nothing, backend="numba").report["backend"]["name"] == "numba"


@pytest.mark.usefixtures("no_align")
def test_unknown_options_are_refused_before_computing(files, tmp_path):
    for options in ({"recipe": "sin"}, {"backend": "abacus"}, {"threads": 0}):
        with pytest.raises(UsageError):
            run(Job(*files, prefix=f"{tmp_path}/new/sub_", **options))
    assert everything_under(tmp_path) == []


def test_what_headers_leave_open_stands_in_the_report(files, tmp_path):
    moving = nibabel.load(files[1])
    moving.set_sform(moving.affine, 4)
    moving.set_qform(np.diag((1, 1, -1, 1)) @ moving.affine, 1)
    nibabel.save(moving, tmp_path / "open.nii")
    made = register(files[0], tmp_path / "open.nii", QUICK_RIGID, backend="numpy")
    (warning,) = (text for text in made.report["warnings"] if "open.nii" in text)
    assert "placed by the sform (code 4)" in warning and "and mirrored" in warning
    assert made.report["geometry"] is None
    assert [made.report["inputs"][name]["matrix"] for name in ("fixed", "moving")] == ["sform", "sform"]
    assert made.inverse_warped.grid == read_image(files[1]).grid and made.inverse_warped.grid.notes == ()
    other = result.read(files[0], tmp_path / "open.nii", QUICK_RIGID, geometry="qform")
    assert other.described["moving"]["matrix"] == "qform" and other.geometry == "qform"
    np.testing.assert_allclose(other.images["moving"].affine, np.diag((1, 1, -1, 1)) @ MOVING_AFFINE, atol=1e-5)
