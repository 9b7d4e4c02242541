"""How a template goes, from the command line."""

from __future__ import annotations

import json

from warpline.cli.main import main


def test_finished_and_unfinished_templates(out, tmp_path, capsys):
    assert main(["template", "status", str(out)]) == 0
    assert "sub-0" in capsys.readouterr().out
    (out / "template.json").unlink()
    assert main(["template", "status", str(out), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert not record["finished"] and len(record["rounds"]) == 4
    assert main(["template", "status", str(tmp_path)]) == 5
