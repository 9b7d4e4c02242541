"""Sidecars of the images that a pair leaves, as BIDS-Derivatives asks for them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from warpline.cohort.json_lines import read_object
from warpline.cohort.tasks import Task

_STRIPPED = re.compile(r"desc-brain_|[_-](brain|bet|stripped|ss)[_.-]", re.IGNORECASE)
"""Names that people give images without a skull."""


def image_sidecars(task: Task, report: Mapping[str, Any], *, labels: bool) -> dict[str, Callable[[], bytes]]:
    """What each sidecar is, to what makes its content.

    Parameters
    ----------
    task : Task
        The pair.
    report : dict
        Its report, with ``SpatialReference`` and ``inputs`` by paths relative to the output folder.
    labels : bool
        Whether labels were carried over.
    """
    common = {"SpatialReference": report["SpatialReference"]}
    stripped, why = skull_stripped(task.pair.moving)
    image = {
        "Description": f"{task.place.source} image in the space of {task.place.space}",
        "Sources": [report["inputs"]["moving"]["path"]],
        **common,
        "SkullStripped": stripped,
        "SkullStrippedBecause": why,
    }
    found: dict[str, Callable[[], bytes]] = {"warped_sidecar": partial(_encoded, image)}
    if labels:
        sources = [report["inputs"]["moving_labels"]["path"]]
        segmentation = {"Description": f"labels in the space of {task.place.space}", "Sources": sources, **common}
        found["warped_labels_sidecar"] = partial(_encoded, segmentation)
    return found


def skull_stripped(path: str) -> tuple[bool, str]:
    """Whether an image shows a brain without its skull, and why that is thought: its sidecar, its name, or neither."""
    stem = re.sub(r"(\.nii|\.mgz|\.mgh|\.img|\.hdr)?(\.gz)?$", "", path, flags=re.IGNORECASE)
    said = (read_object(Path(f"{stem}.json")) or {}).get("SkullStripped")
    if isinstance(said, bool):
        return said, "the sidecar of the image says so"
    if _STRIPPED.search(f"{os.path.basename(stem)}."):
        return True, "the name of the image says so"
    return False, "assumed: neither a sidecar of the image nor its name says otherwise"


def _encoded(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, indent=2).encode() + b"\n"
