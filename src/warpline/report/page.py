"""One HTML page for a registration: pictures, measurements and provenance in a single file that needs no network."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from warpline.errors import OutputError
from warpline.report.sheet import ROWS, Target

_ROWS = {
    "overlay": (("before", "after", "outlines"), False),
    "deformation": (("grid", "jacobian", "displacement"), True),
}
"""What the rows of each picture show, from top to bottom, and whether their titles, with scales, are wanted."""

_SUMMARY_WIDTH = 1000

Pictures = Mapping[str, Target]
"""``"overlay"`` and, for deformable runs, ``"deformation"``: the PNG files of `warpline.report.pictures`."""


def write_page(report: Mapping[str, Any], pictures: Pictures, path: str | Path) -> None:
    """Write the page of one registration.

    Parameters
    ----------
    report : dict
        The report of a `warpline.jobs.Registration`.
    pictures : dict
        ``"overlay"`` and, for deformable runs, ``"deformation"``: PNG files, which become part of the page.
    path : str or Path
        The page: one HTML file of less than 1 MB that loads nothing from anywhere.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    page = _rendered("page.html.j2", report, _rows(pictures, quality=84))
    try:
        Path(path).write_text(page, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"page {path} cannot be written: {error.strerror or error}") from None


def html_summary(report: Mapping[str, Any], pictures: Pictures) -> str:
    """A short form of the page for notebooks: the result in one picture, and the measurements.

    Parameters
    ----------
    report : dict
        The report of a `warpline.jobs.Registration`.
    pictures : dict
        As for `write_page`; only ``"overlay"`` is used.

    Returns
    -------
    str
        An HTML fragment of less than 300 kB with its own styles; every text in it is escaped.
    """
    overlay = {name: target for name, target in pictures.items() if name == "overlay"}
    return _rendered("summary.html.j2", report, _rows(overlay, quality=70, width=_SUMMARY_WIDTH))


def _rendered(template: str, report: Mapping[str, Any], pictures: Mapping[str, str]) -> str:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("warpline", "report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=_number, seconds=_seconds)
    return environment.get_template(template).render(
        report=report,
        pictures=pictures,
        names=_names(report["inputs"]),
        total=sum(report["seconds"].values()),
        levels=[{**level, "points": _sparkline(level["energies"])} for level in report["levels"]],
        recipe=list(_flat(report["recipe"])),
        raw=json.dumps(report, indent=2, default=str),
    )


# -- pictures -------------------------------------------------------------------------------------------------------


def _rows(pictures: Pictures, *, quality: int, width: int | None = None) -> dict[str, str]:
    """Each row of the pictures as a WebP data address, by what it shows."""
    return {
        shown: _data_address(row, quality)
        for name, target in pictures.items()
        for shown, row in zip(_ROWS[name][0], _cropped(target, width, titled=_ROWS[name][1]), strict=True)
    }


def _cropped(target: Target, width: int | None, *, titled: bool) -> Iterator[Any]:
    from PIL import Image as Picture

    with Picture.open(target) as picture:
        boxes = json.loads(picture.text[ROWS])  # type: ignore[attr-defined]
        full = picture.convert("RGB")
    for left, title, top, right, bottom in boxes:
        row = full.crop((left, title if titled else top, right, bottom))
        if width is not None and row.width > width:
            row = row.resize((width, round(row.height * width / row.width)), Picture.Resampling.LANCZOS)
        yield row


def _data_address(picture: Any, quality: int) -> str:
    packed = io.BytesIO()
    picture.save(packed, format="WEBP", quality=quality, method=2)
    return "data:image/webp;base64," + base64.b64encode(packed.getvalue()).decode("ascii")


# -- words and numbers ----------------------------------------------------------------------------------------------


def _number(value: float | None) -> str:
    """Four significant digits; whole numbers in full, with thin spaces between thousands."""
    if value is None:
        return "n/a"
    if isinstance(value, int):
        return f"{value:,}".replace(",", "\u202f")
    return "0" if value == 0 else f"{value:.4g}"


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"


def _names(inputs: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """File names of the two images; with their folders when the files are called the same."""
    parts = {name: Path(inputs[name]["path"] or "array").parts for name in ("fixed", "moving")}
    kept = 2 if parts["fixed"][-1] == parts["moving"][-1] else 1
    return {name: str(Path(*path[-kept:])) for name, path in parts.items()}


def _flat(options: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested options as (dotted name, text) pairs."""
    for name, value in options.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, (list, tuple)):
            yield prefix + name, ", ".join(str(entry) for entry in value)
        else:
            yield prefix + name, "none" if value is None else str(value)


def _sparkline(energies: Sequence[float | None], width: float = 160.0, height: float = 28.0) -> str:
    """Points of an SVG polyline through the energies, from left to right, the lowest at the bottom."""
    values = [value for value in energies if value is not None]
    if len(values) < 2:
        return ""
    low, span = min(values), (max(values) - min(values)) or 1.0
    step = width / (len(values) - 1)
    return " ".join(f"{i * step:.1f},{height - (value - low) / span * height:.1f}" for i, value in enumerate(values))
