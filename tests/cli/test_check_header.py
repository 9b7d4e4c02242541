"""``warpline check-header``."""

from __future__ import annotations

import json

import numpy as np
import pytest

from faulty_headers import flipped, heads
from warpline.cli.main import main
from warpline.io.images import read_image, write_image

NUMBA = ("--backend", "numba", "--threads", "1")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("heads")
    reference, image = heads()
    for name, one in (("reference", reference), ("right", image), ("mirrored", flipped(image, 0))):
        write_image(one, folder / f"{name}.nii.gz")
    return {path.name.partition(".")[0]: str(path) for path in folder.iterdir()}


def test_a_right_header_ends_with_0(files, call):
    record = call("check-header", files["reference"], files["right"], *NUMBA)
    assert record["outcome"] == "consistent" and record["proposed_affine"] is None and record["findings"] == []


def test_a_wrong_one_is_said_and_mended(files, tmp_path, capsys):
    copy = tmp_path / "mended.nii.gz"
    arguments = ["check-header", files["reference"], files["mirrored"], "--write", str(copy), *NUMBA]
    assert main(arguments) == 8
    shown = capsys.readouterr().out
    assert "doubtful, seen from" in shown and "its axis i (left-right by the header) is flipped" in shown
    assert f"wrote {copy}" in shown and "third image" in shown
    mended, broken = read_image(copy), read_image(files["mirrored"])
    assert (mended.data == broken.data).all() and mended.data.dtype == broken.data.dtype
    np.testing.assert_allclose(mended.affine[:3, :3], np.diag([-5.0, 5.0, 5.0]))
    assert main(arguments) == 2 and "exists already" in capsys.readouterr().err


def test_the_record_has_everything(files, capsys):
    assert main(["check-header", files["reference"], files["mirrored"], "--json", *NUMBA]) == 8
    record = json.loads(capsys.readouterr().out)
    (finding,) = record["findings"]
    assert finding["kind"] == "handedness" and record["written"] is None
    np.testing.assert_allclose(np.linalg.det(np.array(record["proposed_affine"])[:3, :3]), -125.0)
    assert record["measures"]["best_correlation"] > record["measures"]["correlation"]


def test_nothing_is_written_where_nothing_is_wrong(files, tmp_path, capsys):
    copy = tmp_path / "mended.nii.gz"
    assert main(["check-header", files["reference"], files["right"], "--write", str(copy), *NUMBA]) == 0
    assert "nothing to mend" in capsys.readouterr().out and not copy.exists()


def test_inputs_are_not_overwritten(files, refused):
    assert "overwrite" in refused(2, "check-header", files["reference"], files["right"], "--write", files["right"])
    assert "no name for an image" in refused(2, "check-header", files["reference"], files["right"], "--write", "a.txt")
    assert "does not exist" in refused(5, "check-header", files["reference"], "absent.nii")
