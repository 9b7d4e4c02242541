"""Names of the files of a template."""

from __future__ import annotations

from pathlib import Path

from warpline.template.layout import channel_name, round_folder


def test_names():
    assert round_folder(Path("out"), 3) == Path("out/rounds/03")
    assert channel_name("T2w") == "template_T2w.nii.gz"
