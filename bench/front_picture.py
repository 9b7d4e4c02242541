"""The picture of fronts: Dice against bending energy, spread of the log-Jacobian and CPU seconds, as SVG."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from front_curves import OURS, Point, front, on_common_pairs, pairs_of, rows_of, settings_of
from front_settings import DEFAULTS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row = dict[str, Any]
SIZE = (11.0, 7.0)
FONT = {"font.family": "sans-serif", "font.size": 9, "axes.titlesize": 10, "svg.fonttype": "path"}
FIXED_IDS = {"svg.hashsalt": "front"}
"""The same rows give the same bytes."""

LOOKS = {
    OURS: ("#c4342d", "o", "warpline"),
    "greedy": ("#2f6fab", "s", "Greedy"),
    "dipy": ("#3f8f4f", "^", "DIPY"),
    "ants-synso": ("#7a4fa3", "D", "ANTs SyN, CC"),
    "fireants-greedy": ("#c07a12", "v", "FireANTs Greedy"),
    "fireants-syn": ("#8a6a3b", "<", "FireANTs SyN"),
    "syntx-tvf": ("#5f6b73", "P", "syntx TVF"),
}
"""Colour, marker and name of each tool."""


@dataclass(frozen=True)
class Panel:
    """What is drawn against what: scores or costs of a row, by name; ticks within each power of ten."""

    across: str
    up: str
    title: str
    label: str
    ticks: tuple[float, ...] = (1, 1.5, 2, 3, 4, 6)


PANELS = (
    Panel("bending", "dice", "All labels", "bending energy, 1/mm² (rougher →)"),
    Panel("bending", "dice_cortical", "Cortical labels", "bending energy, 1/mm²"),
    Panel("bending", "dice_subcortical", "Subcortical labels", "bending energy, 1/mm²"),
    Panel("log_jacobian_sd", "dice", "All labels", "SD of log-Jacobian"),
    Panel("cpu_s", "dice", "All labels", "CPU seconds, whole process", ticks=(1, 2, 5)),
)


def draw(rows: Sequence[Row], path: Path) -> None:
    """Draw the means of settings over the same pairs (`on_common_pairs`) into an SVG file."""
    import matplotlib
    from matplotlib.figure import Figure

    common = on_common_pairs(rows)
    with matplotlib.rc_context({**FONT, **FIXED_IDS}):
        figure = Figure(figsize=SIZE, layout="constrained")
        places = figure.subplots(2, 3).ravel()
        for panel, axes in zip(PANELS, places, strict=False):
            _fill(axes, panel, common)
        _explain(places[-1], common)
        _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="svg", facecolor="white", metadata={"Date": None})


def _fill(axes: Axes, panel: Panel, rows: Sequence[Row]) -> None:
    from matplotlib.ticker import LogLocator, NullLocator

    axes.set_title(f"{panel.title}: Dice", loc="left")
    axes.set_xlabel(panel.label)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=panel.ticks))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(color="#e4e4e4", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    for tool in LOOKS:
        _curve(axes, tool, means(rows, tool, panel))


def means(rows: Iterable[Row], tool: str, panel: Panel) -> dict[str, Point]:
    """Point of every setting of a tool: means over its rows, where all of them have both values."""
    found = {}
    for _, setting in settings_of(rows_of(rows, tool)):
        values = [{**row["scores"], **row["cost"]} for row in rows_of(rows, tool, setting)]
        if all(panel.across in value and panel.up in value for value in values):
            found[setting] = Point(fmean(v[panel.across] for v in values), fmean(v[panel.up] for v in values))
    return found


def _curve(axes: Axes, tool: str, points: dict[str, Point]) -> None:
    """The front as a line, the tool's own setting filled, the others hollow."""
    colour, marker, _ = LOOKS[tool]
    width, layer = (2.2, 4) if tool == OURS else (1.2, 3)
    line = front(points.values())
    axes.plot([p.roughness for p in line], [p.dice for p in line], color=colour, linewidth=width, zorder=layer)
    for setting, point in points.items():
        inside = colour if setting == DEFAULTS[tool] else "white"
        how = {"color": colour, "markerfacecolor": inside, "markersize": 6, "zorder": layer + 1}
        axes.plot([point.roughness], [point.dice], marker=marker, linestyle="none", **how)


def _explain(axes: Axes, rows: Sequence[Row]) -> None:
    from matplotlib.lines import Line2D

    axes.set_axis_off()
    shown = [LOOKS[tool] for tool in LOOKS if rows_of(rows, tool)]
    keys = [Line2D([], [], color=colour, marker=marker, label=name) for colour, marker, name in shown]
    axes.legend(handles=keys, loc="upper left", frameon=False, fontsize=10)
    said = f"Means over {len(pairs_of(rows))} pairs of OASIS-TRT-20.\nFilled: the tool's default. Lines: its front.\n"
    axes.text(0.02, 0.02, said + "Higher and further left is better.", transform=axes.transAxes, color="#444444")
