"""The end of a template: its images, its labels, its page, and the record of all that is known of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from warpline.backends import Backend
from warpline.cohort import Pair
from warpline.cohort.json_files import encode
from warpline.cohort.manifest import abbreviate, format_manifest
from warpline.io.atomic import Transaction
from warpline.io.compression import compress
from warpline.io.images import encode_image
from warpline.io.relative_paths import relative_path
from warpline.registration.provenance import environment
from warpline.template.averages import Mean, sharpness, vote
from warpline.template.fit import CLEAR, MIN_SUBJECTS
from warpline.template.layout import LABELS, PAGE, RECORD, TEMPLATE, channel_name
from warpline.template.pages import encode_page
from warpline.template.records import LeftOut, Member, RoundRecord, Template
from warpline.template.rounds import Averaging
from warpline.template.sequence import Ended, Group, averaging_of
from warpline.template.subjects import inputs_of


def finish(group: Group, ended: Ended, left_out: Sequence[LeftOut], key: str) -> Template:
    """Write everything that a template is, from its last round."""
    last = ended.records[-1]
    stage = group.stages[last.number]
    made = ended.averaged
    if made is None:  # the last round was run by an earlier call
        averaging = averaging_of(group, stage, group.registered(stage), tuple(last.weights.values()))
        mean = mean_of(averaging)
    else:
        averaging, mean = made.averaging, made.mean
    members = [member_of(one, group, last) for one in group.subjects]
    about = {"key": key, "options": group.decided, "left_out": tuple(left_out), "rounds": ended.records}
    return write_template(group.root, averaging, mean, members, settled=ended.settled, **about)


def member_of(subject: Pair, group: Group, last: RoundRecord) -> Member:
    """What is recorded of a subject."""
    checksums = dict(group.members[subject.id])
    return Member(
        subject.id, inputs_from(subject, group.root), checksums, last.fits[subject.id], last.weights[subject.id]
    )


def equal_images(members: Sequence[Member]) -> list[list[str]]:
    """Ids of subjects whose images are the same to the bit."""
    ids: dict[str, list[str]] = {}
    for one in members:
        ids.setdefault(one.sha256["moving"], []).append(one.id)
    return [same for same in ids.values() if len(same) > 1]


def _warnings(members: Sequence[Member], settled: bool, rounds: Sequence[RoundRecord]) -> Iterator[str]:
    count = len(members)
    if not settled:
        last = rounds[-1]
        grey = "" if last.change is None else f" and its grey values changed by {last.change:.1%}"
        yield f"in the last round the shape still moved by {last.shape_mm:.2f} mm{grey}; more --rounds may settle it"
    if count < MIN_SUBJECTS:
        yield f"left and right were not compared: that takes {MIN_SUBJECTS} subjects, these are {count}"
    known = {one.id for one in members}
    undecided = [id for one in rounds for id, alike in one.sides.items() if alike < CLEAR and id in known]
    if undecided:
        yield (
            f"whether left and right are exchanged is undecided in {abbreviate(undecided)}: look at the pictures of "
            f"template and subject side by side, under Subjects in {PAGE}"
        )
    for same in equal_images(members):
        yield f"{' and '.join(same)} are the same image: it counts {len(same)} times"


def inputs_from(subject: Pair, root: Path) -> dict[str, str]:
    """What each file of a subject is, and its path relative to the output folder."""
    return {name: relative_path(path, root) for name, path in inputs_of(subject).items()}


def _table(template: Template, subjects: Sequence[Pair]) -> bytes:
    """The manifest that registers the subjects to the template, its paths relative to the template's folder."""
    labels = "" if template.labels is None else str(template.labels)
    target = {"fixed": str(template.image), "fixed_labels": labels}
    pairs = [
        replace(
            one,
            **target,
            columns={name: relative_path(path, template.folder) for name, path in one.columns.items()},
        )
        for one in subjects
    ]
    return format_manifest(pairs, template.folder).encode()


def _software(backend: Backend) -> dict[str, Any]:
    """Versions and backend, without what differs between machines and threads that give the same template."""
    found = environment(backend, None)
    device = "CPU" if backend.on_host else backend.device
    return {name: found[name] for name in ("warpline", "versions", "python")} | {
        "backend": {"name": backend.name, "device": device}
    }


def mean_of(averaging: Averaging) -> Mean:
    """The mean image of subjects, that of the template."""
    paths = [one.moving for one in averaging.registered.subjects]
    return averaging.image(paths, symmetric=averaging.options.symmetric)


def write_template(
    root: Path, averaging: Averaging, mean: Mean, members: Sequence[Member], *, settled: bool, **about: Any
) -> Template:
    """Average channels and labels, and write them, the mean, the table, the page and the record, all of them or none.

    Parameters
    ----------
    root : Path
        The output folder.
    averaging : Averaging
        How subjects become a mean image.
    mean : Mean
        That of `mean_of`.
    members : sequence of Member
        The subjects, in its order.
    settled : bool
        Whether the shape settled.
    **about
        Further parameters of `Template`.
    """
    subjects = averaging.registered.subjects
    symmetric = averaging.options.symmetric
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
        software=_software(averaging.backend),
        warnings=tuple(_warnings(members, settled, about["rounds"])),
        **about,
    )
    with Transaction() as files:
        files.prepare(template.page.parent)
        files.reserve([*(root / name for name in {*made, LABELS}), template.table, template.page, root / RECORD])
        if LABELS not in made:
            files.discard(root / LABELS)  # of subjects that were removed since
        for name, image in made.items():
            files.write(root / name, compress(encode_image(image)))
        files.write(template.table, _table(template, subjects))
        files.write(template.page, encode_page(template, mean.image, averaging.registered))
        files.write(root / RECORD, encode(template.as_record()))
    return template
