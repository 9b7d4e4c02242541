"""JSON files that never end, are too long or damaged."""

from __future__ import annotations

import os

from warpline.cohort.json_files import MAX_BYTES, read_object


def test_json_that_never_ends_counts_as_missing(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "long").touch()
    os.truncate(tmp_path / "long", MAX_BYTES + 1)
    assert [read_object(tmp_path / name) for name in ("pipe", "zero", "long", "none", "\0")] == [{}] * 5
