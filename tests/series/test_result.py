"""Files of a series."""

from __future__ import annotations

import json
from xml.dom import minidom

import nibabel
import numpy as np
import pytest

import warpline
from made_series import largest_error
from warpline.errors import OutputError, UsageError
from warpline.io.transform_files.itk_text import read_affines
from warpline.series import register_series
from warpline.series.motion import COLUMNS
from warpline.series.result import ENDINGS

NUMPY = {"backend": "numpy", "threads": 1}


@pytest.fixture(scope="module")
def found(bold):
    return register_series(bold, reference="first", **NUMPY)


def test_saved_files_hold_what_was_found(found, bold, tmp_path):
    paths = found.save(f"{tmp_path}/sub_")
    assert set(paths) == ENDINGS.keys() - {"coregistration", "bvec"}
    moved, given = nibabel.load(paths["moved"]), nibabel.load(bold)
    np.testing.assert_allclose(moved.get_fdata(dtype=np.float32), found.moved().data, rtol=1e-6)
    np.testing.assert_array_equal(moved.affine, given.affine)
    assert moved.header.get_zooms() == given.header.get_zooms()
    assert moved.header.get_xyzt_units() == ("mm", "sec")
    assert moved.header["descrip"] == b"measured"
    assert moved.get_data_dtype() == np.float32
    saved = [one.matrix for one in read_affines(paths["transforms"])]
    np.testing.assert_allclose(saved, found.matrices, atol=1e-12)
    rows = paths["motion"].read_text().splitlines()
    assert tuple(rows[0].split("\t")) == COLUMNS
    assert len(rows) == 1 + found.series.count
    assert minidom.parse(str(paths["plot"])).documentElement.tagName == "svg"
    report = json.loads(paths["report"].read_text())
    assert report["outputs"] == {kind: str(path) for kind, path in paths.items() if kind != "report"}
    assert report["series"]["repetition_time"] == 1.5
    assert {"numpy", "scipy"} <= report["versions"].keys()


def test_moved_volumes_are_alike(found, made):
    before, after = made.data / (1 + 0.02 * np.arange(6)), found.moved().data / (1 + 0.02 * np.arange(6))
    inside = (slice(5, -5),) * 3
    assert after[inside].std(axis=-1).mean() < 0.3 * before[inside].std(axis=-1).mean()


def test_stored_type_and_scaling_can_be_kept(bold, tmp_path):
    path = register_series(bold, reference="first", values="stored", **NUMPY).save(f"{tmp_path}/")["moved"]
    moved = nibabel.load(path)
    assert moved.get_data_dtype() == np.int16
    assert (moved.dataobj.slope, moved.dataobj.inter) == (0.5, 0)
    assert np.corrcoef(moved.get_fdata()[..., 0].ravel(), nibabel.load(bold).get_fdata()[..., 0].ravel())[0, 1] > 0.999


def test_results_do_not_replace_the_series(found, bold):
    folder = bold.parent
    moved = folder / ENDINGS["moved"]
    moved.write_bytes(bold.read_bytes())
    again = register_series(moved, reference="first", **NUMPY)
    with pytest.raises(UsageError, match="overwrite"):
        again.save(f"{folder}/")


def test_nothing_stays_of_a_run_that_fails(made, tmp_path, monkeypatch):
    found = register_series((made.data, made.grid.affine), reference="first", **NUMPY)

    def broken(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("warpline.series.result.itk_text.encode_affines", broken)
    with pytest.raises((OutputError, OSError)):
        found.save(f"{tmp_path}/new/sub_")
    assert not (tmp_path / "new").exists()


def test_transforms_map_the_reference_to_volumes(found, made):
    assert isinstance(found.transforms[1], warpline.Affine)
    assert largest_error([one.matrix for one in found.transforms], made.matrices, made.grid) < 0.1
