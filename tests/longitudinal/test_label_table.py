"""Growth of labels as text."""

from __future__ import annotations

from warpline.longitudinal.label_table import growth_table


def test_what_is_not_known_is_said():
    row = {
        "label": 4, "from": "a", "to": "b", "years": None, "volume_from": 100.0, "volume_to": 105.0,
        "growth_percent": 5.0, "growth_percent_per_year": None,
    }  # fmt: skip
    header, line = growth_table({"unit": "mm3", "growth": [row]}).splitlines()
    assert header.split("\t")[3:6] == ["years", "from_mm3", "to_mm3"]
    assert line.split("\t") == ["4", "a", "b", "n/a", "100", "105", "5", "n/a"]
