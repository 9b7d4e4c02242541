"""Options of ``register`` that say where it starts: ``--initial``, ``--landmarks`` and ``--space``."""

from __future__ import annotations

from argparse import ArgumentParser

from warpline.cli.options import SPACES
from warpline.errors import UsageError


def add_start(parser: ArgumentParser) -> None:
    """Declare the options."""
    group = parser.add_argument_group("where it starts (looked for by default)")
    group.add_argument(
        "--initial",
        action="append",
        default=[],
        metavar="FILE",
        help="transform to start from, fixed to moving: an affine or a warp, as -t of apply takes them; given several "
        "times, points of the fixed image go through the first one first: --initial WARP --initial AFFINE",
    )
    group.add_argument(
        "--landmarks",
        metavar="FIXED.csv,MOVING.csv",
        help="tables of the same places in both images, as for apply-points: a start is fitted to them (--set "
        "initialise.landmarks=rigid, the default, similarity, affine or thin_plate), and they pull in the deformable "
        "stage (syn.landmark_weight)",
    )
    group.add_argument(
        "--space",
        choices=SPACES,
        default="ras",
        help="coordinates in these tables: world RAS+ mm, the default, or LPS+ mm (ANTs, ITK)",
    )


def landmark_tables(text: str | None) -> tuple[str, str] | None:
    """The two tables of ``--landmarks``.

    Raises
    ------
    UsageError
        When they are not two.
    """
    if text is None:
        return None
    parts = text.split(",")
    if len(parts) != 2 or not all(parts):
        raise UsageError(f"--landmarks {text!r} cannot be read; it is written FIXED.csv,MOVING.csv")
    return parts[0], parts[1]
