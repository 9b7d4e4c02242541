"""One HTML page for a registration: viewer, measurements and provenance in a single file that needs no network."""

from __future__ import annotations

import base64
import io
import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from warpline.errors import OutputError
from warpline.report.cohort_context import CohortContext, write_context_script
from warpline.report.contact_sheet import ROW_BOXES, Target
from warpline.report.measures import QUALITY, Sign
from warpline.report.pair_layers import RAMPS, Layers
from warpline.report.reasons import cause_first, contrast_in_words, preparation_in_words

_SUMMARY_WIDTH = 1000

Pictures = Mapping[str, Target]
"""``"overlay"``: the PNG file of `warpline.report.pictures`."""

_ALTS = {
    "fixed": "Cuts through the fixed image, from one end of it to the other",
    "before": "The same cuts through the moving image before registration",
    "after": "The same cuts through the moving image after registration",
    "across": "Displacement along the rows of the page, grey where there is none",
    "down": "Displacement down the page, grey where there is none",
    "jacobian": "Logarithm of the Jacobian determinant: blue where the map shrinks space, orange where it grows",
    "displacement": "Length of the displacement, brighter where it is longer",
    "uncertainty": "Uncertainty of the map, brighter where perturbed runs end further apart",
    "mismatch": "Local mismatch of the fixed image and the registered one, brighter where they fit less",
}
"""What each layer of the viewer is, for those who do not see it."""

_VERDICTS = {"fine": "pass", "doubtful": "review", "failed": "fail"}
"""Outcomes of the judgement, to the style they are shown in."""

_AXES = {"Sagittal": "x", "Coronal": "y", "Axial": "z"}


def write_page(
    report: Mapping[str, Any],
    layers: Layers,
    path: str | Path,
    context: CohortContext | None = None,
    *,
    signs: Sequence[Sign] = (),
) -> None:
    """Write the page of one registration.

    Parameters
    ----------
    report : dict
        The report of a `warpline.registration.Registration`.
    layers : Layers
        What the viewer shows; the pictures become part of the page.
    path : str or Path
        The page: one HTML file of about 1.5 MB that loads nothing but that script.
    context : CohortContext, optional
        The pair's place in its cohort, with links to its neighbours. It is written to a script beside the page, of the
        same name, so that the page itself stays as it is when the cohort grows.
    signs : sequence of Sign
        Of the judgement; a page in a cohort shows the measures of all pairs instead.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    if context is not None:
        write_cohort_context(context, Path(path))
    script = None if context is None else Path(path).with_suffix(".js").name
    page = _page(report, layers, context, script, signs=signs)
    try:
        Path(path).write_text(page, encoding="utf-8", newline="\n")
    except OSError as error:
        raise OutputError(f"page {path} cannot be written: {error.strerror or error}") from None


def _page(
    report: Mapping[str, Any],
    layers: Layers,
    context: CohortContext | None = None,
    script: str | None = None,
    *,
    signs: Sequence[Sign] = (),
) -> str:
    """The page of a pair; `script` is the name of that of its context."""
    names = _names(report["inputs"])
    addresses = {name: _data_address(picture) for name, picture in layers.pictures.items()}
    return rendered(
        "page.html.j2",
        **_facts(report),
        layers=replace(layers, pictures=addresses),  # type: ignore[arg-type]
        alts=_ALTS,
        script=script,
        context=context,
        signs=signs,
        verdicts=_VERDICTS,
        quality=QUALITY,
        viewer={
            "views": [{**view, "axis": _AXES[view["name"]]} for view in layers.views],
            "scales": layers.scales,
            "ramps": RAMPS,
            "names": names,
        },
        levels=[{**level, "points": sparkline(level["energies"])} for level in report["levels"]],
        recipe=list(_flat(report["recipe"])),
        commands=list(_commands(report)),
        warnings=[cause_first(warning) for warning in report["warnings"]],
    )


def write_cohort_context(context: CohortContext, page: Path) -> None:
    """Tell a page, by the script beside it, its place in the cohort.

    Raises
    ------
    OutputError
        When the script cannot be written.
    """
    write_context_script(context, page.with_suffix(".js"), _number)


def html_summary(report: Mapping[str, Any], pictures: Pictures) -> str:
    """A short form of the page for notebooks: the result in one picture, and the measurements.

    Parameters
    ----------
    report : dict
        The report of a `warpline.registration.Registration`.
    pictures : dict
        ``"overlay"``: a PNG file of `warpline.report.pictures.write_overlay`.

    Returns
    -------
    str
        An HTML fragment of less than 300 kB with its own styles; every text in it is escaped.
    """
    rows = zip(("before", "after", "outlines"), _rows(pictures["overlay"]), strict=True)
    return rendered("summary.html.j2", **_facts(report), pictures=dict(rows))


def html_viewer(report: Mapping[str, Any], layers: Layers, pictures: Pictures, *, signs: Sequence[Sign] = ()) -> str:
    """The page for notebooks, in a frame that keeps its scripts and styles to itself; below it the short form.

    Parameters
    ----------
    report : dict
        The report of a `warpline.registration.Registration`.
    layers : Layers
        What the viewer shows.
    pictures : dict
        As for `html_summary`, which notebooks show that run no scripts.
    signs : sequence of Sign
        Of the judgement.

    Returns
    -------
    str
        An HTML fragment of less than 3 MB, which loads nothing.
    """
    page, summary = _page(report, layers, signs=signs), html_summary(report, pictures)
    return rendered("notebook.html.j2", page=page, summary=summary, names=_names(report["inputs"]))


def rendered(template: str, **values: Any) -> str:
    """A template of this package filled in; text is escaped."""
    return str(_environment().get_template(template).render(values))


@cache
def _environment() -> Any:
    """Templates, each compiled once."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("warpline", "report"),
        autoescape=jinja2.select_autoescape(("html.j2",)),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=_number, seconds=_seconds, contrast=contrast_in_words, preparation=preparation_in_words
    )
    return environment


def _facts(report: Mapping[str, Any]) -> dict[str, Any]:
    return {"report": report, "names": _names(report["inputs"]), "total": sum(report["seconds"].values())}


def _commands(report: Mapping[str, Any]) -> Iterator[str]:
    """Command lines that open the fixed and the warped image in viewers of volumes."""
    fixed, warped = report["inputs"]["fixed"]["path"], report.get("outputs", {}).get("warped")
    if fixed and warped:
        yield shlex.join(("itksnap", "-g", fixed, "-o", warped))
        yield shlex.join(("fsleyes", fixed, warped))


# -- pictures -------------------------------------------------------------------------------------------------------


def _rows(target: Target) -> Iterator[str]:
    """Each row of a picture, without its title, as a data address."""
    from PIL import Image as Picture

    with Picture.open(target) as picture:
        boxes = json.loads(picture.text[ROW_BOXES])  # type: ignore[attr-defined]
        full = picture.convert("RGB")
    for left, _, top, right, bottom in boxes:
        row = full.crop((left, top, right, bottom))
        size = _SUMMARY_WIDTH, round(row.height * _SUMMARY_WIDTH / row.width)
        row = row.resize(size, Picture.Resampling.LANCZOS) if row.width > _SUMMARY_WIDTH else row
        packed = io.BytesIO()
        row.save(packed, format="WEBP", quality=70, method=2)
        yield _data_address(packed.getvalue())


def _data_address(picture: bytes) -> str:
    kind = "jpeg" if picture.startswith(b"\xff\xd8") else "webp"
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode('ascii')}"


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


def sparkline(energies: Sequence[float | None], width: float = 160.0, height: float = 28.0) -> str:
    """Points of an SVG polyline through the energies, from left to right, the lowest at the bottom."""
    values = [value for value in energies if value is not None]
    if len(values) < 2:
        return ""
    low, span = min(values), (max(values) - min(values)) or 1.0
    step = width / (len(values) - 1)
    return " ".join(f"{i * step:.1f},{height - (value - low) / span * height:.1f}" for i, value in enumerate(values))
