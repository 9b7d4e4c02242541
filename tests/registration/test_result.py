"""Reading and computing one registration: sources, starts, masks, slices, surroundings; what a result shows."""

from __future__ import annotations

import hashlib

import nibabel
import numpy as np
import pytest

from made_registrations import FIXED_AFFINE, MOVING_AFFINE, NO_STAGES, QUICK, QUICK_RIGID, SHAPE
from synthetic import ellipsoid, pair_with_known_map
from warpline.errors import InputError
from warpline.images import Image
from warpline.io.images import read_image, write_image
from warpline.io.transform_files import write_transform
from warpline.registration import in_one_plane, load, register, result
from warpline.space import Affine, Displacement
from warpline.space.grid import Grid


def test_every_kind_of_source_gives_the_same_map(paths):
    fixed, moving = (read_image(path) for path in paths)
    loaded = tuple(nibabel.load(path) for path in paths)
    arrays = ((fixed.data, fixed.affine), (moving.data, moving.affine))
    found = [register(*sources, QUICK_RIGID) for sources in (paths, loaded, arrays, (fixed, moving))]
    for other in found[1:]:
        np.testing.assert_array_equal(other.transform.parts[0].matrix, found[0].transform.parts[0].matrix)
    assert found[0].report["inputs"]["fixed"]["path"] == str(paths[0])
    assert found[2].report["inputs"]["fixed"]["path"] is None
    assert found[2].report["inputs"]["fixed"]["sha256"] == hashlib.sha256(fixed.data.tobytes()).hexdigest()


def test_notebooks_show_the_result(finished):
    shown = finished[2]._repr_html_()
    assert "<img" in shown and "quick" in shown and "fixed.nii.gz" in shown


def test_slices_register():
    fixed, moving, _ = pair_with_known_map((40, 36, 1), seed=2)
    inside = ellipsoid((40, 36, 1), 0.4)
    arrays = (np.where(inside, array + 0.5, 0)[:, :, 0] for array in (fixed, moving))
    registration = register(*((array, np.diag((-1.0, -1.0, 1.0))) for array in arrays), QUICK)
    assert registration.warped.data.shape == (40, 36, 1)
    assert registration.report["quality"]["folded_voxels"] == 0


@pytest.mark.parametrize(("outside", "expected"), [(None, -1000), (0.0, 0), (7.0, 7)])
def test_beyond_ct_there_is_air_unless_another_value_is_set(outside, expected):
    fixed, moving, _ = pair_with_known_map((24, 22, 20), seed=2)
    inside = ellipsoid((24, 22, 20), 0.4)
    images = [
        Image(np.where(inside, 900 * x, -1000).astype(np.float32), Grid(x.shape, np.eye(4))) for x in (fixed, moving)
    ]
    away = np.eye(4)
    away[0, 3] = 8
    found = register(*images, NO_STAGES, initial=away, outside=outside)
    assert found.warped.data[-4:].min() == found.warped.data[-4:].max() == expected
    assert found.report["outside"] == {"moving": expected, "fixed": -1000}
    assert not [line for line in found.report["warnings"] if "beyond" in line]


def test_an_image_whose_surroundings_are_not_known_is_warned_of():
    fixed, moving, _ = pair_with_known_map((24, 22, 20), seed=2)
    bare = np.random.default_rng(0).uniform(700, 1000, moving.shape).astype(np.float32)
    report = register(fixed, bare, NO_STAGES).report
    assert report["outside"]["moving"] == 0
    assert "is 0 beyond the moving one, whose values begin at 700" in report["warnings"][-1]


def test_initial_transform_is_where_it_starts(paths, tmp_path):
    start = np.eye(4)
    start[:3, 3] = (1.0, 2.0, -3.0)
    write_transform(Affine(start), tmp_path / "start.mat")
    for initial in (start, Affine(start), tmp_path / "start.mat"):
        registration = register(*paths, NO_STAGES, initial=initial)
        np.testing.assert_array_equal(registration.transform.parts[0].matrix, start)


def test_a_start_that_is_not_affine_is_refused(paths, tmp_path):
    write_transform(Displacement(np.zeros((3, *SHAPE), np.float32), Grid(SHAPE, FIXED_AFFINE)), tmp_path / "w.nii.gz")
    with pytest.raises(InputError, match=r"w\.nii\.gz is not affine"):
        result.read(*paths, NO_STAGES, initial=tmp_path / "w.nii.gz")


def test_what_headers_leave_open_stands_in_the_report(paths, tmp_path):
    moving = nibabel.load(paths[1])
    moving.set_sform(moving.affine, 4)
    moving.set_qform(np.diag((1, 1, -1, 1)) @ moving.affine, 1)
    nibabel.save(moving, tmp_path / "open.nii")
    made = register(paths[0], tmp_path / "open.nii", QUICK_RIGID, backend="numpy")
    (warning,) = (text for text in made.report["warnings"] if "open.nii" in text)
    assert "placed by the sform (code 4)" in warning and "and mirrored" in warning
    assert made.report["geometry"] is None
    assert [made.report["inputs"][name]["matrix"] for name in ("fixed", "moving")] == ["sform", "sform"]
    assert made.inverse_warped.grid == read_image(paths[1]).grid and made.inverse_warped.grid.notes == ()
    other = result.read(paths[0], tmp_path / "open.nii", QUICK_RIGID, geometry="qform")
    assert other.described["moving"]["matrix"] == "qform" and other.geometry == "qform"
    np.testing.assert_allclose(other.images["moving"].affine, np.diag((1, 1, -1, 1)) @ MOVING_AFFINE, atol=1e-5)


def test_a_mask_changes_the_result_and_is_described(paths, tmp_path):
    image = read_image(paths[0])
    write_image(Image((image.data > 0.6).astype("uint8"), image.grid), tmp_path / "mask.nii")
    whole, masked = register(*paths, QUICK), register(*paths, QUICK, tmp_path / "mask.nii")
    assert masked.report["inputs"]["fixed_mask"]["path"] == str(tmp_path / "mask.nii")
    assert np.abs(whole.transform.parts[0].field - masked.transform.parts[0].field).max() > 0


def test_a_registration_prints_in_one_line(finished):
    text = repr(finished[2])
    assert "0 folded voxels" in text and "fixed.nii.gz" in text
    assert len(text) < 300 and "\n" not in text


def test_reading_computes_nothing_and_keeps_the_images(paths):
    inputs = result.read(*paths, NO_STAGES)
    assert set(inputs.images) == {"fixed", "moving"}
    np.testing.assert_array_equal(inputs.images["fixed"].data, read_image(paths[0]).data)
    assert set(inputs.seconds) == {"read", "check"}
    assert inputs.initial is None and inputs.notes == ()


def test_another_loader_may_read_the_images(paths):
    asked = []

    def cached(source, name, geometry):
        asked.append((source, name, geometry))
        return load(source, name, geometry)

    result.read(*paths, NO_STAGES, load=cached)
    assert asked == [(paths[0], "fixed", None), (paths[1], "moving", None)]


def test_saving_leaves_the_report_as_it_is(paths, tmp_path):
    registration = register(*paths, NO_STAGES)
    before = dict(registration.report), dict(registration.report["seconds"])
    written = registration.save(tmp_path / "sub_")
    assert (registration.report, registration.report["seconds"]) == before
    assert all(path.exists() for path in written.values())


def plane_at(height, flat=True):
    affine = np.eye(4)
    affine[2, 3] = height
    return Image(np.zeros((3, 4, 1)), Grid((3, 4, 1), affine, flat))


def test_planar_images_are_moved_to_the_fixed_plane():
    images = in_one_plane({"fixed": plane_at(0), "moving": plane_at(7)})
    assert images["moving"].affine[2, 3] == 0


def test_slices_of_volumes_stay_at_their_height():
    images = in_one_plane({"fixed": plane_at(0), "moving": plane_at(7, flat=False)})
    assert images["moving"].affine[2, 3] == 7
