"""``warpline series``: series of volumes; one module per action, one table."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from warpline.cli.terminal import Terminal

SUMMARY = "correct a time series or a diffusion series for motion, on to the anatomy or a template at once"
EXAMPLE = """\
  warpline series register bold.nii.gz -o out/sub-01_
  warpline series apply bold.nii.gz --motion out/sub-01_Motion.txt -r mni.nii.gz -o bold_mni.nii.gz \\
                        -t t1_to_mni/1Warp.nii.gz -t t1_to_mni/0GenericAffine.mat -t out/sub-01_0GenericAffine.mat"""

ACTIONS = {
    "register": "warpline.cli.series.register",
    "apply": "warpline.cli.series.apply",
}
"""Name to module; the module is like that of a command."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of every action."""
    from warpline.cli.actions import add_actions

    add_actions(parser, ACTIONS)


def run(options: Namespace, terminal: Terminal) -> int | None:
    """Do one action."""
    from warpline.cli.actions import run_action

    return run_action(options, terminal, ACTIONS)
