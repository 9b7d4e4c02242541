"""The order of the tutorials, from the first lesson on."""

from __future__ import annotations

from pathlib import Path

LESSONS = (
    "resampling",
    "syn_2d",
    "syn_3d",
    "reading_pages",
    "contrast",
    "lesion",
    "cohort",
    "template",
    "motion",
    "labels",
    "longitudinal",
    "sizes",
    "metric",
)
"""Names of the scripts in `examples/tutorials/`."""


def by_lesson(name: str) -> int:
    """Where a script stands in the gallery."""
    return LESSONS.index(Path(name).stem)
