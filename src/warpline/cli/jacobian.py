"""``warpline jacobian``: how much a map enlarges space, voxel by voxel."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from warpline.cli.options import add_device, add_geometry, add_transforms, refuse_overwriting

if TYPE_CHECKING:
    from warpline.cli.terminal import Terminal

SUMMARY = "write the Jacobian determinant of a map, its affine part included"
EXAMPLE = """\
  warpline jacobian -t out/1Warp.nii.gz -t out/0GenericAffine.mat -r fixed.nii.gz -o jacobian.nii.gz
  warpline jacobian -t out/1Warp.nii.gz -r fixed.nii.gz -o log_jacobian.nii.gz --log"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    add_transforms(parser, required=True)
    parser.add_argument(
        "-r", "--reference", required=True, metavar="FILE", help="fixed image: the grid of the result, and its voxels"
    )
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="image to write")
    parser.add_argument("--log", action="store_true", help="natural logarithm; NaN where the map folds")
    parser.add_argument("--moving", metavar="FILE", help="moving image; some formats of transforms need it")
    add_geometry(parser)
    add_device(parser)


def run(options: Namespace, terminal: Terminal) -> None:
    """Measure and write."""
    import numpy as np

    from warpline.io.images import check_name, write_image
    from warpline.operations import jacobian, paths_in

    check_name(options.output)
    refuse_overwriting(options.output, (options.reference, options.moving, *paths_in(options.transform)))
    where = {name: getattr(options, name) for name in ("log", "moving", "geometry", "backend", "threads")}
    image = jacobian(options.transform, options.reference, **where)
    write_image(image, options.output)
    values = image.data[np.isfinite(image.data)]
    folded = int(image.data.size - values.size if options.log else np.count_nonzero(values <= 0))
    extremes = {"minimum": float(values.min()), "median": float(np.median(values)), "maximum": float(values.max())}
    shown = ", ".join(f"{name} {value:.4g}" for name, value in extremes.items())
    terminal.result(
        {"output": options.output, **extremes, "folded_voxels": folded},
        f"wrote {options.output}: {shown}, {folded} folded voxels",
    )
