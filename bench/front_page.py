"""Markdown of fronts: every setting of every tool, and the lead of warpline at equal smoothness."""

from __future__ import annotations

import json
from collections.abc import Sequence
from statistics import fmean
from typing import Any

import tables
from front_curves import OURS, Lead, leads, on_all_pairs, on_common_pairs, pairs_of, rows_of, settings_of

Row = dict[str, Any]
MEASURES = {"bending": "bending", "log_jacobian_sd": "SD of log-Jacobian"}
GROUPS = {"dice": "all labels", "dice_cortical": "cortical", "dice_subcortical": "subcortical"}
"""Scores by which maps are rough, and those by which they are good, with their titles."""

NOTES = (
    "Settings are what is smoothed, updates / whole field, as the tool itself counts it (`front_settings.py`). Lead: "
    "Dice that the front of warpline reaches with maps no rougher than those of the other tool on the same pair, minus "
    "that tool's Dice. A front is linear in the logarithm of roughness between its points: the settings of warpline "
    "that no smoother one equals. Means over pairs; `least` is the lead over all labels on the pair where it is least. "
    "Pairs on which even the smoothest setting of warpline is rougher are not compared."
)


def page(document: dict[str, Any]) -> str:
    """Return the whole Markdown page of a results document."""
    rows = document["runs"]
    parts = ["# Overlap against smoothness", *places(document), by_setting(rows), tables.NOTES]
    for name, title in MEASURES.items():
        parts += [f"## Lead of {OURS} at equal {title}", lead_table(rows, name)]
    return "\n\n".join([*parts, NOTES]) + "\n"


def places(document: dict[str, Any]) -> list[str]:
    """Where and when the rows were run: a line for each machine, the tools named where there are several."""
    found: dict[str, list[Row]] = {}
    for row in document["runs"]:
        found.setdefault(json.dumps(row.get("machine", document["machine"]), sort_keys=True), []).append(row)
    return [_place_line(json.loads(machine), rows, several=len(found) > 1) for machine, rows in found.items()]


def _place_line(machine: dict[str, Any], rows: Sequence[Row], *, several: bool) -> str:
    days = sorted(row["cost"]["date"][:10] for row in rows if "date" in row.get("cost", {}))
    when = f", {' to '.join(dict.fromkeys((days[0], days[-1])))}" if days else ""
    named = f"{', '.join(sorted({row['tool'] for row in rows}))}: on " if several else ""
    return f"{named}{tables.place(machine)}{when}."


def by_setting(rows: Sequence[Row]) -> str:
    """Means of settings over the same pairs: those on all pairs, then more of them on fewer; and what is in neither."""
    common, every = on_common_pairs(rows), on_all_pairs(rows)
    chosen = [every, *([] if pairs_of(common) == pairs_of(every) else [common])]
    missing = [" ".join(setting) for setting in settings_of(rows) if setting not in settings_of(common)]
    failed = [f"{row['tool']} {row['setting']} on {row['pair']}" for row in rows if "scores" not in row]
    named = {"Not on all of these pairs": missing, "Failed": failed}
    said = (f"{title}: {'; '.join(names)}." for title, names in named.items() if names)
    return "\n\n".join([*(_means(rows) for rows in chosen if rows), *said])


def _means(rows: Sequence[Row]) -> str:
    """A table of settings that were run on the same pairs."""
    shown = tables.columns(rows)
    settings = sorted((rows_of(rows, *setting) for setting in settings_of(rows)), key=_place)
    lines = [_setting_line(rows, shown) for rows in settings]
    table = tables.table(["tool", "setting", *(column.heading for column in shown)], lines)
    return f"Means over the pairs {' '.join(pairs_of(rows))}.\n\n{table}"


def _place(rows: Sequence[Row]) -> tuple[bool, str, float]:
    """Where a setting stands: ours first, then by tool, from smooth to rough."""
    tool = rows[0]["tool"]
    return tool != OURS, tool, fmean(row["scores"]["bending"] for row in rows)


def _setting_line(rows: Sequence[Row], shown: Sequence[tables.Column]) -> list[str]:
    return [rows[0]["tool"] + tables.star(rows), rows[0]["setting"], *tables.means(rows, shown)]


def lead_table(rows: Sequence[Row], roughness: str) -> str:
    """One line for every setting of another tool."""
    found = {name: {(lead.tool, lead.setting): lead for lead in leads(rows, roughness, name)} for name in GROUPS}
    titles = [f"lead, {title}" for title in GROUPS.values()]
    headings = ["tool", "setting", "pairs", MEASURES[roughness], "Dice", *titles, "least"]
    leads_in_order = sorted(found["dice"].items(), key=lambda item: (item[0][0], item[1].roughness))
    lines = [_lead_line(lead, [found[name][key].lead for name in GROUPS]) for key, lead in leads_in_order]
    return tables.table(headings, lines)


def _lead_line(lead: Lead, values: Sequence[float]) -> list[str]:
    count = str(lead.pairs) if lead.compared == lead.pairs else f"{lead.compared} of {lead.pairs}"
    numbers = [f"{value:+.4f}" for value in (*values, lead.least)]
    return [lead.tool, lead.setting, count, f"{lead.roughness:.4f}", f"{lead.dice:.4f}", *numbers]
