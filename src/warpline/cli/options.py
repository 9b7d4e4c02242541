"""Arguments that several commands share."""

from __future__ import annotations

import math
import os
from argparse import SUPPRESS, Action, ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterable, Sequence
from typing import Any

from warpline.errors import UsageError

GEOMETRIES = ("sform", "qform")
"""`warpline.io.nifti_geometry.CHOICES`, which is not loaded for a help text."""

SPACES = ("ras", "lps")
"""Keys of `warpline.io.points.SPACES`, which is not loaded for a help text."""

RECIPES = ("rigid", "affine", "syn", "syn-fast", "syn-quality", "syn-smooth", "syn-contrast")
"""Keys of `warpline.recipe.PRESETS`, which is not loaded for a help text."""


def add_device(parser: ArgumentParser) -> None:
    """``--backend`` and ``--threads``: where the arithmetic runs."""
    from warpline.backends import BACKENDS

    group = parser.add_argument_group("where it runs")
    group.add_argument(
        "--backend",
        metavar="NAME",
        help=f"auto, {', '.join(BACKENDS)} or cuda:N; default: WARPLINE_BACKEND, else auto, the fastest one here",
    )
    group.add_argument(
        "--threads",
        type=positive_count,
        metavar="N",
        help="CPU threads; default: WARPLINE_THREADS, else every core this process may use",
    )


class ShowVersion(Action):
    """Print the version, which is looked up only then, and end."""

    def __init__(self, option_strings: Sequence[str], dest: str = SUPPRESS, **options: Any) -> None:
        about = "show program's version number and exit"
        super().__init__(option_strings, dest=SUPPRESS, nargs=0, default=SUPPRESS, help=about)

    def __call__(self, parser: ArgumentParser, namespace: Namespace, values: Any, option: str | None = None) -> None:
        """Called by argparse where the option stands."""
        from warpline import __version__

        print(f"warpline {__version__}")
        parser.exit()


def add_talk(parser: ArgumentParser, *, nested: bool = False) -> None:
    """``--json``, ``--quiet`` and ``--verbose``: what a command prints.

    Parameters
    ----------
    parser : ArgumentParser
        Of a command, or of one of its actions.
    nested : bool
        Whether the options may stand before the action too, and are then kept.
    """
    group = parser.add_argument_group("what it says")
    default = SUPPRESS if nested else False
    flags = (
        ("--json", "write the result to stdout as JSON"),
        ("-q --quiet", "say nothing but warnings, errors and the result"),
        ("-v --verbose", "say more, with tracebacks of unexpected errors"),
    )
    for names, meaning in flags:
        group.add_argument(*names.split(), action="store_true", default=default, help=meaning)


def positive_count(text: str) -> int:
    """A whole number of at least 1.

    Raises
    ------
    ArgumentTypeError
        Otherwise; argparse makes it a usage error.
    """
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not allowed; a whole number of at least 1 is needed")
    return int(text)


def positive(text: str) -> float:
    """Read a number above 0.

    Raises
    ------
    ArgumentTypeError
        Otherwise; argparse makes it a usage error.
    """
    value = number(text)
    if not 0 < value < math.inf:
        raise ArgumentTypeError(f"{text!r} is not allowed; a number above 0 is needed")
    return value


def as_prefix(output: str) -> str:
    """The prefix of output names: an existing folder gets a trailing slash."""
    return f"{output}{os.sep}" if os.path.isdir(output) and not output.endswith(("/", os.sep)) else output


def add_transforms(parser: ArgumentParser, *, required: bool = False) -> None:
    """``-t``, once per transform."""
    parser.add_argument(
        "-t",
        "--transform",
        action="append",
        default=[],
        required=required,
        metavar="FILE",
        help="in the order in which points of the fixed image go through them, as for ANTs: "
        "-t WARP -t AFFINE; [FILE,1] is the inverse of an affine or a warp; FORMAT:FILE names the format of a file "
        "whose content fits several, such as fsl-flirt:flirt.mat",
    )


def add_geometry(parser: ArgumentParser) -> None:
    """``--geometry``: which matrix of a header places the voxels."""
    parser.add_argument(
        "--geometry",
        choices=GEOMETRIES,
        help="matrix that NIfTI headers are placed by where both are set; default: sform. Where tools see the voxels "
        "elsewhere a warning says so",
    )


def add_grids(parser: ArgumentParser) -> None:
    """``--fixed`` and ``--moving``: the images between which a transform maps, and ``--geometry``: by which matrix."""
    group = parser.add_argument_group("images it maps between (needed by some formats)")
    group.add_argument("--fixed", metavar="FILE", help="image whose points the transform takes, or its grid")
    group.add_argument("--moving", metavar="FILE", help="image that the points arrive in")
    add_geometry(parser)


def refuse_overwriting(output: str, inputs: Iterable[str | None]) -> None:
    """Refuse an output that is one of the inputs.

    Raises
    ------
    UsageError
        Naming both.
    """
    from warpline.io.zarr_names import store_of

    target = os.path.realpath(store_of(output))
    for name in inputs:
        if name is not None and os.path.realpath(store_of(name)) == target:
            raise UsageError(f"--output {output} would overwrite the input {name}; choose another name")


def finite(text: str) -> float:
    """Read a number that is finite.

    Raises
    ------
    ArgumentTypeError
        Otherwise; argparse makes it a usage error.
    """
    value = number(text)
    if not math.isfinite(value):
        raise ArgumentTypeError(f"{text!r} is not allowed; a finite number is needed")
    return value


def add_chain(parser: ArgumentParser) -> None:
    """Arguments of a command that makes one transform file of several: ``-t``, ``-o``, their images, the device."""
    add_transforms(parser, required=True)
    add_target(parser)
    add_grids(parser)
    add_device(parser)


def add_target(parser: ArgumentParser) -> None:
    """``-o`` for a transform, and ``--to`` for its format."""
    parser.add_argument(
        "-o", "--output", required=True, metavar="FILE", help="transform to write; its name's end says the format"
    )
    add_target_format(parser)


def add_target_format(parser: ArgumentParser) -> None:
    """``--to``: the format of the transform that is written."""
    parser.add_argument(
        "--to",
        type=format_name,
        metavar="FORMAT",
        help="format to write, if not by the name's end; a wrong one lists all",
    )


def format_name(text: str) -> str:
    """The name of a format of transform files.

    Raises
    ------
    ArgumentTypeError
        Otherwise; argparse makes it a usage error.
    """
    from warpline.io.transform_files import FORMATS

    if text not in FORMATS:
        raise ArgumentTypeError(f"{text!r} is not known; choose from {', '.join(FORMATS)}")
    return text


def number(text: str) -> float:
    """Read a number; NaN where the text is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan
