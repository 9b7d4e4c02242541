"""``warpline invert``: the inverse of any transform, with its error."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from warpline.cli.options import add_chain, refuse_overwriting
from warpline.errors import UsageError

if TYPE_CHECKING:
    from warpline.cli.terminal import Terminal
    from warpline.space.inversion import InverseError

SUMMARY = "invert an affine, a warp or a chain of them, and say how exact the inverse is"
EXAMPLE = """\
  warpline invert -t out/1Warp.nii.gz -o inverse_warp.nii.gz
  warpline invert -t out/1Warp.nii.gz -t out/0GenericAffine.mat -o inverse.nii.gz --moving moving.nii.gz
  warpline invert -t y_subject.nii -o iy_subject.nii.gz --to itk-warp --moving subject.nii"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    add_chain(parser)


def run(options: Namespace, terminal: Terminal) -> None:
    """Read, invert, write; for the inverse the moving image is the fixed one."""
    from dataclasses import asdict

    from warpline.io.transform_files import format_to_write
    from warpline.operations import compose, inversion, optional_grid_of, paths_in, write_transform
    from warpline.space import Displacement

    refuse_overwriting(options.output, (options.fixed, options.moving, *paths_in(options.transform)))
    fixed, moving = (optional_grid_of(image, geometry=options.geometry) for image in (options.fixed, options.moving))
    where = {"backend": options.backend, "threads": options.threads}
    whole = compose(options.transform, fixed=fixed, moving=moving, **where)
    if moving is None and not isinstance(whole, Displacement) and options.output.endswith((".nii", ".nii.gz")):
        raise UsageError(f"{options.output}: as a field, the inverse lies on the moving image; give --moving")
    found = inversion(whole, **where)
    write_transform(found.transform, options.output, options.to, fixed=moving, moving=fixed, **where)
    stores = format_to_write(found.transform, Path(options.output), options.to).stores
    record = {
        "output": options.output,
        "stores": stores,
        "errors": [asdict(error) for error in found.errors],
        "folded_voxels": found.folded,
    }
    said = f"wrote {options.output}: moving to fixed; with the two images exchanged, the file stores {stores}"
    terminal.result(record, said, *map(_line, found.errors))


def _line(error: InverseError) -> str:
    return (
        f"inverse error: mean {error.mean:.4f}, 99th percentile {error.p99:.4f}, largest {error.largest:.4f} voxels"
        " of the field's grid, there and back"
    )
