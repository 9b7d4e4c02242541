"""Cohorts: thousands of registrations with resume, classes of failures, and tables of their quality.

`run` registers every pair of a manifest or a BIDS folder that is not done yet. Nothing heavy is imported before a
pair is computed; Dask only when there are several workers.
"""

from warpline.cohort.driver import StopReason
from warpline.cohort.failures import Group
from warpline.cohort.group import GroupOptions, GroupSummary, summarise
from warpline.cohort.manifest import Pair, find_pairs, read_manifest, write_manifest
from warpline.cohort.options import Options
from warpline.cohort.results import PairResult, read_results
from warpline.cohort.running import Summary, report, run

__all__ = [
    "Group",
    "GroupOptions",
    "GroupSummary",
    "Options",
    "Pair",
    "PairResult",
    "StopReason",
    "Summary",
    "find_pairs",
    "read_manifest",
    "read_results",
    "report",
    "run",
    "summarise",
    "write_manifest",
]
