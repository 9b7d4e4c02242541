"""``warpline series register``: find the motion of a series, and move it back in one interpolation."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from warpline.cli.options import add_device, add_geometry, add_transforms, as_prefix, positive

if TYPE_CHECKING:
    from warpline.cli.terminal import Terminal

SUMMARY = "find the motion of a series, and move it back in one interpolation"
EXAMPLE = """\
  warpline series register bold.nii.gz -o out/sub-01_
  warpline series register bold.nii.gz -o out/ --reference middle --mask brain.nii.gz --fd-threshold 0.3
  warpline series register bold.nii.gz -o out/ --anatomy t1.nii.gz --spacing 2
  warpline series register bold.nii.gz -o out/ --anatomy t1.nii.gz --grid mni_2mm.nii.gz \\
                           -t t1_to_mni/1Warp.nii.gz -t t1_to_mni/0GenericAffine.mat
  warpline series register dwi.nii.gz -o out/ --bval dwi.bval --bvec dwi.bvec --model affine"""

FAILED = 7
"""Exit code of a run whose files are written, but of which some volumes, or the reference, cannot be aligned."""

MODELS = ("rigid", "affine")
"""Keys of `warpline.series.freedoms.FREEDOMS`, which is not loaded for a help text."""
INTERPOLATIONS = ("cubic", "linear", "nearest")
"""Keys of `warpline.resampling.SPLINES`."""
TYPES = ("float32", "stored")
"""`warpline.io.series_files.TYPES`."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the action."""
    parser.add_argument("series", metavar="SERIES", help="image of four axes, the last of time or directions")
    parser.add_argument(
        "-o", "--output", required=True, metavar="PREFIX", help="what the names of all results begin with: out/sub-01_"
    )
    parser.add_argument(
        "--reference",
        default="robust",
        metavar="WHICH",
        help="first, middle, a number from 0, mean, or an image of the same contrast; default: robust, the trimmed "
        "mean of volumes moved onto the most typical one",
    )
    parser.add_argument("--model", choices=MODELS, default="rigid", help="how volumes may differ; default: rigid")
    parser.add_argument("--mask", metavar="FILE", help="where the reference counts; default: where it shows something")
    parser.add_argument(
        "--fd-threshold",
        type=positive,
        default=0.5,
        metavar="MM",
        help="framewise displacement of outliers; default: 0.5",
    )
    _add_result(parser)
    _add_destination(parser)
    group = parser.add_argument_group("diffusion")
    group.add_argument("--bval", metavar="FILE", help="b-values: each shell gets a reference of its own")
    group.add_argument("--bvec", metavar="FILE", help="directions by FSL's convention, turned with the volumes")
    add_geometry(parser)
    add_device(parser)


def _add_result(parser: ArgumentParser) -> None:
    parser.add_argument("--interpolation", choices=INTERPOLATIONS, default="cubic", help="default: cubic")
    parser.add_argument(
        "--values",
        choices=TYPES,
        default="float32",
        help="of the moved series: float32, or as stored; default: float32",
    )


def _add_destination(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("on to another space, in the same interpolation")
    group.add_argument(
        "--anatomy", metavar="FILE", help="image of the same subject that the reference is registered to"
    )
    add_transforms(parser)
    group.add_argument(
        "--grid",
        metavar="FILE",
        help="image whose grid the result gets; default: the anatomy with voxels as the series, else the reference",
    )
    group.add_argument("--spacing", type=positive, metavar="MM", help="voxel size of the result")


def run(options: Namespace, terminal: Terminal) -> int | None:
    """Register, write, print the summary."""
    from warpline.series import Destination, run_series

    passed = ("reference", "model", "mask", "interpolation", "values", "fd_threshold", "geometry", "backend", "threads")
    how: dict[str, Any] = {name: getattr(options, name) for name in passed}
    found = run_series(
        options.series,
        as_prefix(options.output),
        destination=Destination(options.anatomy, options.transform, options.grid, options.spacing),
        bvals=options.bval,
        bvecs=options.bvec,
        progress=_progress(terminal),
        **how,
    )
    terminal.result(found.report, *facts_of(found.report))
    return FAILED if _failed(found.report) else None


def _failed(report: dict[str, Any]) -> bool:
    """Whether a volume is not aligned, or the reference certainly not with the anatomy or a shell."""
    joined = (report["destination"].get("anatomy", {}), *report["shells"])
    return bool(report["outliers"]["not_aligned"]) or any(one.get("judgement") == "failed" for one in joined)


def _progress(terminal: Terminal) -> Any:
    """Says every tenth of the volumes."""

    def show(step: str, done: int, total: int) -> None:
        if done == total or done * 10 // total > (done - 1) * 10 // total:
            terminal.say(f"{step}: {done} of {total} volumes")

    return show


def facts_of(report: dict[str, Any]) -> Iterator[str]:
    """The report as a person reads it.

    Parameters
    ----------
    report : dict
        Of a `warpline.SeriesRegistration`.
    """
    motion, outputs = report["motion"], report["outputs"]
    yield f"reference      {report['reference']}"
    yield (
        f"motion         at most {motion['largest_shift']:.2f} mm and {motion['largest_angle']:.2f} degrees; framewise "
        f"displacement {motion['mean_framewise_displacement']:.2f} mm in the mean, "
        f"{motion['largest_framewise_displacement']:.2f} at most"
    )
    for shell in report["shells"]:
        yield f"shell          b = {shell['b']}: {shell['volumes']} volumes, {shell['reference']}"
    anatomy = report["destination"].get("anatomy")
    if anatomy is not None:
        yield f"anatomy        {anatomy['name']}: registration judged {anatomy['judgement']}"
    for warning in report["warnings"]:
        yield f"warning        {warning}"
    yield f"seconds        {sum(report['seconds'].values()):.1f}"
    for kind, path in outputs.items():
        yield f"{kind:<14} {path}"
