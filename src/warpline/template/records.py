"""What is known of a template, as plain values: of every round, of every subject in it, of those left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from warpline.cohort.json_files import read_object


@dataclass(frozen=True)
class LeftOut:
    """A subject that the template was made without.

    Parameters
    ----------
    id : str
        Of the subject.
    reason : str
        Why, in words.

    Examples
    --------
    >>> from warpline.template import LeftOut
    >>> LeftOut("sub-03", "left and right are exchanged").id
    'sub-03'
    """

    id: str
    reason: str


@dataclass(frozen=True)
class RoundRecord:
    """What a round did.

    Parameters
    ----------
    number : int
        From 0, the mean of centred subjects, on.
    key : str
        Digest of everything that the round follows from.
    kind : str
        ``"centred"``, ``"linear"`` or ``"deformable"``.
    voxel : float
        Voxel size of its template, in mm.
    shape_mm : float
        Mean displacement of the update of the shape, inside the foreground, in mm.
    change : float
        Mean change of the intensities, as a share of their mean; None where the grid is another one.
    sharpness : float
        Of its template, see `warpline.template.averages.sharpness`, in 1/mm.
    residual : float
        What subjects differ from the mean by, as a share of its mean.
    fits, weights : dict
        Of every subject.

    Examples
    --------
    >>> from warpline.template import RoundRecord
    >>> RoundRecord(0, "", "centred", 4.0, None, None, 0.05, None, {}, {}).voxel
    4.0
    """

    number: int
    key: str
    kind: str
    voxel: float
    shape_mm: float | None
    change: float | None
    sharpness: float
    residual: float | None
    fits: Mapping[str, float]
    weights: Mapping[str, float]

    def as_record(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def read(cls, path: Path) -> RoundRecord | None:
        """From a file; None where it is missing or damaged."""
        found = read_object(path)
        names = [one.name for one in fields(cls)]
        return cls(**{name: found[name] for name in names}) if found.keys() >= set(names) else None
