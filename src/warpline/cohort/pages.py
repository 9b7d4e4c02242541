"""The pages of a cohort: one to read and decide on, and one for every pair that deserves a look.

Pages of pairs are drawn once for each result, in threads; their context in the cohort is written anew each time.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from functools import lru_cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from warpline.backends import thread_count
from warpline.cohort.failures import group_failures
from warpline.cohort.json_files import read_object, write_json
from warpline.cohort.layout import PAGE, PAIR_PAGES, PROGRESS, REPORT, RUN, page_name
from warpline.cohort.options import Pages
from warpline.cohort.outliers import not_compared
from warpline.cohort.quality import RULES
from warpline.cohort.results import NUMBERS, PairResult, metric_arrays, worst_first
from warpline.errors import InputError, OutputError
from warpline.io.images import read_image
from warpline.io.transform_files import read_transform
from warpline.report.cohort_context import CohortContext, Measure
from warpline.report.cohort_page import CohortView, PageColumn, make_folder, write_cohort_page
from warpline.report.page import write_cohort_context, write_page
from warpline.report.pair_layers import FixedSlices, draw_layers
from warpline.space import Displacement

MAX_FLAGGED, SAMPLE = 500, 100
"""Most flagged pairs that get a page; how many of the others, drawn evenly."""

MAX_THREADS = 8
"""Pages that are drawn at the same time: each holds a displacement field in memory."""

MAX_NAMES = 3
"""Most names that a title lists."""

_SHOWN = (
    *("ncc_after", "local_ncc_after", "dice", "mask_dice", "foreground_dice", "coverage", "rotation", "determinant"),
    *("displacement_mean", "log_jacobian_sd", "jacobian_min", "folded_voxels", "inverse_error_p99", "seconds"),
)


def write(
    folder: Path,
    results: Iterable[PairResult],
    *,
    pages: Pages = "flagged",
    sample: int = SAMPLE,
    draw: bool = True,
    say: Callable[[str], None] | None = None,
) -> Path:
    """Write the pages of a cohort into its output folder.

    Parameters
    ----------
    folder : Path
        The output folder, with the outputs of the pairs.
    results : iterable of PairResult
        Of every pair, finished ones with their verdict.
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
    OutputError
        When a page cannot be written.
    """
    say = say or (lambda text: None)
    rows, key = worst_first(results), cohort_key(folder)
    values = metric_arrays(rows)
    written = PairPages(folder, rows, values, key).write(_rows_with_page(rows, pages, sample), draw=draw, say=say)
    title, *facts = _facts(folder, rows)
    view = CohortView(
        key=key,
        title=title[1],
        facts=facts,
        columns=[_page_column(name) for name in NUMBERS],
        values=values,
        rows=rows,
        pages=written,
        groups=group_failures((row.id, row.failure) for row in rows if row.failure is not None),
        thumbnails=[partial(read_thumbnail, folder, row.sidecar) if row.sidecar else None for row in rows],
    )
    write_cohort_page(view, folder / REPORT)
    page = folder / PAGE
    say(f"{len(rows)} pairs on {page}, {len(written)} of them with a page of their own")
    return page


def cohort_key(folder: Path) -> str:
    """The name of a cohort wherever decisions are kept: drawn once, it moves along with the folder."""
    path = folder / REPORT / "cohort.json"
    known = read_object(path).get("key")
    if isinstance(known, str) and known:
        return known
    key = uuid.uuid4().hex[:16]
    make_folder(path.parent)
    write_json(path, {"key": key})
    return key


def _page_column(name: str) -> PageColumn:
    column, rule = NUMBERS[name], RULES.get(name)
    low, high = rule.review if rule else (None, None)
    return PageColumn(name, column.title, column.unit, column.group, column.meaning, name in _SHOWN, low, high)


def read_thumbnail(folder: Path, sidecar: str) -> bytes:
    """The thumbnail that a sidecar names; empty where it is missing, no WebP or outside the folder."""
    try:
        content = output_of(folder, read_object(folder / sidecar), "thumbnail").read_bytes()
    except (InputError, OSError):
        return b""
    return content if content[:4] == b"RIFF" and content[8:12] == b"WEBP" else b""


def _rows_with_page(rows: Sequence[PairResult], pages: Pages, sample: int) -> list[int]:
    """The numbers of the rows that get a page, worst first."""
    done = [number for number, row in enumerate(rows) if row.verdict is not None]
    if pages == "all":
        return done
    flagged = [number for number in done if rows[number].page_state != "pass"][:MAX_FLAGGED]
    others = [number for number in done if rows[number].page_state == "pass"]
    drawn = np.random.default_rng(0).choice(len(others), min(sample, len(others)), replace=False)
    return [*flagged, *(others[number] for number in sorted(drawn))] if pages == "flagged" else []


def _facts(folder: Path, rows: Sequence[PairResult]) -> Iterator[tuple[str, str]]:
    """The title of the page, then what its head says of the run, as far as it is known."""
    run, progress = read_object(folder / RUN), read_object(folder / PROGRESS)
    done = [row for row in rows if row.verdict is not None]
    fixed = _names((row.fixed for row in done), "fixed images")
    recipe = _names((row.recipe for row in done), "recipes")
    source, day = _source(folder), str(run.get("ended", ""))[:10]
    onto = f"{source} on {fixed}" if fixed else source
    yield "title", " · ".join(part for part in (onto, recipe, day) if part)
    yield "folder", folder.resolve().name
    yield "pairs", str(len(rows))
    if few := not_compared(len(done)):
        yield "verdicts by fixed limits", few
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


def _names(paths: Iterable[str | None], kind: str) -> str:
    """One name, a few, or how many different ones there are."""
    found = sorted({Path(path).name for path in paths if path})
    return ", ".join(found) if len(found) <= MAX_NAMES else f"{len(found)} {kind}"


def _source(folder: Path) -> str:
    """The name of the dataset or the manifest that a run took its images from; of its folder where it is not known."""
    return str(read_object(folder / RUN).get("source") or folder.resolve().name)


# -- pages of pairs ---------------------------------------------------------------------------------------------------


class PairPages:
    """The pages of the pairs of a cohort.

    Parameters
    ----------
    folder : Path
        The output folder.
    rows : sequence of PairResult
        All pairs, worst first.
    values : dict of str to (N,)
        Their numbers by column.
    key : str
        Names the cohort wherever decisions are kept.
    """

    def __init__(
        self, folder: Path, rows: Sequence[PairResult], values: Mapping[str, NDArray[np.float64]], key: str
    ) -> None:
        self._folder = folder
        self._pages = folder / PAIR_PAGES
        self._rows = rows
        self._values = values
        self._key, self._source = key, _source(folder)
        self._sorted = {name: np.sort(column[np.isfinite(column)]) for name, column in values.items()}
        self._done = sum(row.verdict is not None for row in rows)
        self._fixed = lru_cache(maxsize=2)(lambda path, geometry: FixedSlices.of(read_image(path, geometry)))

    def write(self, chosen: Sequence[int], *, draw: bool, say: Callable[[str], None]) -> dict[int, str]:
        """Draw the pages that are missing or show another result, and write the context of all of them.

        Parameters
        ----------
        chosen : sequence of int
            Rows that get a page, worst first; pages of others are removed.
        draw : bool
            Whether to draw; otherwise only existing pages count.
        say : callable
            Called with lines for the user.

        Returns
        -------
        dict
            The address of every page by its row, relative to the cohort's.
        """
        make_folder(self._pages)
        known = read_object(self._pages / "pages.json")
        sidecars = {at: read_object(self._folder / (self._rows[at].sidecar or "")) for at in chosen}
        names = {at: page_name(self._rows[at].sidecar or "") for at in chosen}
        digests = {at: _digest(sidecars[at]) for at in chosen}
        there = {at for at in chosen if known.get(names[at]) == digests[at] and (self._pages / names[at]).exists()}
        if draw:
            there |= self._draw({at: sidecars[at] for at in chosen if at not in there}, names, say)
        shown = [at for at in chosen if at in there]
        for number, at in enumerate(shown):
            beside = [names[shown[near]] if 0 <= near < len(shown) else None for near in (number - 1, number + 1)]
            write_cohort_context(self._context(at, beside[0], beside[1]), self._pages / names[at])
        self._remove_others({names[at] for at in shown})
        write_json(self._pages / "pages.json", {names[at]: digests[at] for at in shown})
        return {at: f"{self._pages.name}/{names[at]}" for at in shown}

    def _draw(
        self, missing: Mapping[int, Mapping[str, Any]], names: Mapping[int, str], say: Callable[[str], None]
    ) -> set[int]:
        """Draw pages in threads; returns the rows of those that could be drawn."""
        drawn: set[int] = set()
        with ThreadPoolExecutor(min(MAX_THREADS, thread_count())) as pool:
            jobs: dict[Future[None], int] = {
                pool.submit(self._draw_one, self._pages / names[at], sidecar, at): at for at, sidecar in missing.items()
            }
            for number, job in enumerate(as_completed(jobs), 1):
                try:
                    job.result()
                    drawn.add(jobs[job])
                except OutputError:
                    raise
                except Exception as error:  # a damaged sidecar costs its own page only
                    say(f"no page for {self._rows[jobs[job]].id}: {_reason(error)}")
                if number % 20 == 0:
                    say(f"page {number} of {len(missing)}")
        return drawn

    def _draw_one(self, path: Path, sidecar: Mapping[str, Any], at: int) -> None:
        """Draw a pair: inputs are those of the manifest, outputs lie in the folder, whatever the sidecar says."""
        row, geometry = self._rows[at], sidecar.get("geometry")
        fixed = self._fixed(self._folder / str(row.fixed), geometry)
        moving = read_image(self._folder / str(row.moving), geometry)
        warped = read_image(output_of(self._folder, sidecar, "warped"))
        warp = read_transform(output_of(self._folder, sidecar, "warp")) if "warp" in sidecar["outputs"] else None
        spread = (
            read_image(output_of(self._folder, sidecar, "uncertainty")) if "uncertainty" in sidecar["outputs"] else None
        )
        shown = warp if isinstance(warp, Displacement) else None
        layers = draw_layers(fixed, moving, warped, shown, uncertainty=spread)
        write_page(sidecar, layers, path, self._context(at))

    def _remove_others(self, names: set[str]) -> None:
        """Remove pages of other pairs and earlier results, and their scripts."""
        wanted = names | {f"{name.removesuffix('.html')}.js" for name in names}
        for pattern in ("*.html", "*.js"):
            for path in self._pages.glob(pattern):
                if path.name not in wanted:
                    path.unlink(missing_ok=True)

    def _context(self, at: int, before: str | None = None, after: str | None = None) -> CohortContext:
        row, longest = self._rows[at], self._sorted["displacement_max"]
        return CohortContext(
            id=row.id,
            cohort=self._key,
            pairs=self._done,
            verdict=row.page_state,
            reasons=() if row.verdict is None else row.verdict.reasons,
            measures=tuple(self._measures(at)),
            index=f"../index.html#id={quote(row.id, safe='')}",
            previous=before and quote(before),
            next=after and quote(after),
            displacement=float(np.percentile(longest, 99)) if longest.size else None,
            source=self._source,
            not_compared=not_compared(self._done),
        )

    def _measures(self, at: int) -> Iterator[Measure]:
        flagged = self._rows[at].flagged
        for name, column in NUMBERS.items():
            value = float(self._values[name][at])
            if np.isfinite(value):
                yield Measure(
                    *(column.title, column.unit, column.meaning, column.group),
                    int(value) if value.is_integer() else value,
                    round(_percentile(self._sorted[name], value), 1),
                    name in flagged,
                )


def output_of(folder: Path, sidecar: Mapping[str, Any], kind: str) -> Path:
    """A file that a sidecar calls an output of its pair; it must lie in the folder, links followed.

    Raises
    ------
    InputError
        When it does not, or the sidecar is damaged.
    """
    outputs = sidecar.get("outputs")
    name = outputs.get(kind) if isinstance(outputs, dict) else None
    if not isinstance(name, str) or "\0" in name or not (folder / name).resolve().is_relative_to(folder.resolve()):
        raise InputError(f"the sidecar names no {kind} inside the output folder, but {str(name)[:80]!r}")
    return folder / name


def _reason(error: Exception) -> str:
    known = isinstance(error, InputError)
    return str(error) if known else f"its sidecar is damaged ({type(error).__name__}); run the pair again"


def _digest(sidecar: Mapping[str, Any]) -> str:
    """What a page belongs to: the result it shows, and the version that drew it."""
    shown = (version("warpline"), sidecar.get("key"), sidecar.get("finished"))
    return hashlib.blake2b(repr(shown).encode(), digest_size=8).hexdigest()


def _percentile(ranked: NDArray[np.float64], value: float) -> float:
    """Share of the cohort below a value, and half of those that equal it, 0 to 100."""
    return float(50 * (np.searchsorted(ranked, value) + np.searchsorted(ranked, value, "right")) / len(ranked))
