"""What was done to a series of volumes, in words for a paper."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from warpline.report.methods import file_name, joined, software

_INTERPOLATIONS = {
    "cubic": "by cubic splines",
    "linear": "linearly",
    "nearest": "by nearest neighbour",
}
_MAPS = {"rigid": "a rigid map", "affine": "an affine map"}


def is_series(report: Mapping[str, Any]) -> bool:
    """Whether a report is that of a series."""
    return {"series", "motion", "fits", "options"} <= report.keys()


def describe_series(report: Mapping[str, Any]) -> str:
    """A paragraph on a series, with ``[@key]`` where it cites.

    Parameters
    ----------
    report : dict
        Of a `warpline.SeriesRegistration`.

    Raises
    ------
    InputError
        When the report holds other values than reports of this version do.
    """
    return joined(_sentences(report))


def _sentences(report: Mapping[str, Any]) -> Iterator[str]:
    options, inputs, shape = report["options"], report["inputs"], report["series"]["shape"]
    name = file_name(inputs.get("series"))
    volumes = f"{shape[3]} volumes of {' by '.join(map(str, shape[:3]))} voxels"
    yield f"Motion in the series `{name}` ({volumes}) was corrected with {software([report])}."
    to = "references of their shells" if report["shells"] else str(report["reference"])
    yield (
        f"Every volume was fitted to {to}, through {_MAPS[options['model']]}, a gain that may change linearly across "
        "the object and an offset, by Gauss-Newton steps of the inverse compositional algorithm [@baker]; where "
        "residuals had long tails, points were weighted by Tukey's function."
    )
    if "mask" in inputs:
        yield "The reference counted inside a given mask only."
    yield from _moved(report)
    yield from _measured(report)


def _moved(report: Mapping[str, Any]) -> Iterator[str]:
    """How volumes were interpolated, and where they went."""
    ways = {
        "anatomy": "the map to an anatomical image, to which the reference was registered",
        "transforms": "given transforms",
    }
    beyond = "".join(f" and {words}" for name, words in ways.items() if report["destination"].get(name))
    size = " by ".join(f"{edge:.3g}" for edge in report["result"]["voxel_size"])
    how = _INTERPOLATIONS[report["options"]["interpolation"]]
    yield f"Volumes were interpolated once, {how}, through their motion{beyond}, on voxels of {size} mm."
    if "bvecs" in report["inputs"]:
        yield "Gradient directions were turned with their volumes."


def _measured(report: Mapping[str, Any]) -> Iterator[str]:
    """Framewise displacement, and volumes that stand out."""
    motion, options, outliers = report["motion"], report["options"], report["outliers"]
    mean, largest = (motion[f"{which}_framewise_displacement"] for which in ("mean", "largest"))
    if report["series"]["shape"][3] > 1:
        yield (
            f"Framewise displacement [@power] was {mean:.2g} mm on average and {largest:.2g} mm at most (volumes above "
            f"{options['fd_threshold']:g} mm: {len(outliers['moved'])})."
        )
    if outliers["not_aligned"]:
        yield f"Volumes that could not be aligned ({len(outliers['not_aligned'])}) were moved as their neighbours."
