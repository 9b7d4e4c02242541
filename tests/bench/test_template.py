"""The judgement of templates."""

from __future__ import annotations

import template as bench


def test_a_template_is_compared_with_that_of_who_stayed(tmp_path, monkeypatch):
    given = []

    def built(command):
        out = tmp_path / "alone"
        out.mkdir()
        (out / "template.nii.gz").write_bytes(b"mean")
        given.extend(path for path in command if path.endswith("_t1.nii.gz"))

    (tmp_path / "warpline").mkdir()
    (tmp_path / "warpline" / "template.nii.gz").write_bytes(b"mean")
    monkeypatch.setattr(bench, "timed", built)
    subjects = [(f"sub-{number}_t1.nii.gz", "") for number in ("01", "02", "03")]
    assert bench.same_without(subjects, {"sub-02"}, tmp_path, 1)
    assert given == ["sub-01_t1.nii.gz", "sub-03_t1.nii.gz"]
    (tmp_path / "warpline" / "template.nii.gz").write_bytes(b"other")
    assert not bench.same_without(subjects, {"sub-02"}, tmp_path, 1)
