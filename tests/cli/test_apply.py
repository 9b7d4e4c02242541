from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from warpline.cli.apply import FRAMES, INTERPOLATIONS
from warpline.images import Image
from warpline.io import vectors
from warpline.io.images import read_image, write_image
from warpline.io.transform_files import write_transform
from warpline.operations import apply, invert
from warpline.resampling import INTERPOLATIONS as OFFERED
from warpline.resampling import warp
from warpline.space import Affine
from warpline.space.grid import Grid

NUMPY = ("--backend", "numpy")


def test_choices_are_those_of_the_rooms_below():
    assert set(INTERPOLATIONS) == set(OFFERED)
    assert set(FRAMES) == {*vectors.FRAMES, vectors.BY_THEMSELVES}


@pytest.mark.parametrize("interpolation", ["linear", "nearest", "cubic", "sinc"])
def test_result_is_that_of_one_interpolation(pair, phantom, backend, call, tmp_path, interpolation):
    output = str(tmp_path / "warped.nii.gz")
    files = ("-i", pair["moving"], "-r", pair["fixed"], "-t", pair["warp"], "-t", pair["affine"], "-o", output)
    record = call("apply", *files, "--interpolation", interpolation, *NUMPY)
    expected = apply(phantom.moving, phantom.fixed, phantom.transform, interpolation=interpolation, backend=backend)
    warped = read_image(output)
    assert record["output"] == output
    assert warped.grid == phantom.fixed.grid
    np.testing.assert_allclose(warped.data, expected.data, atol=1e-4 * np.ptp(expected.data))


def test_way_back_lists_inverse_parts_in_reverse(pair, phantom, backend, call, tmp_path):
    output = str(tmp_path / "back.nii.gz")
    through = ("-t", f"[{pair['affine']},1]", "-t", pair["inverse"])
    call("apply", "-i", pair["fixed"], "-r", pair["moving"], *through, "-o", output, *NUMPY)
    expected = warp(phantom.fixed, phantom.transform.inverse(), phantom.moving.grid, backend=backend)
    np.testing.assert_allclose(read_image(output).data, expected.data, atol=1e-4 * np.ptp(expected.data))


def test_labels_keep_their_type_and_values(pair, phantom, call, tmp_path):
    big = Image(phantom.moving_labels.data.astype(np.int64) + 2**40, phantom.moving.grid)
    write_image(big, tmp_path / "big.nii")
    output = str(tmp_path / "warped.nii")
    files = ("-i", str(tmp_path / "big.nii"), "-r", pair["fixed"], "-t", pair["affine"], "-o", output)
    assert call("apply", *files, "--interpolation", "label", *NUMPY)["dtype"] == "int64"
    assert set(np.unique(read_image(output).data)) <= {0, *np.unique(big.data).tolist()}


def test_label_refuses_an_image_with_fractions(pair, refused, tmp_path):
    files = ("-i", pair["moving"], "-r", pair["fixed"], "-t", pair["affine"], "-o", str(tmp_path / "no.nii.gz"))
    line = refused(5, "apply", *files, "--interpolation", "label")
    assert pair["moving"] in line
    assert not (tmp_path / "no.nii.gz").exists()


def test_series_is_carried_volume_by_volume(pair, phantom, call, tmp_path):
    series = Image(np.stack([phantom.moving.data, phantom.moving.data * 2], axis=-1), phantom.moving.grid)
    write_image(series, tmp_path / "series.nii")
    output = str(tmp_path / "warped.nii")
    files = ("-i", str(tmp_path / "series.nii"), "-r", pair["fixed"], "-t", pair["affine"], "-o", output)
    assert call("apply", *files, *NUMPY)["shape"] == [*phantom.fixed.grid.shape, 2]
    first, second = np.moveaxis(read_image(output).data, -1, 0)
    np.testing.assert_allclose(second, 2 * first, rtol=1e-6)


def test_outside_is_filled(pair, call, tmp_path):
    output = str(tmp_path / "warped.nii")
    files = ("-i", pair["moving"], "-r", pair["fixed"], "-t", pair["affine"], "-o", output)
    call("apply", *files, "--outside", "-7", *NUMPY)
    assert read_image(output).data.min() == -7


def test_a_warp_is_inverted_by_brackets(pair, phantom, backend, call, tmp_path):
    output = str(tmp_path / "back.nii.gz")
    through = ("-t", f"[{pair['affine']},1]", "-t", f"[{pair['warp']},1]")
    call("apply", "-i", pair["fixed"], "-r", pair["moving"], *through, "-o", output, *NUMPY)
    warp_, affine = phantom.transform.parts
    back = invert(type(warp_)(warp_.field, warp_.grid), backend=backend) @ affine.inverse()
    expected = warp(phantom.fixed, back, phantom.moving.grid, backend=backend)
    np.testing.assert_allclose(read_image(output).data, expected.data, atol=1e-3 * np.ptp(expected.data))


def test_vectors_are_turned_and_keep_their_layout(pair, phantom, call, refused, tmp_path):
    arrows = Image(
        np.random.default_rng(0).normal(size=(*phantom.moving.grid.shape, 3)).astype("f4"), phantom.moving.grid
    )
    vectors.write_vectors(arrows, tmp_path / "v.nii", vectors.StoredVectors(arrows, 1007, True))
    output = str(tmp_path / "warped.nii.gz")
    files = ("-i", str(tmp_path / "v.nii"), "-r", pair["fixed"], "-t", pair["affine"], "-o", output)
    call("apply", *files, "--vectors", "lps", *NUMPY)
    stored = vectors.read_vectors(output)
    expected = apply(arrows, phantom.fixed, phantom.transform.parts[1], vectors="lps", backend="numpy")
    assert stored.fifth_axis and stored.intent == 1007
    np.testing.assert_allclose(stored.image.data, expected.data, atol=1e-5)
    assert "holds vectors (NIfTI intent 1007)" in refused(2, "apply", *files, *NUMPY)
    call("apply", *files, "--vectors", "none", *NUMPY)
    assert read_image(output).data.shape == expected.data.shape
    assert "interpolation of vectors" in refused(2, "apply", *files, "--vectors", "lps", "--interpolation", "label")


def test_a_slice_is_an_image(call, tmp_path):
    image = Image.from_array(np.random.default_rng(0).normal(size=(20, 24)).astype(np.float32))
    write_image(image, tmp_path / "slice.nii")
    shift = np.eye(4)
    shift[0, 3] = 2
    output = str(tmp_path / "moved.nii")
    name = str(tmp_path / "slice.nii")
    write_transform(Affine(shift), tmp_path / "shift.mat")
    call("apply", "-i", name, "-r", name, "-t", str(tmp_path / "shift.mat"), "-o", output, *NUMPY)
    np.testing.assert_allclose(read_image(output).data[:-2], image.data[2:], atol=1e-6)


@pytest.mark.parametrize("value", ["nan", "inf", "much"])
def test_outside_is_a_finite_number(pair, refused, tmp_path, value):
    files = ("-i", pair["moving"], "-r", pair["fixed"], "-t", pair["affine"], "-o", str(tmp_path / "no.nii"))
    assert "--outside" in refused(2, "apply", *files, "--outside", value)


@pytest.mark.parametrize("missing", ["-i", "-r", "-t"])
def test_missing_file_is_named(pair, refused, tmp_path, missing):
    files = {"-i": pair["moving"], "-r": pair["fixed"], "-t": pair["affine"], "-o": str(tmp_path / "no.nii.gz")}
    files[missing] = str(tmp_path / "absent.nii.gz")
    assert files[missing] in refused(5, "apply", *[word for pairs in files.items() for word in pairs])
    assert list(tmp_path.iterdir()) == []


def test_unwritable_output_is_named(pair, refused, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    output = str(tmp_path / "file" / "warped.nii.gz")
    assert output in refused(5, "apply", "-i", pair["moving"], "-r", pair["fixed"], "-t", pair["affine"], "-o", output)


@pytest.mark.parametrize("name", ["image.mgz", "image.txt", "image"])
def test_a_name_of_another_format_is_refused(pair, refused, tmp_path, name):
    files = ("-i", pair["moving"], "-r", pair["fixed"], "-t", pair["affine"], "-o", str(tmp_path / name))
    assert ".nii.gz" in refused(2, "apply", *files)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("which", ["moving", "fixed"])
def test_an_input_is_never_overwritten(pair, refused, which):
    before = Path(pair[which]).read_bytes()
    files = ("-i", pair["moving"], "-r", pair["fixed"], "-t", f"[{pair['affine']},1]", "-o", pair[which])
    assert "overwrite" in refused(2, "apply", *files)
    assert Path(pair[which]).read_bytes() == before


def test_ome_zarr_goes_in_and_out(pair, phantom, call, refused, tmp_path):
    place, output = tmp_path / "moving.ome.zarr", tmp_path / "warped.ome.zarr"
    moving = Image(phantom.moving.data, Grid(phantom.moving.grid.shape, np.diag([-6.0, 6.0, 6.0, 1.0])))
    write_image(moving, place)
    through = ("-r", str(place), "-t", pair["affine"])
    call("apply", "-i", f"{place}:0", *through, "-o", str(output), *NUMPY)
    expected = apply(moving, moving, phantom.transform.parts[1], backend="numpy")
    np.testing.assert_allclose(read_image(output).data, expected.data, atol=1e-4 * np.ptp(expected.data))
    assert "overwrite" in refused(2, "apply", "-i", f"{place}:0", *through, "-o", str(place))
    assert "vectors are" in refused(5, "apply", "-i", str(place), *through, "-o", str(output), "--vectors", "lps")
    oblique = ("-i", pair["moving"], "-r", pair["moving"], "-t", pair["affine"], "-o", f"{tmp_path}/other.ome.zarr")
    assert "oblique" in refused(5, "apply", *oblique, *NUMPY)
