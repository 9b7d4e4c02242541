"""``warpline series apply``: move a series by the motion in a file and further transforms, in one interpolation."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from warpline.cli.options import add_device, add_geometry, add_transforms, positive, refuse_overwriting
from warpline.cli.series.register import INTERPOLATIONS, TYPES

if TYPE_CHECKING:
    from warpline.cli.terminal import Terminal

SUMMARY = "move a series by motion that was found before, and further transforms, in one interpolation"
EXAMPLE = """\
  warpline series apply bold.nii.gz --motion out/sub-01_Motion.txt -r mni_2mm.nii.gz -o bold_mni.nii.gz \\
                        -t t1_to_mni/1Warp.nii.gz -t t1_to_mni/0GenericAffine.mat -t out/sub-01_0GenericAffine.mat"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the action."""
    parser.add_argument("series", metavar="SERIES", help="the series as it was measured")
    parser.add_argument(
        "--motion",
        required=True,
        metavar="FILE",
        help="affines of all volumes: Motion.txt of series register, or fMRIPrep's",
    )
    parser.add_argument("-r", "--grid", metavar="FILE", help="image whose grid the result gets; default: the series")
    parser.add_argument("--spacing", type=positive, metavar="MM", help="voxel size of the result")
    add_transforms(parser)
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="series to write: .nii or .nii.gz")
    parser.add_argument("--interpolation", choices=INTERPOLATIONS, default="cubic", help="default: cubic")
    parser.add_argument("--values", choices=TYPES, default="float32", help="default: float32")
    add_geometry(parser)
    add_device(parser)


def run(options: Namespace, terminal: Terminal) -> None:
    """Read the motion, move, write."""
    from warpline.operations import paths_in
    from warpline.series import Destination, apply_motion

    refuse_overwriting(options.output, (options.series, options.motion, options.grid, *paths_in(options.transform)))
    shape = apply_motion(
        options.series,
        options.motion,
        options.output,
        destination=Destination(None, options.transform, options.grid, options.spacing),
        interpolation=options.interpolation,
        values=options.values,
        geometry=options.geometry,
        backend=options.backend,
        threads=options.threads,
    )
    terminal.result(
        {"output": options.output, "shape": shape}, f"wrote {options.output}: {' x '.join(map(str, shape))}"
    )
