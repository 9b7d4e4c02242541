from __future__ import annotations

from warpline import registration
from warpline.cli.demo import score
from warpline.cli.main import main
from warpline.io.images import read_image
from warpline.space import Chain


def test_demo_registers_better_than_it_began(tmp_path, call):
    folder = tmp_path / "new" / "demo"
    record = call("demo", "-o", str(folder), "--voxel-size", "5", "--threads", "1")
    assert record["after"]["dice"] > record["before"]["dice"]
    assert record["after"]["error_mm"] < record["before"]["error_mm"]
    assert record["report"]["quality"]["folded_voxels"] == 0
    for path in (*record["inputs"].values(), *record["report"]["outputs"].values()):
        assert (tmp_path / path).stat().st_size > 0
    assert (folder / registration.REPORT).exists()
    assert read_image(record["inputs"]["fixed"]).grid.shape == (38, 45, 38)


def test_demo_ends_with_a_command_that_works(tmp_path, capsys):
    fast = ("--voxel-size", "6", "--recipe", "affine", "--threads", "1")
    assert main(["demo", "-o", str(tmp_path / "demo"), *fast]) == 0
    lines = capsys.readouterr().out.splitlines()
    program, *arguments = lines[-1].split()
    assert program == "warpline"
    assert main(arguments) == 0
    assert any(line.startswith("mean Dice") for line in lines)


def test_the_truth_scores_best(phantom, backend):
    scores = score(phantom, phantom.transform, backend)
    assert scores["after"]["error_mm"] < 1e-6
    assert scores["before"] == score(phantom, Chain(), backend)["after"]
    assert scores["after"]["dice"] > scores["before"]["dice"]


def test_a_folder_that_cannot_be_made_is_refused(tmp_path, refused):
    (tmp_path / "file").write_text("")
    assert "file" in refused(5, "demo", "-q", "-o", str(tmp_path / "file" / "demo"), "--voxel-size", "6")
