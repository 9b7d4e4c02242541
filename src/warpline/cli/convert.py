"""``warpline convert``: a transform file in the format of another tool."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from warpline.cli.options import add_grids, add_target_format, format_name, refuse_overwriting

if TYPE_CHECKING:
    from warpline.cli.terminal import Terminal

SUMMARY = "write a transform file in the format of another tool"
EXAMPLE = """\
  warpline convert flirt.mat affine.mat --from fsl-flirt --to itk-affine --fixed fixed.nii.gz --moving moving.nii.gz
  warpline convert out/1Warp.nii.gz y_fixed.nii --to spm-deformation
  warpline convert transform.lta transform.tfm"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("input", metavar="IN", help="transform file; its format is found by content")
    parser.add_argument("output", metavar="OUT", help="file to write; its name's end says the format")
    parser.add_argument(
        "--from", dest="source", type=format_name, metavar="FORMAT", help="format of IN, if not by content"
    )
    add_target_format(parser)
    add_grids(parser)


def run(options: Namespace, terminal: Terminal) -> None:
    """Read, write."""
    from warpline.io.transform_files import format_to_write
    from warpline.operations import convert

    refuse_overwriting(options.output, (options.input, options.fixed, options.moving))
    formats = {"source_format": options.source, "target_format": options.to}
    between = {"fixed": options.fixed, "moving": options.moving, "geometry": options.geometry}
    transform = convert(options.input, options.output, **between, **formats)
    kind = type(transform).__name__.lower()
    stores = format_to_write(transform, Path(options.output), options.to).stores
    record = {"output": options.output, "kind": kind, "stores": stores}
    terminal.result(record, f"wrote {options.output}: {kind}; the file stores {stores}")
