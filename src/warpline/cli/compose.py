"""``warpline compose``: several transforms as one file."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from warpline.cli.options import add_chain, refuse_overwriting

if TYPE_CHECKING:
    from warpline.cli.terminal import Terminal

SUMMARY = "join several transforms into one file"
EXAMPLE = """\
  warpline compose -t out/1Warp.nii.gz -t out/0GenericAffine.mat -o out/whole.h5
  warpline compose -t out/1Warp.nii.gz -t out/0GenericAffine.mat -o out/whole.nii.gz --fixed fixed.nii.gz
  warpline compose -t "[a_to_c.mat,1]" -t a_to_b.mat -o c_to_b.mat"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    add_chain(parser)


def run(options: Namespace, terminal: Terminal) -> None:
    """Read, join, write."""
    from warpline.io.transform_files import format_to_write
    from warpline.operations import compose, optional_grid_of, paths_in, write_transform

    refuse_overwriting(options.output, (options.fixed, options.moving, *paths_in(options.transform)))
    fixed, moving = (optional_grid_of(image, geometry=options.geometry) for image in (options.fixed, options.moving))
    where = {"backend": options.backend, "threads": options.threads}
    whole = compose(options.transform, fixed=fixed, moving=moving, **where)
    write_transform(whole, options.output, options.to, fixed=fixed, moving=moving, **where)
    joined = len(options.transform)
    stores = format_to_write(whole, Path(options.output), options.to).stores
    record = {"output": options.output, "joined": joined, "stores": stores}
    terminal.result(record, f"wrote {options.output}: {joined} transforms; the file stores {stores}")
