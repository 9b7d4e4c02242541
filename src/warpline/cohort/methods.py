"""The methods of a cohort in words, from its sidecars: a few of every recipe, spread over the cohort."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from warpline.cohort.json_files import read_object
from warpline.cohort.layout import CITATION
from warpline.cohort.outliers import MIN_PAIRS, not_compared
from warpline.cohort.results import PairResult, count_verdicts
from warpline.errors import InputError
from warpline.io.atomic import write_atomic
from warpline.report.evidence import Evidence
from warpline.report.methods import describe
from warpline.report.references import as_markdown

_log = logging.getLogger(__name__)

LOOKED_AT = 100
"""Sidecars of each recipe that are read at most."""


def cohort_methods(root: Path, results: Sequence[PairResult]) -> str:
    """What was done to the finished pairs of a cohort, as Markdown with references.

    Parameters
    ----------
    root : Path
        The output folder.
    results : sequence of PairResult
        Of all pairs, with verdicts.

    Raises
    ------
    InputError
        When no pair is finished.
    """
    finished = [result for result in results if result.status == "ok" and result.sidecar]
    if not finished:
        raise InputError(f"{root} has no finished pair to describe; run the cohort first")
    paragraphs = []
    for recipe in dict.fromkeys(result.recipe for result in finished):
        own = [result for result in finished if result.recipe == recipe]
        spread = own[:: -(-len(own) // LOOKED_AT)]
        for reports in _by_options([read_object(root / str(result.sidecar)) for result in spread]):
            alone, all_seen = len(reports) == len(spread), len(spread) == len(own)
            paragraphs.append(describe(Evidence(reports, len(own) if alone else len(reports) if all_seen else 0)))
    return as_markdown([*paragraphs, _verdicts(results, len(finished))])


def write_methods(root: Path, results: Sequence[PairResult]) -> None:
    """Write the methods of the finished pairs beside the tables; nothing where none is finished.

    A warning is logged where they cannot be put into words: hours of results do not end in that.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    if not any(result.status == "ok" for result in results):
        return
    try:
        text = cohort_methods(root, results)
    except InputError as error:
        _log.warning("no %s is written: %s", CITATION, error)
        return
    write_atomic(root / CITATION, text.encode())


def _by_options(reports: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Reports of the same options: recipes of one name may differ by ``--set``."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for report in reports:
        groups.setdefault(json.dumps(report.get("recipe"), sort_keys=True), []).append(report)
    return list(groups.values())


def _verdicts(results: Sequence[PairResult], finished: int) -> str:
    failed = sum(result.status == "failed" for result in results)
    counts = ", ".join(f"{count} {verdict}" for verdict, count in count_verdicts(results).items())
    compared = " and by robust z-scores, medians and median absolute deviations of the cohort [@rousseeuw]"
    alone = f"; with fewer than {MIN_PAIRS} pairs they were not compared with each other"
    how = alone if not_compared(finished) else compared
    return (
        f"Of {len(results)} pairs, {finished} were registered and {failed} failed. Registrations were judged by limits "
        f"of their quality{how}: {counts}."
    )
