"""``warpline template build``: the mean shape and the mean image of several subjects."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from warpline.cli.cohort.arguments import RECIPE
from warpline.cli.options import RECIPES, add_geometry, positive, positive_count
from warpline.cli.template.arguments import add_where, finished

if TYPE_CHECKING:
    from warpline.cli.terminal import Terminal

SUMMARY = "make a template of several subjects; the same command again goes on where it stopped"
EXAMPLE = """\
  warpline template build sub-*_T1w.nii.gz out
  warpline template build subjects.tsv out --channel T2w --channel FLAIR
  warpline template build bids out --symmetric --spacing 1"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the action."""
    parser.add_argument(
        "source",
        nargs="+",
        metavar="FILE|MANIFEST|BIDS",
        help="an image of each subject, a table of them, or a BIDS folder",
    )
    parser.add_argument("output", metavar="OUT", help="the output folder; the same one again goes on")
    parser.add_argument("--suffix", default="T1w", help="of the images in a BIDS folder; default: T1w")
    parser.add_argument(
        "--channel",
        dest="channels",
        action="append",
        default=[],
        metavar="COLUMN",
        help="column of the manifest with a further image of each subject, averaged too; once per channel",
    )
    add_geometry(parser)
    _add_product(parser)
    _add_rounds(parser)
    add_where(parser)


def _add_product(parser: ArgumentParser) -> None:
    """What is made."""
    what = parser.add_argument_group("what is made")
    what.add_argument(
        "--spacing", type=positive, metavar="MM", help="voxel size of the template; default: of the images"
    )
    what.add_argument("--symmetric", action="store_true", help="left and right alike: average with mirrored subjects")
    what.add_argument(
        "--sharpen", type=float, default=0.0, metavar="0…1", help="unsharp masking of the mean; default: 0"
    )
    what.add_argument("--initial", metavar="FILE", help="an image to start from; default: the mean of all subjects")


def _add_rounds(parser: ArgumentParser) -> None:
    """How it is made."""
    how = parser.add_argument_group("how")
    how.add_argument("--recipe", metavar="NAME|FILE.toml", help=f"{', '.join(RECIPES)}, or a file; default: {RECIPE}")
    how.add_argument(
        "--set", dest="settings", action="append", default=[], metavar="KEY=VALUE", help="change one option of it"
    )
    how.add_argument(
        "--rounds",
        type=positive_count,
        default=4,
        metavar="N",
        help="most rounds at the template's voxel size; default: 4",
    )
    how.add_argument(
        "--limit",
        type=positive,
        metavar="MM",
        help="motion of the shape that ends the rounds; default: a fifth of a voxel",
    )
    how.add_argument(
        "--step", type=float, default=1.0, metavar="0…1", help="share of the mean motion taken; default: 1"
    )
    how.add_argument("--redo", action="store_true", help="replace a finished template of other subjects or options")


def run(options: Namespace, terminal: Terminal) -> int:
    """Build the template, say how it ended."""
    from warpline import template
    from warpline.recipe import Recipe

    chosen = template.Options(
        recipe=Recipe.load(options.recipe or RECIPE).with_options(*options.settings),
        channels=tuple(options.channels),
        **{
            name: getattr(options, name)
            for name in (
                *("spacing", "rounds", "limit", "step", "sharpen", "symmetric", "initial", "suffix", "geometry"),
                *("backend", "threads", "workers", "time_limit", "redo"),
            )
        },
    )
    return finished(
        lambda: template.build(options.source, options.output, chosen, say=terminal.say), frozenset(), options, terminal
    )
