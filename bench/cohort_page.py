"""How fast the page of a large cohort opens: python bench/cohort_page.py [ROWS]. Needs Chromium and Playwright."""

from __future__ import annotations

import json
import platform
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, sync_playwright

from warpline.cohort.outliers import Verdict, judge_columns
from warpline.cohort.quality import RULES
from warpline.cohort.results import NUMBERS, PairResult
from warpline.report.cohort_page import CohortView, PageColumn, write_cohort_page

ACTIONS = {
    "sort a column": "sortBy('dice')",
    "sort by id": "sortBy('id')",
    "search a word": "(state.search = 'sub-0123', refresh())",
    "search a column": "(state.search = 'dice<0.5', refresh())",
    "clear": "clearAll()",
    "choose a pair": "choose(20000 % rowCount)",
    "scroll": "(list.scrollTop = 300000, drawList())",
}

CLOCK = "() => { const from = performance.now(); %s; return performance.now() - from; }"


def cohort_of(count: int) -> CohortView:
    """Pairs with every column, drawn at random, judged and in order."""
    draw = np.random.default_rng(0)
    values = {name: draw.normal(0.7, 0.05, count) for name in NUMBERS}
    values |= {"folded_share": np.zeros(count), "coverage": np.ones(count), "inverse_error_p99": np.full(count, 0.2)}
    verdicts = judge_columns(values, count)
    order = sorted(range(count), key=lambda at: -(verdicts[at].score or 0.0))
    rows = [row_of(at, verdicts[at]) for at in order]
    columns = [PageColumn(n, c.title, c.unit, c.group, c.meaning, shown=n in RULES) for n, c in NUMBERS.items()]
    return CohortView("bench", f"{count} pairs", (), columns, {n: v[order] for n, v in values.items()}, rows)


def row_of(number: int, found: Verdict) -> PairResult:
    """A pair with two columns of its manifest."""
    free = {"site": ("Basel", "Kyoto", "Oxford")[number % 3], "age": str(20 + number % 60)}
    return PairResult(f"sub-{number:06d}", "ok", verdict=found, columns=free)


def timed(page: Page, index: Path) -> dict[str, float]:
    """Milliseconds until the page is drawn, and for each action."""
    start = time.perf_counter()
    page.goto(index.as_uri())
    page.wait_for_selector("[data-ready]")
    found = {"open": 1000 * (time.perf_counter() - start)}
    for name, action in ACTIONS.items():
        found[name] = page.evaluate(CLOCK % action)
    return {name: round(value, 1) for name, value in found.items()}


def main() -> None:
    """Write the page, open it three times, print the best time of everything as JSON."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        start = time.perf_counter()
        cohort = cohort_of(count)
        made = time.perf_counter()
        index = write_cohort_page(cohort, Path(folder))
        written = time.perf_counter()
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        runs = [timed(browser.new_page(viewport={"width": 1440, "height": 900}), index) for _ in range(3)]
        result = {
            "rows": count,
            "columns": len(cohort.columns),
            "data_mb": round((index.parent / "data.js").stat().st_size / 1e6, 1),
            "judge_and_sort_s": round(made - start, 2),
            "write_s": round(written - made, 2),
            "browser_ms": {name: min(run[name] for run in runs) for name in runs[0]},
            "browser": browser.version,
            "platform": platform.platform(),
        }
        browser.close()
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
