"""A manifest from the files there are."""

from __future__ import annotations

from warpline.cli.main import main


def test_the_manifest_holds_relative_paths(folder):
    header, first, _ = (folder / "c.tsv").read_text().splitlines()
    assert header == "id\tmoving\tfixed\tmoving_labels\tfixed_labels"
    cells = ["sub-01", "in/sub-01_T1w.nii", "in/fixed.nii", "in/sub-01_dseg.nii", "in/fixed_dseg.nii"]
    assert first.split("\t") == cells


def test_a_fixed_image_among_the_moving_ones_is_left_out(folder, capsys):
    images = f"{folder}/in/{{id}}_T1w.nii"
    assert main(["cohort", "init", images, "--fixed", f"{folder}/in/sub-01_T1w.nii"]) == 0
    told = capsys.readouterr()
    assert [text.split("\t")[0] for text in told.out.splitlines()] == ["id", "sub-02"]
    assert told.err.count("it is left out, no pair sub-01") == 1


def test_init_writes_to_stdout_too(folder, capsys):
    assert main(["cohort", "init", f"{folder}/in/{{id}}_T1w.nii", "--all-pairs"]) == 0
    assert [text.split("\t")[0] for text in capsys.readouterr().out.splitlines()] == [
        "id",
        "sub-01-to-sub-02",
        "sub-02-to-sub-01",
    ]
