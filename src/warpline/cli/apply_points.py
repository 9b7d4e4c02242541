"""``warpline apply-points``: carry points, streamlines or surfaces from one image of a registration to the other."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from typing import TYPE_CHECKING

from warpline.cli.options import SPACES, add_grids, add_transforms, refuse_overwriting
from warpline.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Carry = Callable[[NDArray[np.float64]], NDArray[np.float64]]

    from warpline.cli.terminal import Terminal

SUMMARY = "carry points, streamlines or surfaces from one image of a registration to the other"
EXAMPLE = """\
  warpline apply-points -i electrodes.csv --to fixed -o electrodes_fixed.csv \\
                        -t out/1Warp.nii.gz -t out/0GenericAffine.mat
  warpline apply-points -i bundle.trk --to fixed --fixed template.nii.gz -o bundle_template.trk \\
                        -t out/1Warp.nii.gz -t out/0GenericAffine.mat
  warpline apply-points -i lh.white.surf.gii --to moving -o lh.moved.surf.gii -t out/0GenericAffine.mat"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument(
        "-i",
        "--input",
        required=True,
        metavar="FILE",
        help="points (.csv, .tsv), streamlines (.trk, .tck) or .surf.gii",
    )
    add_transforms(parser, required=True)
    parser.add_argument(
        "--to",
        required=True,
        choices=("fixed", "moving"),
        help="image the points are carried to; the transforms are listed as for apply in either case",
    )
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="file to write, of the same kind")
    parser.add_argument(
        "--space",
        choices=SPACES,
        default="ras",
        help="coordinates in a table of points, before and after: world RAS+ mm, the default, or LPS+ mm (ANTs, ITK)",
    )
    add_grids(parser)


def run(options: Namespace, terminal: Terminal) -> None:
    """Read, carry, write."""
    from warpline.operations import map_points, paths_in, read_chain

    kind = _kind(options.input)
    if _kind(options.output) is not kind:
        raise UsageError(f"--output {options.output} is another kind of file than --input {options.input}")
    images = (options.fixed, options.moving)
    refuse_overwriting(options.output, (options.input, *images, *paths_in(options.transform)))
    chain = read_chain(options.transform, fixed=options.fixed, moving=options.moving, geometry=options.geometry)
    count = kind(options, lambda points: map_points(chain, points, options.to))
    record = {"output": options.output, "points": count, "to": options.to, "space": options.space}
    where = f"the {options.to} image, {options.space.upper()}+ mm"
    terminal.result(record, f"wrote {options.output}: {count} points, carried to {where}")


def _carry_table(options: Namespace, carry: Carry) -> int:
    from warpline.io.points import read_point_table, write_point_table

    table = read_point_table(options.input, options.space)
    write_point_table(table.with_points(carry(table.points)), options.output, options.space)
    return len(table.points)


def _carry_streamlines(options: Namespace, carry: Carry) -> int:
    from warpline.io.images import read_grid  # its notes are printed where the transforms are read
    from warpline.io.streamlines import read_streamlines, write_streamlines

    _check_space(options)
    place = options.fixed if options.to == "fixed" else options.moving
    if place is None and options.output.endswith(".trk"):
        raise UsageError(f"a .trk file names the image it lies on; give --{options.to} IMAGE, or write a .tck file")
    grid = None if place is None else read_grid(place, options.geometry)
    streamlines = read_streamlines(options.input)
    write_streamlines(streamlines.with_points(carry(streamlines.points)), options.output, grid)
    return len(streamlines.points)


def _carry_surface(options: Namespace, carry: Carry) -> int:
    from warpline.io.surfaces import read_surface, write_surface

    _check_space(options)
    surface = read_surface(options.input)
    write_surface(surface, options.output, carry(surface.points))
    return len(surface.points)


def _check_space(options: Namespace) -> None:
    if options.space != "ras":
        raise UsageError(f"--space lps is for tables of points; {options.input} is in RAS+ mm by its format")


KINDS: dict[str, Callable[[Namespace, Carry], int]] = {
    ".csv": _carry_table,
    ".tsv": _carry_table,
    ".txt": _carry_table,
    ".trk": _carry_streamlines,
    ".tck": _carry_streamlines,
    ".gii": _carry_surface,
}
"""How a name ends, to what carries such a file."""


def _kind(path: str) -> Callable[[Namespace, Carry], int]:
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in KINDS:
        raise UsageError(f"{path} ends in none of {', '.join(KINDS)}; name a table of points, streamlines or a surface")
    return KINDS[suffix]
