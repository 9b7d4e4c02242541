"""``--uncertainty``: perturbed runs beside a registration, whose spread is its uncertainty."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace


def add_uncertainty(parser: ArgumentParser) -> None:
    """Declare the option."""
    parser.add_argument(
        "--uncertainty",
        type=run_count,
        metavar="N",
        help="run N times more with noise added to both images, the start moved and the smoothing scaled, and write "
        "how far these end from the map: millimetres at every voxel (uncertainty.runs). 8 tell little from much; each "
        "costs as much as the deformable stage",
    )


def uncertainty_settings(arguments: Namespace) -> tuple[str, ...]:
    """What the option sets in the recipe."""
    return () if arguments.uncertainty is None else (f"uncertainty.runs={arguments.uncertainty}",)


def run_count(text: str) -> int:
    """Read a number of perturbed runs.

    Raises
    ------
    ArgumentTypeError
        When it is none; argparse makes it a usage error.
    """
    from warpline.recipe.uncertainty import FEWEST_RUNS, MOST_RUNS

    if not text.isdecimal() or not FEWEST_RUNS <= int(text) <= MOST_RUNS:
        raise ArgumentTypeError(
            f"{text!r} is not allowed; a whole number from {FEWEST_RUNS} to {MOST_RUNS} is needed, such as 8: one run "
            "has no spread. Leave it out for none"
        )
    return int(text)
