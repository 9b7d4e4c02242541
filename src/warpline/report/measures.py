"""What the page of a pair says of its measures: names, limits and meanings, in words."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sign:
    """A sign of the judgement of one registration, held against its limits.

    Parameters
    ----------
    name, title, meaning : str
        Its key in the report, what it is called, and what it measures.
    value, allowed : str
        As they are written.
    outcome : str
        ``"fine"``, ``"doubtful"`` or ``"failed"``.
    """

    name: str
    title: str
    meaning: str
    value: str
    allowed: str
    outcome: str


@dataclass(frozen=True)
class QualityMeasure:
    """A number of the quality of a map.

    Parameters
    ----------
    title, allowed, meaning : str
        What it is called, what is usual, and what it says.
    """

    title: str
    allowed: str
    meaning: str


QUALITY: dict[str, QualityMeasure] = {
    "folded_voxels": QualityMeasure(
        "Folded voxels", "0", "Where the map, or its inverse, turns space inside out: nothing anatomical does"
    ),
    "folds": QualityMeasure("Share of voxels folded", "0", "The same, over all voxels of the object"),
    "least_jacobian": QualityMeasure(
        "Smallest Jacobian determinant, by any differences",
        "above 0, mostly 0.1 or more",
        "Smallest ratio of volumes, of the map or its inverse: 0.1 shrinks a place to a tenth, 0 or less is a fold. "
        "Maps are settled at 0.1 or more; a value near it says that this limit held something back",
    ),
    "jacobian_min": QualityMeasure(
        "Smallest Jacobian determinant, by central differences",
        "above 0",
        "The same as most tools measure it, over two voxels",
    ),
    "jacobian_max": QualityMeasure(
        "Largest Jacobian determinant, by central differences",
        "at most 30",
        "How many times as much volume a place of the fixed image takes in the moving one: 2 is twice as much",
    ),
    "inverse_error_mean": QualityMeasure(
        "Inverse error, mean (voxels)", "at most 0.05", "How far a point is from itself after going there and back"
    ),
    "inverse_error_p99": QualityMeasure(
        "Inverse error, 99th percentile (voxels)", "at most 0.25", "One place in a hundred misses by more"
    ),
    "inverse_error_max": QualityMeasure("Inverse error, largest (voxels)", "no limit", "Of the worst single place"),
    "rounds": QualityMeasure(
        "Rounds of settling", "no limit", "Rounds of relaxation until folds and inverse errors were within their limits"
    ),
}
"""Numbers of a report's ``quality``, in the order of the page; limits are those of the judgement."""
