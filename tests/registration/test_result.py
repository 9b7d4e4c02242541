"""Reading and computing one registration: sources, starts, masks, slices, surroundings; what a result shows."""

from __future__ import annotations

import hashlib

import nibabel
import numpy as np
import pytest

from made_registrations import NO_STAGES, QUICK, QUICK_RIGID
from synthetic import ellipsoid, pair_with_known_map
from warpline.errors import UsageError
from warpline.images import Image
from warpline.io.images import read_image, write_image
from warpline.io.transform_files import write_transform
from warpline.registration import register
from warpline.space import Affine
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


def test_one_affine_places_arrays_alone(paths):
    fixed, moving = (read_image(path) for path in paths)
    affine = np.diag([2.0, 3.0, 4.0, 1.0])
    apart, together = (
        register(*images, NO_STAGES, **options)
        for images, options in (
            (((fixed.data, affine), (moving.data, affine)), {}),
            ((fixed.data, moving.data), {"affine": affine}),
        )
    )
    np.testing.assert_array_equal(together.warped.affine, affine)
    np.testing.assert_array_equal(together.warped.data, apart.warped.data)


def test_notebooks_show_the_result(finished):
    shown = finished[2]._repr_html_()
    assert shown.startswith("<iframe") and "<img" in shown and "quick" in shown and "fixed.nii.gz" in shown


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


def test_saving_leaves_the_report_as_it_is(paths, tmp_path):
    registration = register(*paths, NO_STAGES)
    before = dict(registration.report), dict(registration.report["seconds"])
    written = registration.save(tmp_path / "sub_")
    assert (registration.report, registration.report["seconds"]) == before
    assert all(path.exists() for path in written.values())


def with_blob(image):
    """The image with a bright ball that the other one does not show."""
    offsets = np.moveaxis(np.indices(image.grid.shape), 0, -1) - np.array(image.grid.shape) * [0.5, 0.4, 0.5]
    ball = np.linalg.norm(offsets, axis=-1) < 5
    return Image(np.where(ball, 3, image.data).astype(np.float32), image.grid, "spoilt"), ball


def test_robust_weights_are_written_where_they_are_learnt(paths, tmp_path):
    fixed, moving = (read_image(path) for path in paths)
    spoilt, ball = with_blob(fixed)
    found = register(spoilt, moving, QUICK.with_options("syn.robust=true"))
    weights = found.robust_weights
    assert weights.grid == fixed.grid and weights.data[ball].mean() < 0.3 < 0.5 < weights.data[~ball].mean()
    assert 0 < found.report["robust"]["left_out"] < 1
    file = found.save(f"{tmp_path}/sub_")["robust_weights"]
    assert file.name == "sub_RobustWeights.nii.gz"
    np.testing.assert_allclose(read_image(file).data, weights.data, atol=1e-6)
    plain = register(spoilt, moving, QUICK)
    assert plain.robust_weights is None and plain.report["robust"] is None
    assert "robust_weights" not in plain.save(f"{tmp_path}/sub_") and not file.exists()


def test_saving_does_not_replace_what_it_started_from(paths, tmp_path):
    start = register(*paths, NO_STAGES).save(tmp_path / "first_")["affine"]
    again = register(*paths, NO_STAGES, initial=[start])
    with pytest.raises(UsageError, match="first_0GenericAffine"):
        again.save(tmp_path / "first_")
