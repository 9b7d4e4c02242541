"""``warpline evaluate``: overlap of labels, folds, inverse error and landmark error of a registration."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING, Any

from warpline.cli.options import add_device, add_geometry, add_transforms, as_prefix
from warpline.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from warpline.cli.terminal import Terminal
    from warpline.evaluation.measures import Differences
    from warpline.images import Image
    from warpline.space import Chain, Displacement
    from warpline.space.grid import Grid

SUMMARY = "measure a registration: Dice per label, folds, inverse error, landmark error"
EXAMPLE = """\
  warpline evaluate --fixed-labels fixed_labels.nii.gz --moving-labels moving_labels.nii.gz --prefix out/sub-01_
  warpline evaluate --fixed-labels a.nii.gz --moving-labels b.nii.gz --prefix out/ --interpolation label
  warpline evaluate --fixed-labels fixed_labels.nii.gz --warped-labels labels.nii.gz --json
  warpline evaluate --fixed-points fixed.csv --moving-points moving.csv -t Warp.nii.gz -t Affine.mat"""

INTERPOLATIONS = {"nearest": "nearest neighbour", "label": "the vote of the eight voxels around"}
"""How labels may be carried over, keys of `warpline.resampling.INTERPOLATIONS`, in words; the first unless asked."""

AS_GIVEN = "as given"
"""Interpolation of labels that somebody else carried over."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    labels = parser.add_argument_group("labels")
    labels.add_argument("--fixed-labels", metavar="FILE", help="labels of the fixed image")
    labels.add_argument("--moving-labels", metavar="FILE", help="labels of the moving image, carried over here")
    labels.add_argument(
        "--interpolation",
        choices=tuple(INTERPOLATIONS),
        help="how --moving-labels are carried over; default: nearest, as is usual. Dice by label, as apply "
        "writes labels, is higher: compare numbers of one interpolation only",
    )
    labels.add_argument("--warped-labels", metavar="FILE", help="labels that are on the fixed grid already")
    points = parser.add_argument_group("landmarks")
    points.add_argument("--fixed-points", metavar="CSV", help="a line x,y,z per landmark: world (RAS+) mm")
    points.add_argument("--moving-points", metavar="CSV", help="the same landmarks in the moving image")
    add_transforms(parser)
    parser.add_argument(
        "--inverse", action="append", default=[], metavar="FILE", help="the map back, written as for -t"
    )
    parser.add_argument("--prefix", metavar="PREFIX", help="outputs of a registration, instead of -t and --inverse")
    add_geometry(parser)
    add_device(parser)


def run(options: Namespace, terminal: Terminal) -> None:
    """Measure what the arguments allow."""
    _check(options)
    if options.prefix:
        _fill_from_prefix(options)
    record = {**_labels(options), **_maps(options), **_landmarks(options)}
    terminal.result(record, *_lines(record))


def _fill_from_prefix(options: Namespace) -> None:
    """Name the transforms a registration left, as ``-t`` and ``--inverse`` would."""
    from warpline.registration import AFFINE, INVERSE_WARP, WARP

    prefix = as_prefix(options.prefix)
    warped = os.path.exists(prefix + WARP)
    options.transform = [prefix + WARP] * warped + [prefix + AFFINE]
    options.inverse = [f"[{prefix}{AFFINE},1]"] + [prefix + INVERSE_WARP] * warped


def _check(options: Namespace) -> None:
    if options.moving_labels and options.warped_labels:
        raise UsageError("--moving-labels and --warped-labels exclude each other; give one of them")
    if options.interpolation and not options.moving_labels:
        raise UsageError(
            f"--interpolation {options.interpolation} says how --moving-labels are carried over; give them too"
        )
    if bool(options.fixed_labels) != bool(options.moving_labels or options.warped_labels):
        raise UsageError("labels come in pairs: --fixed-labels with --moving-labels or --warped-labels")
    if bool(options.fixed_points) != bool(options.moving_points):
        raise UsageError("landmarks come in pairs: --fixed-points with --moving-points")
    if options.prefix and (options.transform or options.inverse):
        raise UsageError("--prefix names the transforms itself; leave out -t and --inverse")
    if not (options.fixed_labels or options.fixed_points or options.transform or options.prefix):
        raise UsageError("there is nothing to measure; give labels, landmarks, transforms or --prefix (see --help)")


def _labels(options: Namespace) -> dict[str, Any]:
    if not options.fixed_labels:
        return {}
    from dataclasses import asdict

    from warpline.evaluation import overlap
    from warpline.operations import read

    fixed = read(options.fixed_labels, geometry=options.geometry)
    given = options.warped_labels
    how = AS_GIVEN if given else options.interpolation or next(iter(INTERPOLATIONS))
    warped = read(given, geometry=options.geometry) if given else _warped_labels(options, fixed.grid, how)
    return {"overlap": {**asdict(overlap(fixed, warped)), "interpolation": how}}


def _warped_labels(options: Namespace, grid: Grid, interpolation: str) -> Image:
    from warpline.backends import select
    from warpline.operations import check_labels, read, read_chain
    from warpline.resampling import INTERPOLATIONS as FUNCTIONS

    labels = read(options.moving_labels, geometry=options.geometry)
    check_labels(labels)
    backend = select(options.backend, options.threads)
    carry = FUNCTIONS[interpolation]
    return carry(labels, read_chain(options.transform), grid, outside=0.0, backend=backend, threads=options.threads)


def _maps(options: Namespace) -> dict[str, Any]:
    """Folds of the first displacement field and inverse error, inside the fixed labels where they share its grid."""
    from dataclasses import asdict

    from warpline.evaluation import inverse_error
    from warpline.operations import read_chain
    from warpline.space import Displacement

    chain = read_chain(options.transform)
    fields = [part for part in chain.parts if isinstance(part, Displacement)]
    if not fields:
        return {}
    mask = _mask_on(fields[0].grid, options)
    record = {"folding": _folding(fields[0], mask, options, "central")}
    record["folding_by_any_differences"] = _folding(fields[0], mask, options, "any")
    if options.inverse:
        record["inverse_error"] = asdict(inverse_error(chain, read_chain(options.inverse), fields[0].grid, mask))
    return record


def _mask_on(grid: Grid, options: Namespace) -> Image | None:
    from warpline.io.images import read_image

    path = options.fixed_labels
    labels = None if path is None else read_image(path, options.geometry)
    return labels if labels is not None and labels.grid == grid else None


def _folding(field: Displacement, mask: Image | None, options: Namespace, differences: Differences) -> dict[str, Any]:
    from dataclasses import asdict

    from warpline.backends import select
    from warpline.evaluation import folding

    return asdict(folding(field, mask, differences=differences, backend=select(options.backend, options.threads)))


def _landmarks(options: Namespace) -> dict[str, Any]:
    if not options.fixed_points:
        return {}
    from dataclasses import asdict

    from warpline.evaluation import landmark_error
    from warpline.io.points import read_points
    from warpline.operations import read_chain

    chain: Chain = read_chain(options.transform)
    error = landmark_error(read_points(options.fixed_points), read_points(options.moving_points), chain)
    return {"landmark_error_mm": asdict(error)}


_SHOWN = ("folding", "folding_by_any_differences", "inverse_error", "landmark_error_mm")


def _lines(record: dict[str, Any]) -> list[str | Table]:
    shown: list[str | Table] = []
    if "overlap" in record:
        from rich.table import Table

        overlap = record["overlap"]
        table = Table("label", "Dice")
        for label, dice in overlap["dice"].items():
            table.add_row(str(label), f"{dice:.4f}")
        how = INTERPOLATIONS.get(overlap["interpolation"])
        carried = (
            f"carried over by {how} (--interpolation {overlap['interpolation']})" if how else "carried over before"
        )
        shown += [table, f"mean Dice of {len(overlap['dice'])} labels, {carried}: {overlap['mean']:.4f}"]
        if overlap["missing"]:
            shown.append(f"in one image only, not counted: {', '.join(map(str, overlap['missing']))}")
    shown += [_line(name, record[name]) for name in _SHOWN if name in record]
    return shown


def _line(name: str, numbers: dict[str, float]) -> str:
    return f"{name.replace('_', ' ')}: " + ", ".join(f"{key} {value:.4g}" for key, value in numbers.items())
