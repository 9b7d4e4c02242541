"""The end of a template: its images, its labels, its page, and the record of all that is known of it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from warpline.cohort import Pair
from warpline.cohort.json_files import encode, read_object
from warpline.io.atomic import Transaction
from warpline.io.compression import compress
from warpline.io.images import encode_image
from warpline.recipe import NUMERICS
from warpline.template.averages import sharpness, vote
from warpline.template.layout import LABELS, PAGE, RECORD, TEMPLATE, channel_name
from warpline.template.records import LeftOut, RoundRecord
from warpline.template.rounds import Averaging
from warpline.template.sequence import Ended, Group, averaging_of
from warpline.template.subjects import Checksums, inputs_of

PARTIAL = 3
"""Exit code where subjects were left out, as where pairs of a cohort failed."""


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
    def page(self) -> Path:
        """The page that shows it."""
        return self.folder / PAGE

    @property
    def exit_code(self) -> int:
        """What the command line returns: 3 where subjects were left out, else 0."""
        return PARTIAL if self.left_out else 0

    def as_record(self) -> dict[str, Any]:
        """Plain values, as ``template.json`` has them."""
        own = {name: getattr(self, name) for name in ("key", "options", "settled", "sharpness", "residual")}
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
        own = {name: found[name] for name in ("key", "options", "settled", "sharpness", "residual")}
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


def finish(group: Group, ended: Ended, left_out: Sequence[LeftOut], key: str) -> Template:
    """Write everything that a template is, from its last round."""
    last = ended.records[-1]
    stage = group.stages[last.number]
    averaging = averaging_of(group, stage, group.registered(stage), tuple(last.weights.values()))
    members = [member_of(one, group, last) for one in group.subjects]
    about = {"key": key, "options": group.decided, "left_out": tuple(left_out), "rounds": ended.records}
    return write_template(group.root, averaging, members, settled=ended.settled, **about)


def member_of(subject: Pair, group: Group, last: RoundRecord) -> Member:
    """What is recorded of a subject."""
    checksums = dict(group.members[subject.id])
    return Member(
        subject.id, inputs_from(subject, group.root), checksums, last.fits[subject.id], last.weights[subject.id]
    )


def inputs_from(subject: Pair, root: Path) -> dict[str, str]:
    """What each file of a subject is, and its path relative to the output folder."""
    return {name: os.path.relpath(path, root) for name, path in inputs_of(subject).items()}


def write_template(
    root: Path, averaging: Averaging, members: Sequence[Member], *, settled: bool, **about: Any
) -> Template:
    """Average all channels and labels, and write them, the page and the record, all of them or none.

    Parameters
    ----------
    root : Path
        The output folder.
    averaging : Averaging
        How subjects become a mean image.
    members : sequence of Member
        The subjects, in its order.
    settled : bool
        Whether the shape settled.
    **about
        Further parameters of `Template`.
    """
    subjects = averaging.registered.subjects
    symmetric = averaging.options.symmetric
    mean = averaging.image([one.moving for one in subjects], symmetric=symmetric)
    made = {TEMPLATE: mean.image}
    for channel in averaging.options.channels:
        paths = [one.columns[channel] for one in subjects]
        made[channel_name(channel)] = averaging.image(paths, symmetric=symmetric).image
    if any(one.moving_labels for one in subjects):
        made[LABELS] = vote(averaging.labels(), averaging.grid)
    template = Template(
        root,
        subjects=tuple(members),
        settled=settled,
        sharpness=sharpness(mean.image),
        residual=mean.residual,
        **about,
    )
    with Transaction() as files:
        files.reserve([*(root / name for name in made), root / RECORD])
        for name, image in made.items():
            files.write(root / name, compress(encode_image(image)))
        files.write(root / RECORD, encode(template.as_record()))
    return template
