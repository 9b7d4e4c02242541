"""Growth of labels as tab-separated text."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

NOT_KNOWN = "n/a"


def growth_table(report: Mapping[str, Any]) -> str:
    """The rows of a report as tab-separated text, ``n/a`` for what is not known.

    Parameters
    ----------
    report : dict
        Section `labels` of a report, see `warpline.longitudinal.label_growth.growth_report`.
    """
    written = io.StringIO()
    table = csv.writer(written, delimiter="\t", lineterminator="\n")
    unit = report["unit"]
    table.writerow(
        ("label", "from", "to", "years", f"from_{unit}", f"to_{unit}", "growth_percent", "growth_percent_per_year")
    )
    table.writerows(_cells(list(row.values())) for row in report["growth"])
    return written.getvalue()


def _cells(values: Sequence[Any]) -> list[str]:
    return [NOT_KNOWN if one is None else f"{one:.6g}" if isinstance(one, float) else str(one) for one in values]
