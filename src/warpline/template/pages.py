"""What the page of a template shows, gathered from its record and its files."""

from __future__ import annotations

from collections.abc import Sequence

from warpline.images import Image
from warpline.io.images import read_image
from warpline.report.template_page import PageRound, PageSubject, cuts, template_page
from warpline.template.layout import TEMPLATE, round_folder
from warpline.template.records import Template
from warpline.template.rounds import Registered

MOST_PICTURES = 100
"""Subjects with a picture, those of the worst fit."""


def encode_page(made: Template, image: Image, registered: Registered) -> bytes:
    """The page of a template.

    Parameters
    ----------
    made : Template
        What is recorded of it.
    image : Image
        The template itself.
    registered : Registered
        Its subjects.
    """
    rounds = [
        PageRound(
            **{name: getattr(one, name) for name in ("number", "kind", "voxel", "shape_mm", "change", "sharpness")},
            residual=one.residual,
            picture=cuts(read_image(round_folder(made.folder, one.number) / TEMPLATE)),
        )
        for one in made.rounds
    ]
    worst = sorted(made.subjects, key=lambda one: (one.fit, one.id))
    shown = {one.id for one in worst[:MOST_PICTURES]}
    pictures = {one.id: registered.thumbnail(one) for one in registered.subjects if one.id in shown}
    subjects = [PageSubject(one.id, one.fit, one.weight, pictures.get(one.id, b"")) for one in made.subjects]
    return template_page(
        made.folder.name,
        rounds,
        subjects,
        final=cuts(image),
        left_out=[(one.id, one.reason) for one in made.left_out],
        facts=_facts(made, image),
        warnings=made.warnings,
    )


def _facts(made: Template, image: Image) -> Sequence[str]:
    sizes = " x ".join(map(str, image.grid.shape))
    settled = "settled" if made.settled else "not settled"
    return (
        f"{len(made.subjects)} subjects",
        f"{len(made.left_out)} left out",
        settled,
        f"{sizes} voxels of {image.grid.voxel_size[0]:g} mm",
        "symmetric" if made.options["symmetric"] else "not symmetric",
        f"sharpness {made.sharpness:.4f}/mm",
        f"residual {made.residual:.3f}",
    )
