"""Records of rounds."""

from __future__ import annotations

from warpline.cohort.json_files import write_json
from warpline.template import RoundRecord

RECORD = RoundRecord(2, "k", "deformable", 2.0, 0.4, None, 0.1, 0.2, {"a": 0.9}, {"a": 1.0})


def test_a_record_comes_back_and_damage_is_no_record(tmp_path):
    path = tmp_path / "round.json"
    assert RoundRecord.read(path) is None
    write_json(path, RECORD.as_record())
    assert RoundRecord.read(path) == RECORD
    path.write_text(path.read_text()[:40])
    assert RoundRecord.read(path) is None
