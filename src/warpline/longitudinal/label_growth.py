"""Growth of labels between time points, as the report has it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from warpline.io.images import Source
from warpline.longitudinal.result import LongitudinalRegistration


def growth_report(found: LongitudinalRegistration, labels: Source, of: int) -> dict[str, Any]:
    """Growth of every label from each time point to the next one, and from the first to the last one.

    Parameters
    ----------
    found : LongitudinalRegistration
        The time points.
    labels : path, nibabel image, Image, array or (array, affine)
        As for `LongitudinalRegistration.label_volumes`.
    of : int
        Of which time point they are, from 0.

    Returns
    -------
    dict
        `of`: the name of that time point; `unit`: of volumes; `growth`: a row for each label and change, with None for
        what is not known.
    """
    volumes = found.label_volumes(labels, of)
    count = len(found.points)
    spans = [*((n, n + 1) for n in range(count - 1)), *([(0, count - 1)] if count > 2 else [])]
    rows = [_row(found, label, at, span) for label, at in volumes.items() for span in spans]
    return {"of": found.names[of], "unit": "mm2" if found.middle.grid.flat else "mm3", "growth": rows}


def _row(found: LongitudinalRegistration, label: int, at: Mapping[int, float], span: tuple[int, int]) -> dict[str, Any]:
    first, second = span
    growth = 100 * (at[second] / at[first] - 1)
    years = None if found.years is None else found.years[second] - found.years[first]
    return {
        "label": label,
        "from": found.names[first],
        "to": found.names[second],
        "years": years,
        "volume_from": _known(at[first]),
        "volume_to": _known(at[second]),
        "growth_percent": _known(growth),
        "growth_percent_per_year": None if years is None else _known(growth / years),
    }


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def growth_warnings(report: Mapping[str, Any]) -> Iterator[str]:
    """A sentence where the growth of labels is not known."""
    unknown = dict.fromkeys(row["label"] for row in report["growth"] if row["growth_percent"] is None)
    if unknown:
        yield (
            f"growth of label {', '.join(map(str, unknown))} is not known: a map folds there, or labels reach beyond "
            f"what {report['of']} shows; are they in its world?"
        )
