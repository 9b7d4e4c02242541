"""From a series to its motion and files."""

from __future__ import annotations

import numpy as np
import pytest

from made_series import grid, largest_error, seen_through
from warpline.errors import InputError, UsageError
from warpline.images import Image
from warpline.io.images import write_image
from warpline.series import Destination, register_series, run_series

NUMPY = {"backend": "numpy", "threads": 1}


def test_every_backend_finds_and_moves_the_same(made, backend):
    part = made.data[..., :3], made.grid.affine
    found = register_series(part, backend=backend, threads=1)
    relative = found.matrices @ np.linalg.inv(found.matrices[0])
    assert largest_error(relative, made.matrices[:3], made.grid) < 0.1
    moved, gains = found.moved().data, 1 + 0.02 * np.arange(3)
    inside = moved[6:-6, 6:-6, 5:-5] / gains
    assert np.ptp(inside, axis=-1).mean() < 0.03 * inside.mean()


def test_large_steps_are_named(made):
    found = register_series((made.data, made.grid.affine), "first", fd_threshold=3.0, **NUMPY)
    moved = found.motion.beyond(3.0)
    assert found.report["outliers"]["moved"] == moved
    assert any("3 mm" in text and f"{moved[0]}" in text for text in found.report["warnings"])


def test_a_mask_on_another_grid_says_where_the_reference_counts(made, bold, tmp_path):
    where = grid((40, 40, 40), (2.0, 2.0, 2.0), np.eye(3))
    write_image(Image((seen_through(where, np.eye(4)) > 300).astype(np.uint8), where), tmp_path / "mask.nii")
    found = register_series(bold, "first", mask=tmp_path / "mask.nii", **NUMPY)
    assert largest_error(found.matrices, made.matrices, made.grid) < 0.1
    assert found.report["inputs"]["mask"] == str(tmp_path / "mask.nii")


def test_a_reference_file_gives_the_result_its_grid(made, tmp_path):
    where = grid((30, 30, 26), (2.5, 2.5, 2.5), np.eye(3))
    write_image(Image(seen_through(where, np.eye(4)), where), tmp_path / "still.nii")
    found = register_series((made.data, made.grid.affine), str(tmp_path / "still.nii"), **NUMPY)
    assert largest_error(found.matrices, made.matrices, made.grid) < 0.1
    assert found.grid == where
    assert found.report["options"]["reference"] == str(tmp_path / "still.nii")


def test_names_of_references_are_no_files(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("first", "1"):
        (tmp_path / name).write_text("no image")
    part = made.data[..., :2], made.grid.affine
    for name, made_from in (("first", "volume 0"), ("1", "volume 1")):
        report = register_series(part, name, **NUMPY).report
        assert report["reference"] == made_from
        assert "reference" not in report["inputs"]


@pytest.mark.parametrize(("count", "said"), [(1, "not seen"), (3, "uncertain")])
def test_few_slices_are_warned_of(made, count, said):
    part = made.data[:, :, 8 : 8 + count, :2], made.grid.affine
    warnings = register_series(part, "first", **NUMPY).report["warnings"]
    assert any(f"volumes of {count} slice" in text and said in text for text in warnings)


def test_gradients_are_turned(made):
    bvals, vectors = np.zeros(6), np.tile([0, 0, 1.0], (6, 1))
    found = register_series((made.data, made.grid.affine), "first", bvals=bvals, bvecs=vectors, **NUMPY)
    assert found.gradients.bvecs.shape == (6, 3)
    assert 0.5 < np.degrees(np.arccos(found.gradients.bvecs[1:] @ [0, 0, 1])).max() < 5
    assert not found.has_dvars


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"model": "elastic"}, UsageError, "model"),
        ({"interpolation": "sinc"}, UsageError, "interpolation"),
        ({"values": "int8"}, UsageError, "values"),
        ({"fd_threshold": 0}, UsageError, "fd_threshold"),
        ({"reference": "best"}, UsageError, "reference"),
        ({"bvecs": np.ones((6, 3))}, UsageError, "b-values"),
        ({"mask": np.zeros((22, 24, 18))}, InputError, "mask"),
        ({"reference": (np.ones((4, 4, 4, 2)), np.eye(4))}, InputError, "one volume"),
    ],
)
def test_wrong_arguments_are_refused(made, options, error, message):
    with pytest.raises(error, match=message):
        register_series((made.data, made.grid.affine), **options, **NUMPY)


def test_values_that_are_not_finite_are_refused(made):
    data = made.data.copy()
    data[3, 3, 3, 4] = np.nan
    with pytest.raises(InputError, match="volume 4"):
        register_series((data, made.grid.affine), "first", **NUMPY)


def test_no_volume_is_no_series(made):
    with pytest.raises(InputError, match="holds no volume"):
        register_series((made.data[..., :0], made.grid.affine), **NUMPY)


def test_a_run_that_fails_leaves_nothing(bold, tmp_path):
    with pytest.raises(InputError, match=r"missing\.mat"):
        run_series(bold, f"{tmp_path}/new/", destination=Destination(transforms=["missing.mat"], grid=bold), **NUMPY)
    assert not (tmp_path / "new").exists()
