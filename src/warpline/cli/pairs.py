"""The option ``--pair``: two images that are compared, with the metric and the weight that they are compared with."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from warpline.errors import UsageError

if TYPE_CHECKING:
    from warpline.registration import ImagePair

MARKS = ("fixed_mask", "moving_mask", "fixed_weights", "moving_weights")
"""What says where the images of a pair count, and how much."""

FORM = f"FIXED,MOVING[,metric=NAME][,contrast=NAME][,weight=W]{''.join(f'[,{mark}=FILE]' for mark in MARKS)}"
"""How a pair is written."""


@dataclass(frozen=True)
class MainPair:
    """The two images that are registered, and what compares them.

    Attributes
    ----------
    fixed, moving : str
        Their files.
    marks : dict
        Files that say where they count, and how much, by their names in `MARKS`.
    settings : tuple of str
        Of the recipe, as ``--set`` takes them.
    weight : float
        What the weights of further pairs are relative to.
    """

    fixed: str
    moving: str
    marks: dict[str, str | None]
    settings: tuple[str, ...] = ()
    weight: float = 1.0


def add_pairs(parser: ArgumentParser) -> None:
    """Declare the option."""
    parser.add_argument(
        "--pair",
        dest="pairs",
        action="append",
        default=[],
        metavar="FIXED,MOVING[,KEY=VALUE...]",
        help="two images to compare, with metric=NAME, contrast=given|predicted|auto, weight=W, fixed_mask=FILE, "
        "moving_mask=FILE, fixed_weights=FILE, moving_weights=FILE; may be repeated; "
        "label maps with metric=labels. Without FIXED and MOVING the "
        "first pair is registered; all others are compared beside it",
    )


def image_pairs(options: Namespace) -> tuple[MainPair, tuple[ImagePair, ...]]:
    """The images that are registered, and the further ones.

    Raises
    ------
    UsageError
        When images are missing, or an option cannot be read.
    """
    pairs = [read_pair(text) for text in options.pairs]
    marks = {mark: getattr(options, mark) for mark in MARKS}
    if options.fixed is not None and options.moving is not None:
        return MainPair(options.fixed, options.moving, marks), tuple(pairs)
    if options.fixed is not None or not pairs:
        raise UsageError("two images are needed: FIXED MOVING, or --pair FIXED,MOVING")
    first, *further = pairs
    if first.metric == "labels":
        raise UsageError(f"--pair {options.pairs[0]}: the first pair is registered as a whole and needs grey values")
    main = MainPair(
        str(first.fixed),
        str(first.moving),
        {mark: given or getattr(first, mark) for mark, given in marks.items()},
        tuple(f"syn.{name}={value}" for name in ("metric", "contrast") if (value := getattr(first, name)) is not None),
        first.weight,
    )
    return main, tuple(replace(pair, weight=pair.weight / main.weight) for pair in further)


def read_pair(text: str) -> ImagePair:
    """A pair as it is written on the command line.

    Raises
    ------
    UsageError
        When it cannot be read.
    """
    from warpline.registration import ImagePair

    parts = text.split(",")
    named = [part.partition("=") for part in parts[2:]]
    known = {"metric": str, "weight": float, "contrast": str, **dict.fromkeys(MARKS, str)}
    if len(parts) < 2 or not all(parts) or any(not equals or key not in known for key, equals, _ in named):
        raise UsageError(f"--pair {text!r} cannot be read; it is written {FORM}, and names of files have no comma")
    try:
        options = {key: known[key](value) for key, _, value in named}
    except ValueError:
        raise UsageError(f"--pair {text!r}: weight must be a number, such as weight=0.5") from None
    return ImagePair(parts[0], parts[1], **options)
