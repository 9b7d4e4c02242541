"""``warpline apply``: carry an image, labels or a time series through transforms onto a reference grid."""

from __future__ import annotations

import re
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from warpline.cli.options import add_device
from warpline.cli.terminal import Terminal
from warpline.errors import InputError, UsageError

if TYPE_CHECKING:
    from warpline.image import Image
    from warpline.transforms import Chain, Part

SUMMARY = "carry an image, labels or a time series through transforms onto a reference grid"
EXAMPLE = """\
  warpline apply -i moving.nii.gz -r fixed.nii.gz -o warped.nii.gz \\
                 -t out/1Warp.nii.gz -t out/0GenericAffine.mat
  warpline apply -i fixed_labels.nii.gz -r moving.nii.gz -o back.nii.gz --interpolation label \\
                 -t [out/0GenericAffine.mat,1] -t out/1InverseWarp.nii.gz"""

ORDERS = {"linear": 1, "nearest": 0, "cubic": 3, "label": 0}
"""Interpolation to order of the spline; ``label`` is nearest for images of whole numbers, and refuses others."""

_INVERTED = re.compile(r"\[(?P<path>.+),(?P<flag>[01])\]")


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("-i", "--image", required=True, metavar="FILE", help="image to carry over: 3-D, 4-D or labels")
    parser.add_argument("-r", "--reference", required=True, metavar="FILE", help="image whose grid the result gets")
    add_transforms(parser, required=True)
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="image to write")
    parser.add_argument(
        "--interpolation",
        choices=tuple(ORDERS),
        default="linear",
        help="default: linear; label keeps every value exactly and refuses images of fractions",
    )
    parser.add_argument("--outside", type=float, default=0.0, metavar="X", help="value beyond the image; default: 0")
    add_device(parser)


def add_transforms(parser: ArgumentParser, *, required: bool = False) -> None:
    """``-t``, once per transform."""
    parser.add_argument(
        "-t",
        "--transform",
        action="append",
        default=[],
        required=required,
        metavar="FILE",
        help="in the order in which points of the reference go through them, as for ANTs: "
        "-t WARP -t AFFINE; [AFFINE,1] is the inverse of an affine",
    )


def run(options: Namespace, terminal: Terminal) -> None:
    """Read, carry over in one interpolation, write."""
    from warpline.backends import select
    from warpline.io.images import check_name, read_image, write_image
    from warpline.resampling import warp

    check_name(options.output)
    _check_not_an_input(options)
    image, reference = read_image(options.image), read_image(options.reference)
    if options.interpolation == "label":
        check_labels(image)
    order = ORDERS[options.interpolation]
    backend = select(options.backend, options.threads)
    chain = read_chain(options.transform)
    warped = warp(image, chain, reference.grid, order=order, outside=options.outside, backend=backend)
    write_image(warped, options.output)
    record = {"output": options.output, "shape": warped.data.shape, "dtype": str(warped.data.dtype)}
    terminal.result(record, f"wrote {options.output}: {' x '.join(map(str, warped.data.shape))} {warped.data.dtype}")


def _check_not_an_input(options: Namespace) -> None:
    output = Path(options.output).resolve()
    for name in (options.image, options.reference, *map(_path_in, options.transform)):
        if Path(name).resolve() == output:
            raise UsageError(f"--output {options.output} would overwrite the input {name}; choose another name")


def _path_in(entry: str) -> str:
    inverted = _INVERTED.fullmatch(entry)
    return inverted["path"] if inverted else entry


def read_chain(entries: Sequence[str]) -> Chain:
    """The transforms of the ``-t`` arguments as one chain, fixed world to moving world.

    Raises
    ------
    UsageError
        When a displacement field is to be inverted.
    """
    from warpline.transforms import Chain

    return Chain(tuple(part for entry in entries for part in _read_parts(entry)))


def check_labels(image: Image) -> None:
    """Refuse an image that has fractions.

    Raises
    ------
    InputError
        Naming the image and one of its values.
    """
    if image.data.dtype.kind in "biu":
        return
    values = np.asarray(image.data, dtype=np.float64)
    odd = values[values != np.rint(values)]
    if odd.size:
        raise InputError(f"{image.name} holds {odd[0]:g}; labels are whole numbers: use --interpolation linear")


def _read_parts(entry: str) -> tuple[Part, ...]:
    from warpline.io.transform_files import read_transform
    from warpline.transforms import Affine, Chain

    inverted, path = _INVERTED.fullmatch(entry), _path_in(entry)
    transform = read_transform(path)
    if inverted and inverted["flag"] == "1":
        if not isinstance(transform, Affine):
            raise UsageError(f"{path} is no affine and cannot be inverted here; name the file of its inverse instead")
        transform = transform.inverse()
    return transform.parts if isinstance(transform, Chain) else (transform,)
