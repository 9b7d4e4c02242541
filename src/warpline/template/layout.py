"""Where the files of a template lie in its output folder."""

from __future__ import annotations

from pathlib import Path

RECORD = "template.json"
"""Everything that is known of the template; written last, it means done."""

TEMPLATE = "template.nii.gz"
LABELS = "template_labels.nii.gz"
SUBJECTS = "template_subjects.tsv"
"""The subjects in the template, as a manifest of pairs with it."""
LEFT_OUT = "left_out.json"
ROUNDS = "rounds"
ROUND = "round.json"
"""The record of a round, in its folder; written last, it means done."""

STARTS = "starts"
CHECKSUMS = "checksums.json"
"""Of the images that starts belong to, in their folder."""
ADDED = "rounds/added"
"""Output folder of the linear registrations of subjects that were added later."""

PAGE = "report/index.html"

FEWEST = 2
"""Subjects that make a template."""

SPACE = "template"
"""What names of files call the template."""


def round_folder(root: Path, number: int) -> Path:
    """The folder of a round."""
    return root / ROUNDS / f"{number:02d}"


def channel_name(channel: str) -> str:
    """The file of the mean of a further channel."""
    return f"template_{channel}.nii.gz"
