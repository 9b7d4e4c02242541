"""What is known of a template, as plain values: of every round, of every subject in it, of those left out."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from warpline.cohort import Pair
from warpline.cohort.json_files import read_object
from warpline.recipe import NUMERICS
from warpline.template.layout import LABELS, PAGE, RECORD, SUBJECTS, TEMPLATE, channel_name
from warpline.template.subjects import Checksums

OWN = ("key", "options", "settled", "sharpness", "residual", "software")
"""What the record of a template has as the template itself."""

PARTIAL = 3
"""Exit code where subjects were left out, as where pairs of a cohort failed."""


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
    sides : dict
        How what left and right differ in agrees with the others, -1 to 1, of every subject where it was compared.

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
    sides: Mapping[str, float] = field(default_factory=dict)

    def as_record(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def read(cls, path: Path) -> RoundRecord | None:
        """From a file; None where it is missing or damaged."""
        found = read_object(path)
        names = [one.name for one in fields(cls)]
        return cls(**{name: found[name] for name in names}) if found.keys() >= set(names) else None


@dataclass(frozen=True)
class Member:
    """A subject of a template.

    Parameters
    ----------
    id : str
        What it is called.
    inputs : dict
        What each of its files is, and its path relative to the output folder.
    sha256 : dict
        Checksums of these.
    fit : float
        Correlation with the weighted mean of the other subjects, after registration.
    weight : float
        In the mean, from 0 to 1.

    Examples
    --------
    >>> from warpline.template import Member
    >>> Member("sub-01", {"moving": "../sub-01_T1w.nii.gz"}, {}, fit=0.9, weight=1.0).id
    'sub-01'
    """

    id: str
    inputs: Mapping[str, str]
    sha256: Checksums
    fit: float
    weight: float

    def subject(self, root: Path) -> Pair:
        """The subject, with absolute paths."""
        paths = {name: os.path.normpath(root / path) for name, path in self.inputs.items()}
        columns = {name.removeprefix("channel "): path for name, path in paths.items() if name.startswith("channel ")}
        return Pair(self.id, **{name: path for name, path in paths.items() if "channel " not in name}, columns=columns)


@dataclass(frozen=True)
class Template:
    """A finished template.

    Parameters
    ----------
    folder : Path
        Its output folder.
    key : str
        Digest of the subjects and options that it was built of.
    options : dict
        Those that decide what it looks like.
    subjects : tuple of Member
        Who is in it.
    left_out : tuple of LeftOut
        Who is not, and why.
    rounds : tuple of RoundRecord
        What the rounds did.
    settled : bool
        Whether its shape settled within them.
    sharpness : float
        Mean length of the gradient in its foreground, over the mean there, in 1/mm.
    residual : float
        Root mean square of what subjects differ from it by, over its mean.
    software : dict
        Versions and backend of the run that wrote it.
    warnings : tuple of str
        What there is to doubt.

    Examples
    --------
    >>> from warpline import template
    >>> made = template.read_template("out")  # doctest: +SKIP
    >>> made.image, made.exit_code  # doctest: +SKIP
    (PosixPath('out/template.nii.gz'), 0)
    """

    folder: Path
    key: str
    options: Mapping[str, Any]
    subjects: tuple[Member, ...]
    left_out: tuple[LeftOut, ...]
    rounds: tuple[RoundRecord, ...]
    settled: bool
    sharpness: float
    residual: float
    software: Mapping[str, Any]
    warnings: tuple[str, ...] = ()

    @property
    def image(self) -> Path:
        """The file of the template."""
        return self.folder / TEMPLATE

    @property
    def labels(self) -> Path | None:
        """The file of its labels; None where no subject has some."""
        path = self.folder / LABELS
        return path if any("moving_labels" in one.inputs for one in self.subjects) else None

    @property
    def images(self) -> dict[str, Path]:
        """The files of the template, its labels and its channels, where it has them, by what they are."""
        channels = {name: self.folder / channel_name(name) for name in self.options["channels"]}
        labels = {} if self.labels is None else {"labels": self.labels}
        return {"template": self.image, **labels, **channels}

    @property
    def table(self) -> Path:
        """The manifest that registers its subjects to it; folders of earlier versions have none."""
        return self.folder / SUBJECTS

    @property
    def page(self) -> Path:
        """The page that shows it."""
        return self.folder / PAGE

    @property
    def exit_code(self) -> int:
        """What the command line returns: 3 where subjects were left out, else 0."""
        return PARTIAL if self.left_out else 0

    def as_record(self) -> dict[str, Any]:
        """Plain values, as ``template.json`` has them."""
        own = {name: getattr(self, name) for name in OWN}
        return {
            **own,
            "numerics": NUMERICS,
            "warnings": list(self.warnings),
            "subjects": [vars(one) for one in self.subjects],
            "left_out": [vars(one) for one in self.left_out],
            "rounds": [one.as_record() for one in self.rounds],
        }


def read_template(folder: str | os.PathLike[str]) -> Template | None:
    """The finished template in an output folder; None where there is none.

    Parameters
    ----------
    folder : path
        The output folder of `build`.

    Examples
    --------
    >>> from warpline import template
    >>> template.read_template("nowhere") is None
    True
    """
    root = Path(os.path.abspath(folder))
    found = read_object(root / RECORD)
    try:
        own = {name: found[name] for name in OWN}
        return Template(
            root,
            **own,
            subjects=tuple(Member(**one) for one in found["subjects"]),
            left_out=tuple(LeftOut(**one) for one in found["left_out"]),
            rounds=tuple(RoundRecord(**one) for one in found["rounds"]),
            warnings=tuple(found["warnings"]),
        )
    except (KeyError, TypeError):  # missing, damaged, or of another version
        return None
