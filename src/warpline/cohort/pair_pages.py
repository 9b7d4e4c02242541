"""Pages of single pairs: drawn once for each result, on every core; their place in the cohort is told to them anew."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from warpline.backends import thread_count
from warpline.cohort.results import MISSING, NUMBERS, Results, is_done, read_json
from warpline.errors import InputError, OutputError
from warpline.io.atomic import write_atomic
from warpline.io.images import read_image
from warpline.io.transform_files import read_transform
from warpline.report.cohort_page import make_folder
from warpline.report.page import place_in_cohort, write_page
from warpline.report.pair_layers import FixedCuts, draw_layers
from warpline.report.standing import Measure, Standing
from warpline.space import Displacement

FOLDER = "report"
PAIRS = "pairs"

MOST_AT_ONCE = 8
"""Pages that are drawn at the same time: each holds a displacement field in memory."""

_ENDING = "_desc-registration_qc.json"


class PairPages:
    """The pages of the pairs of a cohort.

    Parameters
    ----------
    folder : Path
        The output folder.
    results : Results
        Its tables.
    key : str
        Names the cohort wherever decisions are kept.
    source : str
        Name of the dataset, for people.
    """

    def __init__(self, folder: Path, results: Results, key: str, source: str) -> None:
        self._folder = folder
        self._pairs = folder / FOLDER / PAIRS
        self._results = results
        self._key, self._source = key, source
        self._ranked = results.ranked()
        self._done = sum(map(is_done, results.rows))
        self._cut = lru_cache(maxsize=2)(lambda path, geometry: FixedCuts.of(read_image(path, geometry)))

    def write(self, chosen: Sequence[int], *, draw: bool, say: Callable[[str], None]) -> dict[int, str]:
        """Draw the pages that are missing or show another result, and tell all of them their place.

        Parameters
        ----------
        chosen : sequence of int
            Rows that get a page, worst first; pages of others are taken away.
        draw : bool
            Whether to draw; otherwise only pages that are there count.
        say : callable
            Takes a line for the user.

        Returns
        -------
        dict
            The address of every page by its row, relative to the cohort's.
        """
        make_folder(self._pairs)
        known = read_json(self._pairs / "pages.json")
        sidecars = {at: read_json(self._folder / self._results.rows[at]["sidecar"]) for at in chosen}
        names = {at: f"{Path(self._results.rows[at]['sidecar']).name.removesuffix(_ENDING)}.html" for at in chosen}
        digests = {at: _digest(sidecars[at]) for at in chosen}
        there = [at for at in chosen if known.get(names[at]) == digests[at] and (self._pairs / names[at]).exists()]
        missing = [at for at in chosen if at not in set(there)]
        if draw:
            there += self._draw({at: (names[at], sidecars[at]) for at in missing}, say)
        kept = set(there)
        shown = [at for at in chosen if at in kept]
        for at, standing in self._standings(shown, names):
            place_in_cohort(standing, self._pairs / names[at])
        self._sweep({names[at] for at in shown})
        write_atomic(self._pairs / "pages.json", json.dumps({names[at]: digests[at] for at in shown}).encode())
        return {at: f"{PAIRS}/{names[at]}" for at in shown}

    def _draw(self, missing: Mapping[int, tuple[str, Mapping[str, Any]]], say: Callable[[str], None]) -> list[int]:
        """Draw pages side by side; returns the rows of those that could be drawn."""
        drawn: list[int] = []
        with ThreadPoolExecutor(min(MOST_AT_ONCE, thread_count())) as pool:
            jobs: dict[Future[None], int] = {
                pool.submit(self._draw_one, self._pairs / name, sidecar, at): at
                for at, (name, sidecar) in missing.items()
            }
            for number, job in enumerate(as_completed(jobs), 1):
                at = jobs[job]
                try:
                    job.result()
                    drawn.append(at)
                except OutputError:
                    raise
                except Exception as error:  # a damaged sidecar costs its own page only
                    say(f"no page for {self._results.rows[at]['id']}: {_reason(error)}")
                if number % 20 == 0:
                    say(f"page {number} of {len(missing)}")
        return drawn

    def _draw_one(self, path: Path, sidecar: Mapping[str, Any], at: int) -> None:
        """Draw a pair: inputs are those of the manifest, outputs lie in the folder, whatever the sidecar says."""
        row, geometry = self._results.rows[at], sidecar.get("geometry")
        fixed = self._cut(self._folder / row["fixed"], geometry)
        moving = read_image(self._folder / row["moving"], geometry)
        warped = read_image(output_of(self._folder, sidecar, "warped"))
        warp = read_transform(output_of(self._folder, sidecar, "warp")) if "warp" in sidecar["outputs"] else None
        layers = draw_layers(fixed, moving, warped, warp if isinstance(warp, Displacement) else None)
        write_page(sidecar, layers, path, self._standing(at, (None, None)))

    def _sweep(self, names: set[str]) -> None:
        """Take away pages of other pairs and earlier results, and what stands beside them."""
        wanted = names | {f"{name.removesuffix('.html')}.js" for name in names}
        for pattern in ("*.html", "*.js"):
            for path in self._pairs.glob(pattern):
                if path.name not in wanted:
                    path.unlink(missing_ok=True)

    def _standings(self, shown: Sequence[int], names: Mapping[int, str]) -> Iterator[tuple[int, Standing]]:
        for number, at in enumerate(shown):
            beside = [names[shown[near]] if 0 <= near < len(shown) else None for near in (number - 1, number + 1)]
            yield at, self._standing(at, (beside[0], beside[1]))

    def _standing(self, at: int, beside: tuple[str | None, str | None]) -> Standing:
        row, longest = self._results.rows[at], self._ranked["displacement_max"]
        return Standing(
            id=row["id"],
            cohort=self._key,
            pairs=self._done,
            verdict=row["verdict"],
            reasons=() if row["reasons"] in MISSING else tuple(row["reasons"].split("; ")),
            measures=tuple(self._measures(at)),
            index=f"../index.html#id={quote(row['id'], safe='')}",
            previous=beside[0] and quote(beside[0]),
            next=beside[1] and quote(beside[1]),
            displacement=float(np.percentile(longest, 99)) if longest.size else None,
            source=self._source,
        )

    def _measures(self, at: int) -> Iterator[Measure]:
        flagged = self._results.flagged.get(at, ())
        for name, column in NUMBERS.items():
            value = float(self._results.values[name][at])
            if np.isfinite(value):
                yield Measure(
                    *(column.title, column.unit, column.meaning, column.group),
                    int(value) if value.is_integer() else value,
                    round(_percentile(self._ranked[name], value), 1),
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
