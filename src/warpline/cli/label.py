"""``warpline label``: labels of an image from labelled atlases."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from warpline.cli.options import RECIPES, add_device, add_geometry, as_prefix, number
from warpline.errors import UsageError

if TYPE_CHECKING:
    from warpline.cli.terminal import Terminal
    from warpline.labelling import Atlas, JointOptions

SUMMARY = "label an image from labelled atlases, registered to it and fused"
EXAMPLE = """\
  warpline label t1.nii.gz --atlas a_t1.nii.gz,a_labels.nii.gz --atlas b_t1.nii.gz,b_labels.nii.gz -o out/sub-01_
  warpline label t1.nii.gz --atlases atlases.tsv -o out/ --names FreeSurferColorLUT.txt
  warpline label t1.nii.gz --atlases atlases.tsv -o out/ --registrations registered/ --search-radius 3
  warpline label t1.nii.gz --atlases atlases.tsv -o out/ --fusion majority --recipe syn-fast"""

FUSIONS = ("joint", "local", "majority")
"""Keys of `warpline.labelling.FUSIONS`, which is not loaded for a help text."""

JOINT: dict[str, tuple[Callable[[str], Any], str, str]] = {
    "patch_radius": (int, "N", "radius of patches in voxels; default: 1, patches of 3 x 3 x 3"),
    "search_radius": (int, "N", "how far a patch may move, in voxels along each axis; default: 2"),
    "patches": (int, "N", "patches of each atlas that vote, the most similar ones; default: 2"),
    "alpha": (number, "X", "added to the diagonal of the joint errors (rho in ANTsPy); default: 0.1"),
    "beta": (number, "X", "power of the joint errors; default: 2"),
}
"""Fields of `warpline.labelling.JointOptions`: type, placeholder and help of the option of each."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("image", metavar="IMAGE", help="what to label, one volume")
    parser.add_argument(
        "--atlas",
        action="append",
        default=[],
        metavar="IMAGE,LABELS",
        help="a labelled image of the same contrast; once per atlas",
    )
    parser.add_argument(
        "--atlases",
        metavar="TABLE",
        help=".tsv or .csv with columns image and labels, paths relative to its folder, and name where wanted",
    )
    parser.add_argument(
        "-o", "--output", required=True, metavar="PREFIX", help="what the names of all results begin with: out/sub-01_"
    )
    _add_fusion(parser)
    parser.add_argument(
        "--names",
        metavar="TABLE",
        help="names of labels: columns index and name as in dseg.tsv of BIDS, or a colour table of FreeSurfer",
    )
    parser.add_argument(
        "--registrations",
        metavar="FOLDER",
        help="keep registered atlases here, and take those that an earlier run with the same images left",
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
    add_geometry(parser)
    add_device(parser)


def _add_fusion(parser: ArgumentParser) -> None:
    parser.add_argument("--fusion", choices=FUSIONS, default="joint", help="how labels are fused; default: joint")
    joint = parser.add_argument_group("joint label fusion")
    for name, (kind, placeholder, text) in JOINT.items():
        joint.add_argument(f"--{name.replace('_', '-')}", type=kind, metavar=placeholder, help=text)


def run(options: Namespace, terminal: Terminal) -> None:
    """Register, fuse, write, print the summary."""
    from warpline.labelling import run_label
    from warpline.recipe import Recipe

    def show(name: str, number: int, count: int) -> None:
        terminal.say(f"atlas {number} of {count}: {name}")

    found = run_label(
        options.image,
        _atlases(options),
        as_prefix(options.output),
        fusion=options.fusion,
        joint_options=_joint_options(options),
        registrations=options.registrations,
        recipe=Recipe.load(options.recipe).with_options(*options.settings),
        label_names=options.names,
        geometry=options.geometry,
        backend=options.backend,
        threads=options.threads,
        progress=terminal.progress(),
        on_atlas=show,
    )
    terminal.result(found.report, *facts_of(found.report))


def facts_of(report: dict[str, Any]) -> Iterator[str]:
    """The report as a person reads it.

    Parameters
    ----------
    report : dict
        Of a `warpline.Labelling`.
    """
    for atlas in report["atlases"]:
        state = (", kept from an earlier run" if atlas["reused"] else "") + ("" if atlas["used"] else ", left out")
        yield (
            f"atlas          {atlas['name']}: registration {atlas['judgement']['outcome']}{state}, "
            f"Dice with the result {atlas['overlap']:.3f}"
        )
    confidence = report["labels"]["mean_confidence"]
    sure = "" if confidence is None else f", mean confidence {confidence:.2f}"
    yield f"labels         {report['labels']['found']} of {report['labels']['count']}{sure}"
    for warning in report["warnings"]:
        yield f"warning        {warning}"
    yield f"seconds        {sum(report['seconds'].values()):.1f}"
    for kind, path in report["outputs"].items():
        yield f"{kind:<14} {path}"


def _joint_options(options: Namespace) -> JointOptions | None:
    """None where the command line has no setting of joint label fusion."""
    from warpline.labelling import JointOptions

    given = {name: getattr(options, name) for name in JOINT if getattr(options, name) is not None}
    return JointOptions(**given) if given else None


def _atlases(options: Namespace) -> list[Atlas]:
    """The atlases of the command line, then those of the table."""
    from warpline.labelling import Atlas, read_atlases

    given = []
    for text in options.atlas:
        parts = text.split(",")
        if len(parts) != 2 or not all(parts):
            raise UsageError(f"--atlas is {text!r}; an image and its labels, IMAGE,LABELS, are needed")
        given.append(Atlas(*parts))
    if options.atlases is not None:
        given += read_atlases(options.atlases)
    if not given:
        raise UsageError("no atlas is given; --atlas IMAGE,LABELS or --atlases TABLE is needed")
    return given
