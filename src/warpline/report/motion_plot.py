"""A plot of the motion of a series: shifts, angles and framewise displacement over the volumes, as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

WIDTH, PANEL, MARGIN, HEAD = 900, 150, 56, 26
"""Sizes in pixels: of the picture, the height of a panel, and the room around it."""

COLOURS = ("#d1495b", "#00798c", "#edae49")
BROWN, GREY = "#5f4b32", "#999999"


def draw_motion(
    parameters: NDArray[np.float64],
    displacement: NDArray[np.float64],
    threshold: float,
    marked: Sequence[int],
    title: str,
) -> str:
    """The text of the picture.

    Parameters
    ----------
    parameters : (T, 6)
        Shifts in mm, angles in radians.
    displacement : (T,)
        Framewise displacement in mm; NaN of the first volume.
    threshold : float
        Above it a volume is an outlier, in mm.
    marked : sequence of int
        Volumes that get a vertical line.
    title : str
        Above the plot.
    """
    panels = (
        ("shift / mm", dict(zip("RAS", parameters[:, :3].T, strict=True)), None),
        ("angle / degrees", dict(zip("RAS", np.degrees(parameters[:, 3:]).T, strict=True)), None),
        ("framewise displacement / mm", {"": np.nan_to_num(displacement)}, threshold),
    )
    height = HEAD + len(panels) * (PANEL + HEAD) + HEAD
    drawn = [_panel(HEAD + place * (PANEL + HEAD), *panel, marked) for place, panel in enumerate(panels)]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
            f'font-family="sans-serif" font-size="12" role="img"><title>{escape(title)}</title>'
            '<rect width="100%" height="100%" fill="white"/>',
            f'<text x="{MARGIN}" y="16" font-weight="bold">{escape(title)}</text>',
            *drawn,
            f'<text x="{WIDTH / 2}" y="{height - 6}" text-anchor="middle">volume</text>',
            "</svg>\n",
        ]
    )


def _panel(
    top: float, label: str, courses: dict[str, NDArray[np.float64]], limit: float | None, marked: Sequence[int]
) -> str:
    values = np.concatenate([*courses.values(), [0.0], [] if limit is None else [limit]])
    low, high = float(values.min()), float(values.max())
    high = high if high > low else low + 1.0
    count = max(len(next(iter(courses.values()))) - 1, 1)

    def at(number: float, value: float) -> str:
        x = MARGIN + (WIDTH - 2 * MARGIN) * number / count
        return f"{x:.1f},{top + PANEL - PANEL * (value - low) / (high - low):.1f}"

    def line(points: str, colour: str, more: str = "") -> str:
        return f'<polyline fill="none" stroke="{colour}" {more} points="{points}"/>'

    colours = COLOURS if len(courses) > 1 else (BROWN,)
    parts = [line(f"{at(number, low)} {at(number, high)}", GREY, 'stroke-dasharray="2 3"') for number in marked]
    if limit is not None:
        parts.append(line(f"{at(0, limit)} {at(count, limit)}", GREY))
    for place, ((name, course), colour) in enumerate(zip(courses.items(), colours, strict=False)):
        parts.append(line(" ".join(at(number, float(value)) for number, value in enumerate(course)), colour))
        parts.append(f'<text x="{WIDTH - MARGIN + 6}" y="{top + 14 + 16 * place}" fill="{colour}">{name}</text>')
    ends = ((high, top + 10), (low, top + PANEL))
    numbers = [f'<text x="{MARGIN - 6}" y="{y}" text-anchor="end">{value:.2f}</text>' for value, y in ends]
    box = f'<rect x="{MARGIN}" y="{top}" width="{WIDTH - 2 * MARGIN}" height="{PANEL}" fill="none" stroke="#ccc"/>'
    return "\n".join([box, f'<text x="{MARGIN + 4}" y="{top + 14}">{escape(label)}</text>', *numbers, *parts])
