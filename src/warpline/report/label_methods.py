"""How an image was labelled from atlases, in words for a paper."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from warpline.report.methods import file_name, joined, software, stages

_FUSIONS = {
    "joint": "by joint label fusion [@wang], with patches of radius {patch_radius}, a search of radius {search_radius} "
    "voxels, the best {patches} patches of each atlas, alpha {alpha:g} and beta {beta:g}",
    "local": "by votes that the local correlation of each atlas with the image weighs [@artaechevarria]",
    "majority": "by majority vote",
}


def is_labelling(report: Mapping[str, Any]) -> bool:
    """Whether a report is that of labels."""
    return {"labels", "atlases", "options"} <= report.keys()


def describe_labelling(report: Mapping[str, Any]) -> str:
    """A paragraph on the labels of an image, with ``[@key]`` where it cites.

    Parameters
    ----------
    report : dict
        Of a `warpline.labelling.Labelling`.

    Raises
    ------
    InputError
        When the report holds other values than reports of this version do.
    """
    return joined(_sentences(report))


def _sentences(report: Mapping[str, Any]) -> Iterator[str]:
    options, atlases = report["options"], report["atlases"]
    recipe = options["recipe"]
    name = file_name(report["inputs"]["image"].get("path"))
    used = sum(one["used"] for one in atlases)
    yield f"The image `{name}` was labelled from atlases ({used}) with {software([report], recipe)}."
    yield "Each atlas was registered to it; voxels took the label that has the most weight in linear interpolation."
    yield from stages(recipe["linear"], recipe["syn"])
    if used > 1:
        yield f"Labels were fused {_FUSIONS[options['fusion']].format(**(options['joint'] or {}))}."
    if used < len(atlases):
        yield f"Atlases whose registration failed ({len(atlases) - used}) were left out."
