"""What a run would do."""

from __future__ import annotations

import json

from cohort_files import command
from warpline.cli.main import main


def test_check_says_what_a_run_would_do(folder, capsys):
    assert main(command(folder, "check", "--json")) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["pairs"], record["done"], record["todo"], record["missing"]) == (2, 2, 0, [])
    assert record["refused"] is None
    assert main(["cohort", "check", f"{folder}/c.tsv", f"{folder}/out"]) == 0
    assert "a run would be refused: 2 finished pairs (sub-01, sub-02)" in capsys.readouterr().out
    assert main(command(folder, "check", "--set", "linear.bins=16")) == 0
    told = capsys.readouterr().out
    assert "2 done with other inputs, recipe or numerics" in told and "to run: 2" in told and "disk: about" in told


def test_check_names_what_is_missing(folder, tmp_path, capsys):
    (tmp_path / "c.tsv").write_text("id\tmoving\tfixed\tage\na\tno.nii\tf.nii\t3\n")
    assert main(["cohort", "check", f"{tmp_path}/c.tsv", f"{tmp_path}/out"]) == 5
    told = capsys.readouterr().out
    assert f"missing: {tmp_path}/no.nii (a)" in told and "copied to the results: age" in told
    assert not (tmp_path / "out").exists()


def test_fields_take_room_where_they_are_kept(folder, capsys):
    def need(*options):
        main(["cohort", "check", f"{folder}/c.tsv", f"{folder}/out", "--recipe", "syn", "--json", *options])
        return json.loads(capsys.readouterr().out)["disk_bytes"]

    plain, velocity = need(), need("--set", "syn.model=velocity")
    assert plain < velocity < 2 * plain
    assert (
        need("--set", "uncertainty.runs=2")
        == need("--warp", "none", "--set", "uncertainty.runs=2") - need("--warp", "none") + plain
    )
    assert need("--warp", "forward", "--set", "syn.model=velocity") == need("--warp", "forward")
