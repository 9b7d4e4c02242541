"""The pages of a cohort's output folder: one to read and decide on, and one for every pair that deserves a look."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from warpline.cohort.layout import PROGRESS, RUN
from warpline.cohort.outliers import RULES
from warpline.cohort.results import MISSING, NUMBERS, Results, Row, is_done, kind_of, read_json
from warpline.errors import InputError
from warpline.image import Image
from warpline.io.atomic import write_atomic
from warpline.io.images import read_image
from warpline.io.transform_files import read_transform
from warpline.report.cohort_page import CohortView, PageColumn, PageGroup, PageRow, make_folder, write_cohort_page
from warpline.report.page import write_page
from warpline.report.pair_layers import draw_layers
from warpline.report.standing import Measure, Standing
from warpline.transforms import Displacement

Which = Literal["flagged", "all", "none"]
"""Which pairs get a page of their own."""

FOLDER = "report"

WORST, SAMPLE = 500, 100
"""Of the flagged pairs the most that get a page; of the others, drawn evenly."""

_SHOWN = (
    *("ncc_after", "local_ncc_after", "dice", "mask_dice", "foreground_dice", "coverage", "rotation", "determinant"),
    *("displacement_mean", "log_jacobian_sd", "jacobian_min", "folded_voxels", "inverse_error_p99", "seconds"),
)
_OWN = frozenset({"id", "status", "verdict", "reasons", "fixed", "moving", "recipe", "sidecar", "log"})
_ENDING = "_desc-registration_qc.json"


def write(
    folder: Path,
    *,
    pages: Which = "flagged",
    sample: int = SAMPLE,
    draw: bool = True,
    say: Callable[[str], None] | None = None,
) -> Path:
    """Write the pages of a cohort from the files of its output folder.

    Parameters
    ----------
    folder : Path
        The output folder, with ``results.tsv``.
    pages : str
        ``"flagged"``: pages for the 500 worst pairs to review or failed, and for a sample of the others; ``"all"``;
        ``"none"``.
    sample : int
        How many of the others, drawn evenly and the same at every call.
    draw : bool
        Whether pages of pairs that are not there are written; without it the cohort's page leads to those there are.
    say : callable, optional
        Called with a line of text as the work goes on.

    Returns
    -------
    Path
        ``report/index.html`` in the folder.

    Raises
    ------
    InputError
        When the folder holds no results.
    OutputError
        When a page cannot be written.
    """
    say = say or (lambda text: None)
    results = Results.read(folder)
    written = _write_pairs(folder, results, _with_page(results, pages, sample), say)
    view = CohortView(
        key=results.key,
        title=folder.resolve().name,
        facts=list(_facts(folder, len(results.rows), _recipes(results))),
        columns=[_page_column(name) for name in NUMBERS],
        values={name: results.values[name] for name in NUMBERS},
        rows=[_page_row(results, at, written.get(at)) for at in range(len(results.rows))],
        groups=_groups(results.failures.values()),
        thumbnails=[partial(_thumbnail, folder, row["sidecar"]) if is_done(row) else None for row in results.rows],
    )
    page = write_cohort_page(view, folder / FOLDER)
    say(f"{len(results.rows)} pairs on {page}, {len(written)} of them with a page of their own")
    return page


# -- the cohort's page ----------------------------------------------------------------------------------------------


def _page_column(name: str) -> PageColumn:
    column, rule = NUMBERS[name], RULES.get(name)
    low, high = rule.review if rule else (None, None)
    return PageColumn(name, column.title, column.unit, column.group, column.meaning, name in _SHOWN, low, high)


def _page_row(results: Results, at: int, page: str | None) -> PageRow:
    row, score = results.rows[at], float(results.values["score"][at])
    failure = results.failures.get(row["id"], {}).get("message", "") if row["status"] == "failed" else ""
    reasons = {"excluded": "excluded by a decision", "failed": failure}.get(row["status"], row["reasons"])
    return PageRow(
        id=row["id"],
        verdict=kind_of(row),
        score=score if np.isfinite(score) else None,
        reasons="" if reasons in MISSING else reasons,
        flagged=results.flagged.get(at, ()),
        free={name: "" if value in MISSING else value for name, value in row.items() if name not in _OWN},
        page=page,
    )


def _thumbnail(folder: Path, sidecar: str) -> bytes:
    name = read_json(folder / sidecar).get("outputs", {}).get("thumbnail")
    try:
        return (folder / name).read_bytes() if name else b""
    except OSError:
        return b""


def _groups(failures: Iterable[Row]) -> list[PageGroup]:
    """Failures of the same class and signature, the most frequent first."""
    alike: defaultdict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in failures:
        alike[row["class"], row["signature"]].append(row)
    groups = [
        PageGroup(kind, signature, rows[0]["message"], tuple(row["id"] for row in rows))
        for (kind, signature), rows in alike.items()
    ]
    return sorted(groups, key=lambda group: -len(group.ids))


def _recipes(results: Results) -> list[str]:
    """Names of the recipes that made the results."""
    return sorted({row["recipe"] for row in results.rows if is_done(row)} - MISSING)


def _facts(folder: Path, pairs: int, recipes: Sequence[str]) -> Iterator[tuple[str, str]]:
    """What the head of the page says of the run, as far as it is known."""
    run, progress = read_json(folder / RUN), read_json(folder / PROGRESS)
    yield "pairs", str(pairs)
    if progress.get("pairs_per_s"):
        yield "pairs per minute", f"{60 * progress['pairs_per_s']:.3g}"
    if progress.get("workers"):
        yield "workers", str(progress["workers"])
    if progress.get("busy"):
        yield "time spent computing", f"{100 * progress['busy']:.0f} %"
    if recipes:
        yield "recipe", ", ".join(recipes)
    for name in ("started", "ended"):
        if run.get(name):
            yield name, str(run[name])[:16].replace("T", " ")
    yield "warpline", str(run.get("warpline") or version("warpline"))


# -- pages of pairs -------------------------------------------------------------------------------------------------


def _with_page(results: Results, pages: Which, sample: int) -> list[int]:
    """The numbers of the rows that get a page, worst first."""
    done = [at for at, row in enumerate(results.rows) if is_done(row)]
    if pages == "all":
        return done
    flagged = [at for at in done if results.rows[at]["verdict"] != "pass"][:WORST]
    others = [at for at in done if results.rows[at]["verdict"] == "pass"]
    drawn = np.random.default_rng(0).choice(len(others), min(sample, len(others)), replace=False)
    return [*flagged, *(others[number] for number in sorted(drawn))] if pages == "flagged" else []


def _write_pairs(folder: Path, results: Results, chosen: Sequence[int], say: Callable[[str], None]) -> dict[int, str]:
    """Write what has changed since it was last written; returns the address of every page by its row."""
    pairs = folder / FOLDER / "pairs"
    make_folder(pairs)
    names = [f"{Path(results.rows[at]['sidecar']).name.removesuffix(_ENDING)}.html" for at in chosen]
    known, written, addresses = read_json(pairs / "pages.json"), {}, {}
    read_fixed, ranked = lru_cache(maxsize=2)(read_image), results.ranked()
    for number, (at, name) in enumerate(zip(chosen, names, strict=True)):
        beside = [names[near] if 0 <= near < len(names) else None for near in (number - 1, number + 1)]
        standing = _standing(results, at, ranked, beside)
        sidecar = read_json(folder / results.rows[at]["sidecar"])
        digest = hashlib.blake2b(repr((version("warpline"), sidecar.get("key"), standing)).encode()).hexdigest()[:16]
        if known.get(name) != digest or not (pairs / name).exists():
            try:
                _write_pair(folder, sidecar, pairs / name, standing, read_fixed)
            except InputError as error:
                say(f"no page for {results.rows[at]['id']}: {error}")
                continue
        written[name], addresses[at] = digest, f"pairs/{name}"
        if number % 20 == 19:
            say(f"page {number + 1} of {len(chosen)}")
    for path in pairs.glob("*.html"):
        if path.name not in written:
            path.unlink()
    write_atomic(pairs / "pages.json", json.dumps(written).encode())
    return addresses


def _write_pair(
    folder: Path, sidecar: Mapping[str, Any], path: Path, standing: Standing, read_fixed: Callable[[Path], Image]
) -> None:
    inputs, outputs = sidecar["inputs"], sidecar["outputs"]
    fixed = read_fixed(folder / inputs["fixed"]["path"])
    moving, warped = read_image(folder / inputs["moving"]["path"]), read_image(folder / outputs["warped"])
    warp = read_transform(folder / outputs["warp"]) if "warp" in outputs else None
    layers = draw_layers(fixed, moving, warped, warp if isinstance(warp, Displacement) else None)
    write_page(sidecar, layers, path, standing)


def _standing(
    results: Results, at: int, ranked: Mapping[str, NDArray[np.float64]], beside: Sequence[str | None]
) -> Standing:
    row, flagged = results.rows[at], results.flagged.get(at, ())
    known = {name: float(results.values[name][at]) for name in NUMBERS}
    measures = (
        Measure(
            *(NUMBERS[name].title, NUMBERS[name].unit, NUMBERS[name].meaning, NUMBERS[name].group),
            int(value) if value.is_integer() else value,
            round(_percentile(ranked[name], value), 1),
            name in flagged,
        )
        for name, value in known.items()
        if np.isfinite(value)
    )
    return Standing(
        id=row["id"],
        cohort=results.key,
        pairs=sum(map(is_done, results.rows)),
        verdict=row["verdict"],
        reasons=() if row["reasons"] in MISSING else tuple(row["reasons"].split("; ")),
        measures=tuple(measures),
        index=f"../index.html#id={quote(row['id'], safe='')}",
        previous=beside[0],
        next=beside[1],
    )


def _percentile(ranked: NDArray[np.float64], value: float) -> float:
    """Share of the cohort below a value, and half of those that equal it, 0 to 100."""
    return float(50 * (np.searchsorted(ranked, value) + np.searchsorted(ranked, value, "right")) / len(ranked))
