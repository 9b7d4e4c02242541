"""Arguments that several actions on a cohort share."""

from __future__ import annotations

import re
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from typing import TYPE_CHECKING

from warpline.cli.options import RECIPES, add_device, add_geometry, positive, positive_count

if TYPE_CHECKING:
    from warpline.cohort import Options
    from warpline.recipe import Recipe

PAGES = ("flagged", "all", "none")

CHECKSUMS = "compare the outputs of done pairs by checksum too; by size they always are"

RECIPE = "syn"
"""What runs where no recipe is named; `warpline.cohort.options` says the same."""

_SHARD = re.compile(r"(\d+)/(\d+)")


def add_selection(parser: ArgumentParser) -> None:
    """Which pairs, and what is done with each."""
    parser.add_argument("source", metavar="MANIFEST|BIDS", help="a table of pairs (.tsv, .csv), or a BIDS folder")
    parser.add_argument("output", metavar="OUT", help="the output folder; the same one again resumes")
    pairs = parser.add_argument_group("which pairs")
    pairs.add_argument("--fixed", metavar="FILE", help="the fixed image of every pair that names none")
    _add_bids(parser)
    pairs.add_argument(
        "--participants",
        metavar="TSV",
        help="table with participant_id; its columns are appended to the results; default: that of a BIDS folder",
    )
    pairs.add_argument("--space", default="", metavar="LABEL", help="what output names call the fixed image")
    pairs.add_argument("--shard", type=shard, default=(1, 1), metavar="I/N", help="every N-th pair, from the I-th")
    pairs.add_argument("--retry-failed", action="store_true", help="run pairs again that failed before")
    pairs.add_argument("--exclude-from", metavar="TSV", help="leave out what these decisions call fail")
    pairs.add_argument("--retry-from", metavar="TSV", help="run again what these decisions call review or fail")
    pairs.add_argument("--checksums", action="store_true", help=CHECKSUMS)
    pairs.add_argument(
        "--redo", action="store_true", help="replace finished pairs of another recipe, other outputs or older numerics"
    )
    what = parser.add_argument_group("what is done")
    what.add_argument("--recipe", metavar="NAME|FILE.toml", help=f"{', '.join(RECIPES)}, or a file; default: {RECIPE}")
    what.add_argument(
        "--set", dest="settings", action="append", default=[], metavar="KEY=VALUE", help="change one option of it"
    )
    add_geometry(parser)
    what.add_argument(
        "--warp",
        choices=("rounded", "forward", "full", "none"),
        default="rounded",
        help="how displacements are kept: rounded to 1/64 mm, 1/2 mm in the air (a fifth of the size, the default), "
        "forward: the same without the inverse and the velocity field, full, or not at all",
    )


def _add_bids(parser: ArgumentParser) -> None:
    """What is taken of a BIDS folder; spellings with '_' are those of older BIDS Apps."""
    bids = parser.add_argument_group("of a BIDS folder")
    for name in ("participant", "session"):
        flags = (f"--{name}-label", f"--{name}_label")
        bids.add_argument(
            *flags, nargs="+", action="extend", default=[], metavar="LABEL", help=f"these {name}s; default: all"
        )
    bids.add_argument("--suffix", default="T1w", help="of the images; default: T1w")
    bids.add_argument(
        "--bids-filter-file", "--bids_filter_file", metavar="FILE.json", help="which images, as fMRIPrep takes it"
    )
    bids.add_argument(
        "--entity",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="which images: desc=preproc, space=MNI152NLin2009cAsym, res=none, run=1; once per entity",
    )
    bids.add_argument(
        "--skip-bids-validator", "--skip_bids_validator", action="store_true", help="allowed for BIDS Apps: none is run"
    )


def add_workers(parser: ArgumentParser) -> None:
    """Where the pairs run, and what is done about failures."""
    where = parser.add_argument_group("workers")
    where.add_argument(
        "--workers",
        type=count,
        metavar="N",
        help="processes, or GPUs to use; 0 works in this process; default: all GPUs where there are several, else 0",
    )
    where.add_argument("--workers-per-gpu", type=positive_count, default=1, metavar="N", help="default: 1")
    where.add_argument(
        "--scheduler",
        metavar="ADDRESS|FILE",
        help="use the workers of this Dask scheduler; it and all who reach it run code as you",
    )
    where.add_argument(
        "--scheduler-credentials", metavar="PEM", help="for tls://: private key, its certificate, the authority's"
    )
    add_device(parser)
    failing = parser.add_argument_group("failures")
    failing.add_argument(
        "--time-limit", type=positive, default=3600.0, metavar="S", help="longest time of a pair; default: 3600"
    )
    failing.add_argument(
        "--max-failures", type=share, default=0.3, metavar="X%", help="stop when more pairs fail; default: 30%%"
    )
    failing.add_argument(
        "--allow-failures", type=allowance, default=0, metavar="N|X%", help="failures that still count as success"
    )


def options_of(arguments: Namespace, **more: object) -> Options:
    """What `warpline.cohort.run` takes, from parsed arguments."""
    from warpline.cohort import Options
    from warpline.cohort.bids import read_entities

    given: dict[str, object] = {
        "fixed": arguments.fixed,
        "recipe": _recipe_of(arguments),
        "participants": arguments.participant_label,
        "sessions": arguments.session_label,
        "participants_table": arguments.participants,
        "suffix": arguments.suffix,
        "bids_filter": arguments.bids_filter_file,
        "entities": read_entities(arguments.entity),
        "space": arguments.space,
        "warps": arguments.warp,
        "geometry": arguments.geometry,
        "shard": arguments.shard,
        "retry_failed": arguments.retry_failed,
        "redo": arguments.redo,
        "exclude_from": arguments.exclude_from,
        "retry_from": arguments.retry_from,
        "checksums": arguments.checksums,
    }
    return Options(**{**given, **more})  # type: ignore[arg-type]


def _recipe_of(arguments: Namespace) -> Recipe | None:
    """The recipe that was asked for; None when neither it nor an option of it was."""
    from warpline.recipe import Recipe

    if arguments.recipe is None and not arguments.settings:
        return None
    return Recipe.load(arguments.recipe or RECIPE).with_options(*arguments.settings)


def shard(text: str) -> tuple[int, int]:
    """Read ``i/n``, 1/n to n/n."""
    found = _SHARD.fullmatch(text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise ArgumentTypeError(f"{text!r} is not allowed; I/N is needed, from 1/N to N/N")
    return int(found[1]), int(found[2])


def count(text: str) -> int:
    """A whole number of at least 0."""
    if not text.isdecimal():
        raise ArgumentTypeError(f"{text!r} is not allowed; a whole number of at least 0 is needed")
    return int(text)


def share(text: str) -> float:
    """Read a percentage as a share from 0 to 1."""
    number = text.removesuffix("%")
    if number == text or not number.replace(".", "", 1).isdecimal() or float(number) > 100:
        raise ArgumentTypeError(f"{text!r} is not allowed; a percentage such as 30% is needed")
    return float(number) / 100


def allowance(text: str) -> float:
    """Read a whole number, or a percentage as a share."""
    return share(text) if text.endswith("%") else count(text)
