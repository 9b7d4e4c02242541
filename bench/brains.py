"""Pairs of labelled brains on disk, cropped once so that every tool reads the same files."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

DEVELOPMENT_PAIRS = ("01,02", "03,04", "05,06", "07,08", "09,10")
IMAGE = "t1_brain.nii.gz"
LABELS = "labels.nii.gz"


@dataclass(frozen=True)
class Brain:
    """One subject: paths of its T1 image and of its labels."""

    image: str
    labels: str


@dataclass(frozen=True)
class Job:
    """One tool with its settings on one pair: everything a child process needs to know."""

    tool: str
    fixed: Brain
    moving: Brain
    work: str
    threads: int
    settings: dict[str, Any]

    def file(self, name: str) -> str:
        """Path of a file that the tool leaves in its own work folder."""
        return str(Path(self.work) / name)

    def to_dict(self) -> dict[str, object]:
        """Return the job as plain values, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Job:
        """Build a job from what `to_dict` gave."""
        brains = {side: Brain(**values[side]) for side in ("fixed", "moving")}
        return cls(**{**values, **brains})


def prepare(data: Path, subject: str, into: Path, margin: int) -> Brain:
    """Crop one subject to its brain plus `margin` voxels (negative: keep the whole volume).

    Parameters
    ----------
    data : Path
        Folder that holds ``sub-<subject>/t1_brain.nii.gz`` and ``labels.nii.gz``.
    subject : str
        Two digits, as in the folder name.
    into : Path
        Where the cropped files are written; files already there are kept.
    margin : int
        Background kept around the brain on every side, in voxels.
    """
    source = data / f"sub-{subject}"
    target = into / f"sub-{subject}-margin{margin}"
    brain = Brain(image=str(target / IMAGE), labels=str(target / LABELS))
    if Path(brain.labels).exists():
        return brain
    target.mkdir(parents=True, exist_ok=True)
    image, labels = nib.load(source / IMAGE), nib.load(source / LABELS)
    box = brain_box(np.asanyarray(image.dataobj), margin)
    _save(image.slicer[box], np.float32, target / IMAGE)
    _save(labels.slicer[box], np.int16, target / LABELS)
    return brain


def brain_box(image: np.ndarray, margin: int) -> tuple[slice, ...]:
    """Return the slices around all nonzero voxels, grown by `margin` and clipped to the volume."""
    if margin < 0:
        return tuple(slice(0, size) for size in image.shape)
    corners = [(np.min(where), np.max(where) + 1) for where in np.nonzero(image)]
    return tuple(
        slice(max(0, int(low) - margin), min(size, int(high) + margin))
        for (low, high), size in zip(corners, image.shape, strict=True)
    )


def _save(image: nib.Nifti1Image, dtype: type, path: Path) -> None:
    data = np.asanyarray(image.dataobj)
    values = np.rint(data) if np.issubdtype(dtype, np.integer) else data
    nib.save(nib.Nifti1Image(values.astype(dtype), image.affine), path)


def load_labels(path: str) -> np.ndarray:
    """Read a label image as int32."""
    return np.rint(np.asanyarray(nib.load(path).dataobj)).astype(np.int32)
