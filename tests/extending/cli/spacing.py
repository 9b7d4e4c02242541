"""``warpline spacing``: voxel sizes of an image."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from warpline.cli.terminal import Terminal

SUMMARY = "show the voxel sizes of an image"
EXAMPLE = "  warpline spacing image.nii.gz"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("image")


def run(options: Namespace, terminal: Terminal) -> None:
    """Read the header, say the sizes."""
    from warpline.io.images import read_grid

    sizes = read_grid(options.image).voxel_size.tolist()
    terminal.result({"voxel_size": sizes}, " x ".join(f"{size:g}" for size in sizes))
