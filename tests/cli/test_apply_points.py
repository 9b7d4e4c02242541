"""Points, streamlines and surfaces, in the direction that is named."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
from nibabel.gifti import GiftiDataArray, GiftiImage
from nibabel.streamlines import Tractogram

from warpline.io.points import read_points
from warpline.io.streamlines import read_streamlines


@pytest.fixture
def through(pair):
    return ("-t", pair["warp"], "-t", pair["affine"])


def test_landmarks_arrive_at_their_partners(pair, phantom, through, call, tmp_path):
    there, back = str(tmp_path / "there.csv"), str(tmp_path / "back.csv")
    record = call("apply-points", "-i", pair["fixed_points"], *through, "--to", "moving", "-o", there)
    assert record == {"output": there, "points": len(phantom.fixed_points), "to": "moving", "space": "ras"}
    np.testing.assert_allclose(read_points(there), phantom.moving_points, atol=2e-3)
    call("apply-points", "-i", there, *through, "--to", "fixed", "-o", back)
    np.testing.assert_allclose(read_points(back), phantom.fixed_points, atol=1e-4)


def test_lps_tables_stay_lps(pair, through, call, tmp_path):
    point = read_points(pair["fixed_points"])[:1]
    lps = tmp_path / "lps.csv"
    lps.write_text("x,y,z,t\n" + ",".join(f"{value:.6f}" for value in point[0] * (-1, -1, 1)) + ",0\n")
    call("apply-points", "-i", str(lps), *through, "--to", "moving", "-o", f"{tmp_path}/out.csv", "--space", "lps")
    (tmp_path / "ras.csv").write_text(",".join(f"{value:.6f}" for value in point[0]) + "\n")
    call("apply-points", "-i", f"{tmp_path}/ras.csv", *through, "--to", "moving", "-o", f"{tmp_path}/ras_out.csv")
    expected = read_points(f"{tmp_path}/ras_out.csv") * (-1, -1, 1)
    np.testing.assert_allclose(read_points(f"{tmp_path}/out.csv"), expected, atol=2e-6)


@pytest.mark.parametrize("suffix", ["trk", "tck"])
def test_streamlines_go_to_the_image_that_is_named(pair, phantom, through, call, tmp_path, suffix):
    lines = [phantom.moving_points[:3].astype(np.float32), phantom.moving_points[3:8].astype(np.float32)]
    nibabel.streamlines.save(Tractogram(lines, affine_to_rasmm=np.eye(4)), tmp_path / "bundle.tck")
    output = str(tmp_path / f"moved.{suffix}")
    files = ("-i", str(tmp_path / "bundle.tck"), "-o", output)
    record = call("apply-points", *files, *through, "--to", "fixed", "--fixed", pair["fixed"])
    moved = read_streamlines(output)
    assert record["points"] == 8 and len(moved) == 2
    np.testing.assert_allclose(moved.points, phantom.fixed_points[:8], atol=5e-3)
    if suffix == "trk":
        header = nibabel.streamlines.load(output, lazy_load=True).header
        np.testing.assert_allclose(header["voxel_to_rasmm"], phantom.fixed.affine, atol=1e-5)


def test_surfaces_keep_their_triangles(pair, phantom, through, call, tmp_path):
    arrays = [
        GiftiDataArray(phantom.fixed_points[:3].astype(np.float32), intent="NIFTI_INTENT_POINTSET"),
        GiftiDataArray(np.array([[0, 1, 2]], np.int32), intent="NIFTI_INTENT_TRIANGLE"),
    ]
    nibabel.save(GiftiImage(darrays=arrays), tmp_path / "lh.surf.gii")
    output = str(tmp_path / "moved.surf.gii")
    call("apply-points", "-i", f"{tmp_path}/lh.surf.gii", *through, "--to", "moving", "-o", output)
    points, triangles = nibabel.load(output).agg_data(("pointset", "triangle"))
    np.testing.assert_allclose(points, phantom.moving_points[:3], atol=5e-3)
    np.testing.assert_array_equal(triangles, [[0, 1, 2]])


@pytest.mark.parametrize(
    ("code", "change", "words"),
    [
        (2, {"-i": "points.xyz"}, "ends in none of .csv"),
        (2, {"-o": "points.trk"}, "another kind of file"),
        (2, {"-i": "a.trk", "-o": "b.trk"}, "give --moving IMAGE"),
        (2, {"-i": "a.trk", "-o": "b.tck", "--space": "lps"}, "--space lps is for tables"),
        (5, {"-i": "absent.csv"}, "absent.csv does not exist"),
        (5, {"-i": "absent.tck", "-o": "b.tck"}, "absent.tck does not exist"),
        (5, {"-i": "absent.surf.gii", "-o": "b.surf.gii"}, "absent.surf.gii does not exist"),
        (5, {"-t": "absent.mat"}, "absent.mat does not exist"),
        (2, {"--to": "template"}, "--to"),
    ],
)
def test_what_does_not_fit_is_said_and_nothing_is_written(pair, refused, tmp_path, monkeypatch, code, change, words):
    monkeypatch.chdir(tmp_path)
    options = {"-i": pair["fixed_points"], "-t": pair["affine"], "--to": "moving", "-o": "out.csv"} | change
    assert words in refused(code, "apply-points", *[word for entry in options.items() for word in entry])
    assert list(tmp_path.iterdir()) == []


def test_an_input_is_never_overwritten(pair, refused):
    files = ("-i", pair["fixed_points"], "-o", pair["fixed_points"])
    assert "overwrite" in refused(2, "apply-points", *files, "-t", pair["affine"], "--to", "moving")


def test_points_that_have_no_origin_are_warned_of(pair, capsys, tmp_path, phantom):
    from warpline.cli.main import main
    from warpline.io.transform_files import write_transform
    from warpline.space import Displacement

    grid = phantom.fixed.grid
    shifted = Displacement(np.full((3, *grid.shape), 90, np.float32), grid)
    write_transform(shifted, tmp_path / "shifted.nii.gz")
    files = ("-i", pair["fixed_points"], "-o", f"{tmp_path}/out.csv", "-t", f"{tmp_path}/shifted.nii.gz")
    assert main(["apply-points", *files, "--to", "fixed"]) == 0
    assert "have no exact preimage" in capsys.readouterr().err
