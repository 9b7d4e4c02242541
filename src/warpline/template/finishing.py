"""The end of a template: its images, its labels, its page, and the record of all that is known of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from warpline.cohort import Pair
from warpline.cohort.json_files import encode
from warpline.io.atomic import Transaction
from warpline.io.compression import compress
from warpline.io.images import encode_image
from warpline.io.relative_paths import relative_path
from warpline.template.averages import sharpness, vote
from warpline.template.fit import MIN_SUBJECTS
from warpline.template.layout import LABELS, RECORD, TEMPLATE, channel_name
from warpline.template.pages import encode_page
from warpline.template.records import LeftOut, Member, RoundRecord, Template
from warpline.template.rounds import Averaging
from warpline.template.sequence import Ended, Group, averaging_of
from warpline.template.subjects import inputs_of


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


def _warnings(count: int, settled: bool, rounds: Sequence[RoundRecord]) -> Iterator[str]:
    if not settled:
        last = rounds[-1]
        grey = "" if last.change is None else f" and its grey values changed by {last.change:.1%}"
        yield f"in the last round the shape still moved by {last.shape_mm:.2f} mm{grey}; more --rounds may settle it"
    if count < MIN_SUBJECTS:
        yield f"left and right were not compared: that takes {MIN_SUBJECTS} subjects, these are {count}"


def inputs_from(subject: Pair, root: Path) -> dict[str, str]:
    """What each file of a subject is, and its path relative to the output folder."""
    return {name: relative_path(path, root) for name, path in inputs_of(subject).items()}


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
        warnings=tuple(_warnings(len(members), settled, about["rounds"])),
        **about,
    )
    with Transaction() as files:
        files.prepare(template.page.parent)
        files.reserve([*(root / name for name in made), template.page, root / RECORD])
        for name, image in made.items():
            files.write(root / name, compress(encode_image(image)))
        files.write(template.page, encode_page(template, mean.image, averaging.registered.thumbnails()))
        files.write(root / RECORD, encode(template.as_record()))
    return template
