"""``warpline cohort init``: a manifest from the files there are."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from warpline.cli.terminal import Terminal


SUMMARY = "write a manifest, the table of pairs, from the files there are"
EXAMPLE = """\
  warpline cohort init "data/{id}_T1w.nii.gz" --fixed template.nii.gz -o cohort.tsv
  warpline cohort init "data/{id}/t1.nii.gz" --labels "data/{id}/labels.nii.gz" --all-pairs > pairs.tsv"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the action."""
    parser.add_argument(
        "pattern", metavar="PATTERN", help="of the moving images, quoted; {id} stands for what becomes the id"
    )
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("--fixed", metavar="FILE", help="the image that all are registered to")
    target.add_argument("--all-pairs", action="store_true", help="every image onto every other one")
    parser.add_argument("--labels", metavar="PATTERN", help="where their labels lie, with {id}")
    parser.add_argument("--fixed-labels", metavar="FILE", help="labels of the fixed image")
    parser.add_argument("-o", "--output", metavar="FILE.tsv", help="where to write it; default: stdout")


def run(options: Namespace, terminal: Terminal) -> None:
    """Find the files, write the table."""
    from warpline.cohort.manifest import check_ids, find_pairs, format_manifest, write_manifest

    labels = {"labels": options.labels, "fixed_labels": options.fixed_labels}
    pairs = find_pairs(options.pattern, fixed=options.fixed, **labels)
    check_ids(pairs, options.pattern)
    if options.output is None:
        terminal.result({"pairs": len(pairs)}, format_manifest(pairs, Path.cwd()).rstrip("\n"))
        return
    path = Path(os.path.abspath(options.output))
    write_manifest(pairs, path)
    shown = f"{len(pairs)} pairs in {options.output}"
    terminal.result(
        {"pairs": len(pairs), "manifest": str(path)}, shown, f"next:  warpline cohort check {options.output} out"
    )
