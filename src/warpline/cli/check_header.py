"""``warpline check-header``: whether the header of an image is right, from what it and a reference show."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING, Any

from warpline.cli.options import add_device, add_geometry, refuse_overwriting
from warpline.errors import UsageError

if TYPE_CHECKING:
    from warpline.cli.terminal import Terminal
    from warpline.registration import HeaderCheck

SUMMARY = "test from the images whether a header is wrong: mirrored, axes, voxel sizes, origin, mask"
EXAMPLE = """\
  warpline check-header template.nii.gz sub-01_T1w.nii.gz
  warpline check-header template.nii.gz sub-01_T1w.nii.gz --mask sub-01_mask.nii.gz --json
  warpline check-header template.nii.gz sub-01_T1w.nii.gz --write sub-01_mended.nii.gz"""

DOUBTFUL = 8
"""Exit code where the images speak against a header."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("reference", metavar="REFERENCE", help="image whose header is right, such as a template")
    parser.add_argument("image", metavar="IMAGE", help="image whose header is tested; any contrast, one volume")
    parser.add_argument("--mask", metavar="FILE", help="mask of IMAGE, which must lie on its grid and on its object")
    parser.add_argument(
        "--write", metavar="COPY", help="write a copy of IMAGE with the affine that is proposed; no file is replaced"
    )
    add_geometry(parser)
    add_device(parser)


def run(options: Namespace, terminal: Terminal) -> int | None:
    """Check, and write a copy where one is asked for."""
    from warpline.registration import check_headers

    if options.write is not None:
        _check_name(options)
    given = {name: getattr(options, name) for name in ("geometry", "backend", "threads")}
    check = check_headers(options.reference, options.image, options.mask, **given)
    written = None if options.write is None or check.proposed is None else _write(options, check)
    terminal.result(_record(check, written), *_lines(check, options, written))
    return DOUBTFUL if check.outcome == "doubtful" else None


def _check_name(options: Namespace) -> None:
    from warpline.io.images import check_name

    check_name(options.write)
    refuse_overwriting(options.write, (options.reference, options.image, options.mask))
    if os.path.lexists(options.write):
        raise UsageError(f"--write {options.write} exists already; choose another name")


def _write(options: Namespace, check: HeaderCheck) -> str:
    from dataclasses import replace

    from warpline.io.images import read_image, write_image

    assert check.proposed is not None
    image = read_image(options.image, options.geometry)
    write_image(replace(image, grid=check.proposed), options.write)
    return str(options.write)


def _record(check: HeaderCheck, written: str | None) -> dict[str, Any]:
    return {
        "outcome": check.outcome,
        "findings": [{"kind": one.kind, "sentence": one.sentence} for one in check.findings],
        "undecided": list(check.undecided),
        "proposed_affine": None if check.proposed is None else check.proposed.affine.tolist(),
        "measures": check.measures,
        "written": written,
        "warnings": list(check.warnings),
    }


def _lines(check: HeaderCheck, options: Namespace, written: str | None) -> list[str]:
    lines = [f"{options.image}: {check.outcome}, seen from {options.reference}"]
    lines += [f"{one.kind:17} {one.sentence}" for one in check.findings]
    lines += [f"{'cannot be told':17} {sentence}" for sentence in check.undecided]
    if check.proposed is not None:
        rows = ["".join(f"{value:12.4f}" for value in row) for row in check.proposed.affine[:3]]
        lines += ["affine that would agree, voxel to world (RAS+ mm):", *rows]
        lines.append("where the header of the reference is the wrong one, check that against a third image")
    lines += [f"warning           {one}" for one in check.warnings]
    if written is not None:
        lines.append(f"wrote {written}")
    elif options.write is not None:
        lines.append(f"nothing to mend: {options.write} is not written")
    return lines
