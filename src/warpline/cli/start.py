"""Options of ``register`` that say where it starts: ``--initial``, ``--landmarks``, ``--surfaces`` and ``--space``."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence
from typing import TYPE_CHECKING

from warpline.cli.options import SPACES
from warpline.errors import UsageError

if TYPE_CHECKING:
    from warpline.registration import SurfacePair


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
        "--surfaces",
        action="append",
        default=[],
        metavar="FIXED,MOVING[,KEY=VALUE...]",
        help="the same surface or curve in both images, sampled in any way: GIFTI surfaces (.gii), streamlines (.trk, "
        ".tck) or tables of points, with weight=W, reach=MM (points further apart do not pull); may be repeated. A "
        "start brings their nearest points together (--set initialise.surfaces=rigid, the default, similarity, affine "
        "or off), and they pull in the deformable stage (syn.surface_weight)",
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


def surface_pairs(texts: Sequence[str]) -> tuple[SurfacePair, ...]:
    """The pairs of ``--surfaces``.

    Raises
    ------
    UsageError
        When one cannot be read.
    """
    return tuple(_surface_pair(text) for text in texts)


def _surface_pair(text: str) -> SurfacePair:
    from warpline.registration import SurfacePair

    parts = text.split(",")
    named = [part.partition("=") for part in parts[2:]]
    keys = [key for key, _, _ in named]
    try:
        options = {key: float(value) for key, _, value in named}
    except ValueError:
        options = {}
    if len(parts) < 2 or not all(parts) or len(options) < len(named) or not set(keys) <= {"weight", "reach"}:
        raise UsageError(
            f"--surfaces {text!r} cannot be read; it is written FIXED,MOVING[,weight=W][,reach=MM], and names of files "
            "have no comma"
        )
    return SurfacePair(parts[0], parts[1], **options)
