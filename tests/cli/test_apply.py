from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from warpline.cli.apply import ORDERS, read_chain
from warpline.image import Image
from warpline.io.images import read_image, write_image
from warpline.resampling import warp

NUMPY = ("--backend", "numpy")


@pytest.mark.parametrize("interpolation", ["linear", "nearest", "cubic"])
def test_result_is_that_of_one_interpolation(pair, phantom, backend, call, tmp_path, interpolation):
    output = str(tmp_path / "warped.nii.gz")
    files = ("-i", pair["moving"], "-r", pair["fixed"], "-t", pair["warp"], "-t", pair["affine"], "-o", output)
    record = call("apply", *files, "--interpolation", interpolation, *NUMPY)
    expected = warp(phantom.moving, phantom.transform, phantom.fixed.grid, order=ORDERS[interpolation], backend=backend)
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


def test_chain_maps_points_as_the_truth_does(pair, phantom):
    chain = read_chain([pair["warp"], pair["affine"]])
    np.testing.assert_allclose(chain.map_points(phantom.fixed_points), phantom.moving_points, atol=1e-3)


def test_a_field_cannot_be_inverted_by_its_name(pair, refused, tmp_path):
    files = ("-i", pair["fixed"], "-r", pair["moving"], "-t", f"[{pair['warp']},1]", "-o", str(tmp_path / "no.nii.gz"))
    assert "cannot be inverted" in refused(2, "apply", *files)


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
