"""``warpline register``: find the map between two images and write everything about it."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from warpline.cli.budget import add_budget, with_budget
from warpline.cli.memory import add_memory, plan_lines
from warpline.cli.options import RECIPES, add_device, add_geometry, as_prefix, finite
from warpline.cli.pairs import add_pairs, image_pairs
from warpline.cli.preparation import add_preparation, with_preparation
from warpline.cli.start import add_start, landmark_tables, surface_pairs
from warpline.cli.summary import commands_after, facts_of
from warpline.cli.uncertainty import add_uncertainty, uncertainty_settings

if TYPE_CHECKING:
    from warpline.cli.terminal import Terminal
    from warpline.registration import Job, MemoryPlan

SUMMARY = "find the invertible map that carries a moving image onto a fixed one"
EXAMPLE = """\
  warpline register fixed.nii.gz moving.nii.gz -o out/sub-01_
  warpline register fixed.nii.gz moving.nii.gz -o out/ --recipe syn-quality --set syn.radius=3 --threads 8
  warpline register fixed.nii.gz moving.nii.gz -o out/ --max-bending 0.1 --jacobian 0.2,5
  warpline register fixed.nii.gz moving.nii.gz -o out/ --prepare n4,winsorise
  warpline register t1_a.nii.gz t1_b.nii.gz -o out/ --pair t2_a.nii.gz,t2_b.nii.gz,weight=0.5
  warpline register fixed.nii.gz moving.nii.gz -o out/ --initial first_1Warp.nii.gz --initial first_0GenericAffine.mat
  warpline register fixed.nii.gz moving.nii.gz -o out/ --landmarks fixed.csv,moving.csv
  warpline register fixed.nii.gz moving.nii.gz -o out/ --surfaces lh.a.surf.gii,lh.b.surf.gii
  warpline register fixed.nii.gz moving.nii.gz -o out/ --set syn.model=velocity
  warpline register fixed.nii.gz patient.nii.gz -o out/ --robust --moving-weights trust.nii.gz
  warpline register fixed.nii.gz moving.nii.gz -o out/ --uncertainty 8
  warpline register sheet_a.nii.gz sheet_b.nii.gz -o out/ --memory 24 --plan"""


FAILED = 7
"""Exit code of a registration whose files are written, but whose result is judged certainly wrong."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    _add_images(parser)
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="PREFIX",
        help="what the names of all results begin with, folder included: out/sub-01_; a folder alone: out/",
    )
    parser.add_argument(
        "--recipe", default="syn", metavar="NAME|FILE.toml", help=f"{', '.join(RECIPES)}, or a file; default: syn"
    )
    parser.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change one option of the recipe, such as syn.step=0.2; may be repeated",
    )
    add_start(parser)
    parser.add_argument(
        "--outside",
        type=finite,
        metavar="VALUE",
        help="value of the warped image beyond the moving one; default: 0, or its background if far from 0, as in CT",
    )
    _add_marks(parser)
    _add_restriction(parser)
    add_preparation(parser)
    add_geometry(parser)
    add_budget(parser)
    add_uncertainty(parser)
    add_memory(parser)
    add_device(parser)


def _add_images(parser: ArgumentParser) -> None:
    parser.add_argument(
        "fixed",
        metavar="FIXED",
        nargs="?",
        help="image that stays where it is; NIfTI, NRRD, MetaImage, MGH or OME-Zarr, one volume",
    )
    parser.add_argument("moving", metavar="MOVING", nargs="?", help="image that is carried onto it")
    add_pairs(parser)


def _add_marks(parser: ArgumentParser) -> None:
    """What says where the images count, and how much."""
    group = parser.add_argument_group("what counts (files on any grid in the world of their image)")
    group.add_argument("--fixed-mask", metavar="FILE", help="where the fixed image counts: every voxel that is not 0")
    group.add_argument("--moving-mask", metavar="FILE", help="where the moving image counts")
    group.add_argument(
        "--fixed-weights",
        metavar="FILE",
        help="how much places of the fixed image count in the deformable stage: 0 not at all, the largest value fully",
    )
    group.add_argument("--moving-weights", metavar="FILE", help="the same for the moving image")
    group.add_argument(
        "--robust",
        action="store_true",
        help="let places count little where one image shows what the other does not, such as a lesion (syn.robust); "
        "how much they count is written too",
    )


def _add_restriction(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--restrict",
        metavar="AXES|X,Y,Z",
        help="let points move along axes of the fixed image only, as j for echo-planar distortions or ij, or along a "
        "direction of the world",
    )


def as_directions(text: str) -> str:
    """Directions of ``--restrict`` as a recipe has them."""
    return f"[{text}]" if "," in text else text


def _settings(options: Namespace) -> tuple[str, ...]:
    """What options with names of their own set in the recipe."""
    restricted = () if options.restrict is None else (f"syn.directions={as_directions(options.restrict)}",)
    robust = ("syn.robust=true",) if options.robust else ()
    return (*restricted, *robust, *uncertainty_settings(options))


def run(options: Namespace, terminal: Terminal) -> int | None:
    """Fill a job, run it, print the summary; with ``--plan``, print what it will take of memory only."""
    from warpline import registration

    job = _job(options)
    if options.plan:
        plan = registration.plan(job)
        terminal.result(plan.as_report(), *plan_lines(plan))
        return None

    def show(plan: MemoryPlan) -> None:
        if plan.is_notable:
            for line in plan_lines(plan):
                terminal.say(line)

    found = registration.run(job, terminal.progress(), on_plan=show)
    report = found.report if found.replaced is None else {**found.report, "replaced": found.replaced}
    terminal.result(report, *facts_of(job, report), "", "next:", *commands_after(job, report))
    return FAILED if report["judgement"]["outcome"] == "failed" else None


def _job(options: Namespace) -> Job:
    from warpline import registration
    from warpline.recipe import Recipe

    prefix = as_prefix(options.output)
    main, pairs = image_pairs(options)
    recipe = with_preparation(Recipe.load(options.recipe), options)
    recipe = recipe.with_options(*main.settings, *options.settings, *_settings(options))
    return registration.Job(
        fixed=main.fixed,
        moving=main.moving,
        prefix=prefix,
        recipe=with_budget(recipe, options),
        **main.marks,
        pairs=pairs,
        initial=options.initial or None,
        landmarks=landmark_tables(options.landmarks),
        landmark_space=options.space,
        surfaces=surface_pairs(options.surfaces),
        backend=options.backend,
        threads=options.threads,
        geometry=options.geometry,
        outside=options.outside,
        memory=options.memory,
    )
