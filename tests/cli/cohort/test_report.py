"""``warpline cohort report``: tables and pages written anew."""

from __future__ import annotations

import shutil

from warpline.cli.main import main


def test_tables_are_written_anew(folder, tmp_path, capsys):
    out = shutil.copytree(folder, tmp_path / "copy") / "out"
    before = (out / "results.tsv").read_text()
    (out / "results.tsv").unlink()
    assert main(["cohort", "report", str(out)]) == 0
    told = capsys.readouterr().out
    assert "wrote" in told and "2 pairs: not compared with each other" in told
    assert (out / "results.tsv").read_text() == before


def test_a_folder_without_a_run_is_named(tmp_path, capsys):
    assert main(["cohort", "report", str(tmp_path)]) == 5
    assert "no cohort was run there" in capsys.readouterr().err
