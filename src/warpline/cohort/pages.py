"""The pages of a cohort's output folder: one to read and decide on, and one for every pair that deserves a look."""

from __future__ import annotations

import json
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import numpy as np

from warpline.cohort.layout import PROGRESS, RUN
from warpline.cohort.outliers import RULES
from warpline.cohort.pair_pages import FOLDER, PairPages, output_of
from warpline.cohort.results import MISSING, NUMBERS, Results, Row, is_done, kind_of, read_json
from warpline.errors import InputError
from warpline.io.atomic import write_atomic
from warpline.report.cohort_page import CohortView, PageColumn, PageGroup, PageRow, make_folder, write_cohort_page
from warpline.report.reasons import cause_first

Which = Literal["flagged", "all", "none"]
"""Which pairs get a page of their own."""

WORST, SAMPLE = 500, 100
"""Of the flagged pairs the most that get a page; of the others, drawn evenly."""

_SHOWN = (
    *("ncc_after", "local_ncc_after", "dice", "mask_dice", "foreground_dice", "coverage", "rotation", "determinant"),
    *("displacement_mean", "log_jacobian_sd", "jacobian_min", "folded_voxels", "inverse_error_p99", "seconds"),
)
_OWN = frozenset({"id", "status", "verdict", "reasons", "fixed", "moving", "recipe", "sidecar", "log"})
FEW = 3
"""Most names that a title lists."""


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
    results, key = Results.read(folder), cohort_key(folder)
    pair_pages = PairPages(folder, results, key, _source(folder))
    written = pair_pages.write(_with_page(results, pages, sample), draw=draw, say=say)
    title, *facts = _facts(folder, results)
    view = CohortView(
        key=key,
        title=title[1],
        facts=facts,
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
        reasons="" if reasons in MISSING else cause_first(reasons) if row["status"] == "failed" else reasons,
        flagged=results.flagged.get(at, ()),
        free={name: "" if value in MISSING else value for name, value in row.items() if name not in _OWN},
        page=page,
    )


def _thumbnail(folder: Path, sidecar: str) -> bytes:
    try:
        content = output_of(folder, read_json(folder / sidecar), "thumbnail").read_bytes()
    except (InputError, OSError):
        return b""
    return content if content[:4] == b"RIFF" and content[8:12] == b"WEBP" else b""


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


def cohort_key(folder: Path) -> str:
    """What names a cohort wherever decisions are kept: drawn once, it moves along with the folder."""
    path = folder / FOLDER / "cohort.json"
    known = read_json(path).get("key")
    if isinstance(known, str) and known:
        return known
    key = uuid.uuid4().hex[:16]
    make_folder(folder / FOLDER)
    write_atomic(path, json.dumps({"key": key}).encode())
    return key


def _several(results: Results, column: str, kind: str) -> str:
    """What done pairs have in a column: one name, a few, or how many."""
    found = sorted({Path(row[column]).name for row in results.rows if is_done(row)} - MISSING)
    return ", ".join(found) if len(found) <= FEW else f"{len(found)} {kind}"


def _source(folder: Path) -> str:
    """The name of the dataset or the manifest that a run took its images from; of its folder where it does not say."""
    return str(read_json(folder / RUN).get("source") or folder.resolve().name)


def _facts(folder: Path, results: Results) -> Iterator[tuple[str, str]]:
    """The title of the page, then what its head says of the run, as far as it is known."""
    run, progress = read_json(folder / RUN), read_json(folder / PROGRESS)
    fixed, recipe = _several(results, "fixed", "fixed images"), _several(results, "recipe", "recipes")
    source, day = _source(folder), str(run.get("ended", ""))[:10]
    onto = f"{source} on {fixed}" if fixed else source
    yield "title", " · ".join(part for part in (onto, recipe, day) if part)
    yield "folder", folder.resolve().name
    yield "pairs", str(len(results.rows))
    if progress.get("pairs_per_s"):
        yield "pairs per minute", f"{60 * progress['pairs_per_s']:.3g}"
    if progress.get("workers"):
        yield "workers", str(progress["workers"])
    if progress.get("busy"):
        yield "time spent computing", f"{100 * progress['busy']:.0f} %"
    if recipe:
        yield "recipe", recipe
    for name in ("started", "ended"):
        if run.get(name):
            yield name, str(run[name])[:16].replace("T", " ")
    yield "warpline", str(run.get("warpline") or version("warpline"))


def _with_page(results: Results, pages: Which, sample: int) -> list[int]:
    """The numbers of the rows that get a page, worst first."""
    done = [at for at, row in enumerate(results.rows) if is_done(row)]
    if pages == "all":
        return done
    flagged = [at for at in done if results.rows[at]["verdict"] != "pass"][:WORST]
    others = [at for at in done if results.rows[at]["verdict"] == "pass"]
    drawn = np.random.default_rng(0).choice(len(others), min(sample, len(others)), replace=False)
    return [*flagged, *(others[number] for number in sorted(drawn))] if pages == "flagged" else []
