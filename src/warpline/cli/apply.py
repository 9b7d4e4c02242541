"""``warpline apply``: carry an image, labels, vectors or a time series through transforms onto a reference grid."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING, Any

from warpline.cli.options import add_device, add_geometry, add_transforms, finite, positive, refuse_overwriting

if TYPE_CHECKING:
    from warpline.cli.terminal import Terminal

SUMMARY = "carry an image, labels, vectors or a time series through transforms onto a reference grid"
EXAMPLE = """\
  warpline apply -i moving.nii.gz -r fixed.nii.gz -o warped.nii.gz \\
                 -t out/1Warp.nii.gz -t out/0GenericAffine.mat
  warpline apply -i fixed_labels.nii.gz -r moving.nii.gz -o back.nii.gz --interpolation label \\
                 -t "[out/0GenericAffine.mat,1]" -t out/1InverseWarp.nii.gz
  warpline apply -i large.nii -r large_reference.nii -o warped.nii -t out/1Warp.nii --memory 16"""

INTERPOLATIONS = ("linear", "nearest", "cubic", "sinc", "label")
"""Keys of `warpline.resampling.INTERPOLATIONS`, which is not loaded for a help text."""

FRAMES = ("ras", "lps", "voxel", "none")
"""Keys of `warpline.io.vectors.FRAMES`, and its name for no frame."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument(
        "-i", "--image", required=True, metavar="FILE", help="image to carry over: 2-D, 3-D, 4-D, labels or vectors"
    )
    parser.add_argument("-r", "--reference", required=True, metavar="FILE", help="image whose grid the result gets")
    add_transforms(parser, required=True)
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="image to write")
    parser.add_argument(
        "--interpolation",
        choices=INTERPOLATIONS,
        default="linear",
        help="default: linear; label gives every voxel the label with the most linear weight and refuses fractions",
    )
    parser.add_argument(
        "--outside",
        type=finite,
        metavar="VALUE",
        help="value beyond the image; default: 0, or its background where that is far from 0, as in CT",
    )
    parser.add_argument(
        "--vectors",
        choices=FRAMES,
        help="the image holds three components per voxel along world R, A, S; along L, P, S (ITK, ANTs); or along the "
        "axes of its voxels: each vector is turned with the anatomy; none: each component is carried by itself",
    )
    parser.add_argument(
        "--memory",
        type=positive,
        metavar="GB",
        help="memory the process may take; default: what is free. Images that need more are carried over part by part",
    )
    add_geometry(parser)
    add_device(parser)


def run(options: Namespace, terminal: Terminal) -> None:
    """Read, carry over in one interpolation, write."""
    from warpline.io.images import check_name, write_image
    from warpline.io.vectors import BY_THEMSELVES
    from warpline.operations import apply, paths_in

    check_name(options.output)
    refuse_overwriting(options.output, (options.image, options.reference, *paths_in(options.transform)))
    passed = ("interpolation", "outside", "geometry", "backend", "threads", "memory")
    how: dict[str, Any] = {name: getattr(options, name) for name in passed}
    if options.vectors in (None, BY_THEMSELVES):
        warped = apply(options.image, options.reference, options.transform, vectors=options.vectors, **how)
        write_image(warped, options.output)
    else:
        warped = _apply_to_vectors(options, how)
    record = {"output": options.output, "shape": warped.data.shape, "dtype": str(warped.data.dtype)}
    terminal.result(record, f"wrote {options.output}: {' x '.join(map(str, warped.data.shape))} {warped.data.dtype}")


def _apply_to_vectors(options: Namespace, how: dict[str, Any]) -> Any:
    from warpline.io.vectors import read_vectors, write_vectors
    from warpline.operations import apply, log_notes

    stored = read_vectors(options.image, options.geometry)
    log_notes(stored.image.grid)
    warped = apply(stored.image, options.reference, options.transform, vectors=options.vectors, **how)
    write_vectors(warped, options.output, stored)
    return warped
