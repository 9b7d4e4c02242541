"""Whole registrations of small images: what is written, what is said, and what is left when something fails."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import resource
import tempfile
from pathlib import Path

import ants
import nibabel
import numpy as np
import pytest

import warpline
from synthetic import ellipsoid, pair_with_known_map
from warpline.errors import InputError, OutputError, UsageError
from warpline.images import Image
from warpline.io.images import read_image, write_image
from warpline.io.transform_files import read_transform, write_transform
from warpline.recipe import Recipe
from warpline.registration import Job, output_files, register, result, run
from warpline.space import Affine
from warpline.space.grid import Grid

SHAPE = (30, 28, 26)
QUICK = Recipe.load("syn").with_options(
    "name=quick",
    "initialise.rotations=false",
    "linear.stages=['rigid']",
    "linear.voxel_sizes=[4.0]",
    "linear.iterations=[10]",
    "syn.factors=[2, 1]",
    "syn.iterations=[10, 5]",
)
QUICK_RIGID = QUICK.with_options("syn=none")
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
FIXED_AFFINE = np.array(((-1.5, 0, 0, 20), (0, 1.5, 0, -21), (0, 0, 1.5, -18), (0, 0, 0, 1)))
MOVING_AFFINE = np.array(((0, 0, 1.5, -17), (-1.5, 0, 0, 24), (0, 1.5, 0, -22), (0, 0, 0, 1)))


def made_pair():
    """A blob with structure, and the same blob deformed, in another orientation."""
    fixed, moving, _ = pair_with_known_map(SHAPE, seed=4)
    inside = ellipsoid(SHAPE, 0.38)
    fixed, moving = np.where(inside, fixed + 0.5, 0), np.where(inside, moving + 0.5, 0)
    turned = np.ascontiguousarray(np.flip(moving.transpose(1, 2, 0), axis=(0, 2)))
    return Image(fixed.astype(np.float32), Grid(SHAPE, FIXED_AFFINE)), Image(
        turned.astype(np.float32), Grid(turned.shape, MOVING_AFFINE)
    )


def everything_under(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Paths of the fixed and the moving image."""
    folder = tmp_path_factory.mktemp("pair")
    paths = folder / "fixed.nii.gz", folder / "moving.nii.gz"
    for image, path in zip(made_pair(), paths, strict=True):
        write_image(image, path)
    return paths


@pytest.fixture(scope="module")
def done(pair, tmp_path_factory):
    """Folder, job, registration and progress of one run."""
    folder = tmp_path_factory.mktemp("done")
    job = Job(*pair, prefix=f"{folder}/sub-01_", recipe=QUICK, threads=2)
    seen = []
    return folder, job, run(job, seen.append), seen


@pytest.fixture
def no_align(monkeypatch):
    """Nothing may be computed."""

    def refuse(*_, **__):
        raise AssertionError("computed before the check")

    monkeypatch.setattr(result, "align_checked", refuse)


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


def test_files_hold_what_the_registration_holds(done):
    folder, _, registration, _ = done
    warp, affine = registration.transform.parts
    np.testing.assert_array_equal(read_transform(folder / "sub-01_0GenericAffine.mat").matrix, affine.matrix)
    np.testing.assert_array_equal(read_transform(folder / "sub-01_1Warp.nii.gz").field, warp.field)
    np.testing.assert_array_equal(read_transform(folder / "sub-01_1InverseWarp.nii.gz").field, warp.inverse_field)
    inverse = read_image(folder / "sub-01_InverseWarped.nii.gz")
    np.testing.assert_array_equal(inverse.data, registration.inverse_warped.data)
    points = np.random.default_rng(0).normal(registration.warped.grid.centre, 6, (20, 3))
    back = registration.inverse.map_points(registration.transform.map_points(points))
    np.testing.assert_allclose(back, points, atol=0.3)


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


def test_every_kind_of_source_gives_the_same_map(pair):
    fixed, moving = (read_image(path) for path in pair)
    loaded = tuple(nibabel.load(path) for path in pair)
    arrays = ((fixed.data, fixed.affine), (moving.data, moving.affine))
    found = [register(*sources, QUICK_RIGID) for sources in (pair, loaded, arrays, (fixed, moving))]
    for other in found[1:]:
        np.testing.assert_array_equal(other.transform.parts[0].matrix, found[0].transform.parts[0].matrix)
    assert found[0].report["inputs"]["fixed"]["path"] == str(pair[0])
    assert found[2].report["inputs"]["fixed"]["path"] is None
    assert found[2].report["inputs"]["fixed"]["sha256"] == hashlib.sha256(fixed.data.tobytes()).hexdigest()


def test_linear_recipe_writes_no_warp_and_removes_an_older(done, pair, tmp_path):
    source = done[2]
    source.save(tmp_path / "sub_")
    assert (tmp_path / "sub_1Warp.nii.gz").exists()
    outputs = register(*pair, QUICK_RIGID).save(f"{tmp_path}/sub_")
    expected = set(RESULTS) - {"warp", "inverse_warp", "deformation"}
    assert set(outputs) == expected
    assert everything_under(tmp_path) == sorted(f"sub_{RESULTS[kind]}" for kind in expected)


def test_notebooks_show_the_result(done):
    shown = done[2]._repr_html_()
    assert "<img" in shown and "quick" in shown and "fixed.nii.gz" in shown


def test_slices_register(tmp_path):
    fixed, moving, _ = pair_with_known_map((40, 36, 1), seed=2)
    inside = ellipsoid((40, 36, 1), 0.4)
    arrays = (np.where(inside, array + 0.5, 0)[:, :, 0] for array in (fixed, moving))
    registration = register(*((array, np.diag((-1.0, -1.0, 1.0))) for array in arrays), QUICK)
    assert registration.warped.data.shape == (40, 36, 1)
    assert registration.report["quality"]["folded_voxels"] == 0
    registration.save(tmp_path / "slice_")
    assert (tmp_path / "slice_report.json").exists()


@pytest.mark.parametrize(("outside", "expected"), [(None, -1000), (0.0, 0), (7.0, 7)])
def test_beyond_ct_there_is_air_unless_another_value_is_set(outside, expected):
    fixed, moving, _ = pair_with_known_map((24, 22, 20), seed=2)
    inside = ellipsoid((24, 22, 20), 0.4)
    images = [
        Image(np.where(inside, 900 * x, -1000).astype(np.float32), Grid(x.shape, np.eye(4))) for x in (fixed, moving)
    ]
    away = np.eye(4)
    away[0, 3] = 8
    found = register(*images, QUICK_RIGID.with_options("linear=none"), initial=away, outside=outside)
    assert found.warped.data[-4:].min() == found.warped.data[-4:].max() == expected
    assert found.report["outside"] == {"moving": expected, "fixed": -1000}
    assert not [line for line in found.report["warnings"] if "beyond" in line]


def test_an_image_whose_surroundings_are_not_known_is_warned_of():
    fixed, moving, _ = pair_with_known_map((24, 22, 20), seed=2)
    bare = np.random.default_rng(0).uniform(700, 1000, moving.shape).astype(np.float32)
    report = register(fixed, bare, QUICK_RIGID.with_options("linear=none")).report
    assert report["outside"]["moving"] == 0
    assert "is 0 beyond the moving one, whose values begin at 700" in report["warnings"][-1]


def test_initial_transform_is_where_it_starts(pair, tmp_path):
    start = np.eye(4)
    start[:3, 3] = (1.0, 2.0, -3.0)
    write_transform(Affine(start), tmp_path / "start.mat")
    still = QUICK_RIGID.with_options("linear=none")
    for initial in (start, Affine(start), tmp_path / "start.mat"):
        registration = register(*pair, still, initial=initial)
        np.testing.assert_array_equal(registration.transform.parts[0].matrix, start)
    with pytest.raises(InputError, match=r"w\.nii\.gz is not affine"):
        write_transform(made_displacement(), tmp_path / "w.nii.gz")
        register(*pair, still, initial=tmp_path / "w.nii.gz")


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
def test_bad_image_ends_in_one_line_and_leaves_nothing(pair, tmp_path, side, change, message):
    sources = dict(zip(("fixed", "moving"), pair, strict=True))
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
def test_file_that_cannot_be_read_leaves_nothing(pair, tmp_path, content, message):
    path = tmp_path / "bad.nii.gz"
    if content is not None:
        path.write_bytes(content)
    before = everything_under(tmp_path)
    for options in ({"moving": path}, {"moving": pair[1], "fixed_mask": path}):
        with pytest.raises(InputError, match=rf"bad\.nii\.gz .*{message}"):
            run(Job(pair[0], **options, prefix=f"{tmp_path}/new/sub_", recipe=QUICK))
        assert everything_under(tmp_path) == before


@pytest.mark.usefixtures("no_align")
def test_mask_of_another_grid_is_refused(pair, tmp_path):
    mask = changed(pair[0], tmp_path, lambda data, affine: ((data[1:] > 0).astype("uint8"), affine))
    with pytest.raises(InputError, match=r"bad\.nii .* does not lie on the grid of .*fixed\.nii\.gz"):
        run(Job(*pair, prefix=f"{tmp_path}/sub_", recipe=QUICK, fixed_mask=mask))


def test_masks_are_used(pair, tmp_path):
    masks = [changed(path, tmp_path, lambda data, affine: ((data > 0.6).astype("uint8"), affine)) for path in pair[:1]]
    free, masked = register(*pair, QUICK), register(*pair, QUICK, masks[0])
    assert masked.report["inputs"]["fixed_mask"]["path"] == str(masks[0])
    assert np.abs(free.transform.parts[0].field - masked.transform.parts[0].field).max() > 0


@pytest.mark.usefixtures("no_align")
@pytest.mark.parametrize("prefix", ["file/sub_", "file/deep/sub_"])
def test_an_unwritable_folder_is_noticed_before_computing(pair, tmp_path, prefix):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match=r"file.* cannot be written: Not a directory; choose a folder"):
        run(Job(*pair, prefix=f"{tmp_path}/{prefix}", recipe=QUICK))
    assert everything_under(tmp_path) == ["file"]


@pytest.mark.usefixtures("no_align")
def test_full_disk_is_noticed_before_computing(pair, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(OutputError, match="No space left on device"):
        run(Job(*pair, prefix=f"{tmp_path}/new/sub_", recipe=QUICK))
    assert everything_under(tmp_path) == []


@pytest.mark.parametrize("limit", [2**13, 2**16])
def test_disk_that_fills_up_while_writing_leaves_nothing(done, tmp_path, limit):
    registration = done[2]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        with pytest.raises(OutputError, match=r"new/sub_.* cannot be written: File too large"):
            registration.save(tmp_path / "new" / "sub_")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert everything_under(tmp_path) == []


def test_page_that_cannot_be_written_leaves_nothing(done, tmp_path, monkeypatch):
    def breaks(report, pictures, path):
        path.write_text("half a page")
        raise OutputError(f"page {path} cannot be written: {os.strerror(errno.ENOSPC)}")

    monkeypatch.setattr(output_files, "write_page", breaks)
    with pytest.raises(OutputError, match=r"page .*/sub_report\.html cannot be written: No space left on device"):
        done[2].save(tmp_path / "sub_")
    assert everything_under(tmp_path) == []


@pytest.mark.usefixtures("no_align")
def test_outputs_never_replace_inputs(pair, tmp_path):
    taken = tmp_path / "sub_Warped.nii.gz"
    taken.write_bytes(pair[1].read_bytes())
    with pytest.raises(UsageError, match=r"would overwrite the input .*sub_Warped\.nii\.gz; choose another prefix"):
        run(Job(pair[0], taken, prefix=f"{tmp_path}/sub_", recipe=QUICK))
    assert taken.read_bytes() == pair[1].read_bytes()


def test_the_call_overrides_the_backend_of_the_environment(pair, monkeypatch):
    monkeypatch.setenv("WARPLINE_BACKEND", "numpy")
    nothing = QUICK.with_options("syn=none", "linear=none")
    assert register(*pair, nothing).report["backend"]["name"] == "numpy"
    assert register(*pair, nothing, backend="numba").report["backend"]["name"] == "numba"


@pytest.mark.usefixtures("no_align")
def test_unknown_options_are_refused_before_computing(pair, tmp_path):
    for options in ({"recipe": "sin"}, {"backend": "abacus"}, {"threads": 0}):
        with pytest.raises(UsageError):
            run(Job(*pair, prefix=f"{tmp_path}/new/sub_", **options))
    assert everything_under(tmp_path) == []


def test_what_headers_leave_open_stands_in_the_report(pair, tmp_path):
    moving = nibabel.load(pair[1])
    moving.set_sform(moving.affine, 4)
    moving.set_qform(np.diag((1, 1, -1, 1)) @ moving.affine, 1)
    nibabel.save(moving, tmp_path / "open.nii")
    made = register(pair[0], tmp_path / "open.nii", QUICK_RIGID, backend="numpy")
    (warning,) = (text for text in made.report["warnings"] if "open.nii" in text)
    assert "placed by the sform (code 4)" in warning and "and mirrored" in warning
    assert made.report["geometry"] is None
    assert [made.report["inputs"][name]["matrix"] for name in ("fixed", "moving")] == ["sform", "sform"]
    assert made.inverse_warped.grid == read_image(pair[1]).grid and made.inverse_warped.grid.notes == ()
    other = result.read(pair[0], tmp_path / "open.nii", QUICK_RIGID, geometry="qform")
    assert other.described["moving"]["matrix"] == "qform" and other.geometry == "qform"
    np.testing.assert_allclose(other.images["moving"].affine, np.diag((1, 1, -1, 1)) @ MOVING_AFFINE, atol=1e-5)
