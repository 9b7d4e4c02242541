"""``warpline demo``: register a synthetic pair of brains whose true map is known; nothing is downloaded."""

from __future__ import annotations

import shlex
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING, Any

from warpline.cli.options import add_device, positive
from warpline.cli.summary import facts_of

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from warpline.backends import Backend
    from warpline.cli.terminal import Terminal
    from warpline.phantom import PhantomPair
    from warpline.space import Chain

SUMMARY = "register a synthetic pair of brains and compare with the known truth"
EXAMPLE = """\
  warpline demo
  warpline demo -o out --voxel-size 1"""

FIELD_OF_VIEW = (192.0, 224.0, 192.0)
"""Size of the phantom's fixed grid in mm."""

IMAGES = ("fixed", "moving", "fixed_labels", "moving_labels")
POINTS = ("fixed_points", "moving_points")
"""What of the pair is written; names of `warpline.phantom.PhantomPair`."""

STRIDE = 5
"""Every how many brain voxels the map is compared with the truth."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("-o", "--output", default="demo", metavar="DIR", help="folder for everything; default: demo")
    parser.add_argument(
        "--voxel-size",
        type=positive,
        default=2.0,
        metavar="MM",
        help="of the fixed image; default: 2 (1 is like a scan)",
    )
    parser.add_argument("--recipe", default="syn", metavar="NAME|FILE.toml", help="default: syn")
    add_device(parser)


def run(options: Namespace, terminal: Terminal) -> None:
    """Make the pair, register it from its files, score the result."""
    from pathlib import Path

    from warpline import registration
    from warpline.backends import select
    from warpline.phantom import brain_pair

    shape = tuple(round(size / options.voxel_size) for size in FIELD_OF_VIEW)
    terminal.say(f"making two synthetic brains of {' x '.join(map(str, shape))} voxels")
    pair = brain_pair(shape, voxel_size=options.voxel_size)
    folder = Path(options.output)
    paths = write_pair(pair, folder)
    job = registration.Job(
        fixed=paths["fixed"],
        moving=paths["moving"],
        prefix=f"{folder}/",
        recipe=options.recipe,
        backend=options.backend,
        threads=options.threads,
    )
    found = registration.run(job, terminal.progress())
    scores = score(pair, found.transform, select(options.backend, options.threads))
    shown = [*facts_of(job, found.report), "", *_score_lines(scores), "", *_next(folder)]
    terminal.result({**scores, "inputs": paths, "report": found.report}, *shown)


def write_pair(pair: PhantomPair, folder: Path) -> dict[str, str]:
    """Write images, labels and landmarks of the pair; the folder is made where it is missing.

    Returns
    -------
    dict
        What each file is, to its path.
    """
    from warpline.io.atomic import Transaction
    from warpline.io.compression import compress
    from warpline.io.images import encode_image

    images = {f"{name}.nii.gz": getattr(pair, name) for name in IMAGES}
    points = {f"{name}.csv": getattr(pair, name) for name in POINTS}
    with Transaction() as files:
        files.prepare(folder)
        for name, image in images.items():
            files.write(folder / name, compress(encode_image(image)))
        for name, table in points.items():
            files.write(folder / name, _csv(table))
    return {name.split(".")[0]: str(folder / name) for name in (*images, *points)}


def score(pair: PhantomPair, found: Chain, backend: Backend) -> dict[str, Any]:
    """Mean Dice, and distance in mm to the true map over the brain, before and after.

    Parameters
    ----------
    pair : PhantomPair
        The images and the truth.
    found : Chain
        The map to judge, fixed world to moving world.
    backend : Backend
        Where labels are carried over.
    """
    from warpline.space import Chain

    return {"before": _score(pair, Chain(), backend), "after": _score(pair, found, backend)}


def _score(pair: PhantomPair, chain: Chain, backend: Backend) -> dict[str, float]:
    import numpy as np

    from warpline.evaluation import landmark_error, overlap
    from warpline.resampling import warp
    from warpline.space.grid import apply_affine

    warped = warp(pair.moving_labels, chain, pair.fixed.grid, order=0, backend=backend)
    brain = np.argwhere(pair.fixed_labels.data != 0)[::STRIDE]
    points = apply_affine(pair.fixed.affine, brain)
    error = landmark_error(points, pair.transform.map_points(points), chain)
    return {"dice": overlap(pair.fixed_labels, warped).mean, "error_mm": error.mean}


def _csv(points: NDArray[np.float64]) -> bytes:
    rows = (",".join(f"{value:.4f}" for value in point) for point in points)
    return "\n".join(["x,y,z", *rows, ""]).encode()


def _score_lines(scores: dict[str, dict[str, float]]) -> list[str]:
    before, after = scores["before"], scores["after"]
    return [
        f"mean Dice of the labels       {before['dice']:.3f} before, {after['dice']:.3f} after",
        f"distance to the true map      {before['error_mm']:.2f} mm before, {after['error_mm']:.2f} mm after",
    ]


def _next(folder: Path) -> list[str]:
    """Open the page of the run, and measure it again from its files."""
    names = ("report.html", "fixed_labels.nii.gz", "moving_labels.nii.gz")
    page, fixed, moving = (shlex.quote(str(folder / name)) for name in names)
    return [
        f"look at {page}, then type:",
        f"  warpline evaluate --fixed-labels {fixed} --moving-labels {moving} --prefix {shlex.quote(f'{folder}/')}",
    ]
