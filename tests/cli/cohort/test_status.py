"""How a run goes."""

from __future__ import annotations

import json

from warpline.cli.main import main


def test_status_shows_progress(folder, capsys):
    assert main(["cohort", "status", f"{folder}/out"]) == 0
    told = capsys.readouterr().out
    assert "2 of 2 done, 0 failed, 0 to do" in told and "2 pairs: not compared with each other" in told
    assert main(["cohort", "status", f"{folder}/out", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ok"] == 2
    assert main(["cohort", "status", f"{folder}/in"]) == 5
