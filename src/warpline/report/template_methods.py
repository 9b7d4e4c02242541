"""How a template was built, in words for a paper."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from warpline.report.methods import joined, software, stages


def is_template(report: Mapping[str, Any]) -> bool:
    """Whether a report is the record of a template."""
    return {"subjects", "rounds", "settled", "options"} <= report.keys()


def describe_template(report: Mapping[str, Any]) -> str:
    """A paragraph on a template, with ``[@key]`` where it cites.

    Parameters
    ----------
    report : dict
        The record of a `warpline.template.Template`, as ``template.json`` has it.

    Raises
    ------
    InputError
        When the record holds other values than those of this version do.
    """
    return joined(_sentences(report))


def _sentences(report: Mapping[str, Any]) -> Iterator[str]:
    options, voxels = report["options"], [one["voxel"] for one in report["rounds"]]
    yield (
        f"A template of {len(report['subjects'])} subjects was built with {software([report['software']])}, in "
        f"{len(voxels) - 1} rounds of registration to the mean before, on voxels of {voxels[0]:.3g} to "
        f"{voxels[-1]:.3g} mm."
    )
    yield from stages(options["recipe"]["linear"], options["recipe"]["syn"])
    yield from _shape(options)
    yield (
        "Subjects were interpolated once, by cubic splines, and weighted by their correlation with the mean of all "
        "others (Tukey's biweight)."
    )
    if options["symmetric"]:
        yield "All were averaged with their mirror images too, so that the template is symmetric."
    if options["sharpen"]:
        yield f"The mean was sharpened by unsharp masking ({options['sharpen']:g}) after every round."
    if options["channels"]:
        yield f"Further channels were averaged by the same maps: {', '.join(options['channels'])}."
    if report["left_out"]:
        yield f"Subjects left out ({len(report['left_out'])}): {'; '.join(map(_reason, report['left_out']))}."
    if not report["settled"]:
        yield "The last round still moved the shape or changed grey values by more than the limit."


def _shape(options: Mapping[str, Any]) -> Iterator[str]:
    """How maps were averaged."""
    syn, step = options["recipe"]["syn"], options["step"]
    parts = ["the log-Euclidean mean of all affines [@arsigny]"]
    if syn:
        velocity = syn["model"] == "velocity"
        parts.append("the exponential of the mean velocity field" if velocity else "the weighted mean of displacements")
    taken = "was taken" if step == 1 else f"was taken, a step of {step:g} at a time,"
    yield f"The mean shape, {' and '.join(parts)}, {taken} out of the template in every round [@guimond-mean]."


def _reason(left_out: Mapping[str, Any]) -> str:
    return f"{left_out['id']}, {left_out['reason']}"
