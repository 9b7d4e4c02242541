"""``warpline info``: what a transform file is, which way it maps, and between which grids."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING, Any

from warpline.cli.options import add_grids, format_name

if TYPE_CHECKING:
    from warpline.cli.terminal import Terminal
    from warpline.io.transform_files import TransformFile
    from warpline.space import Affine, Displacement, Part
    from warpline.space.grid import Grid

SUMMARY = "say what a transform file is, which way it maps, and between which grids"
EXAMPLE = """\
  warpline info out/1Warp.nii.gz
  warpline info flirt.mat --from fsl-flirt --fixed fixed.nii.gz --moving moving.nii.gz"""

IMAGES = """
Whether the header of an image is right, its orientation, voxel sizes and origin, is what two images together show:
  warpline check-header REFERENCE IMAGE"""
"""What the help says besides."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.description = f"{parser.description}\n{IMAGES}"
    parser.add_argument("file", metavar="FILE", help="transform file")
    parser.add_argument(
        "--from", dest="source", type=format_name, metavar="FORMAT", help="its format, if not by content"
    )
    add_grids(parser)


def run(options: Namespace, terminal: Terminal) -> None:
    """Read and describe."""
    from warpline.io.transform_files import identify
    from warpline.operations import optional_grid_of

    fixed, moving = (optional_grid_of(image, geometry=options.geometry) for image in (options.fixed, options.moving))
    found = identify(options.file, options.source, fixed=fixed, moving=moving)
    parts = [_part(part) for part in found.parts]
    record = {
        "file": str(found.path),
        "format": found.format,
        "about": found.about,
        "stores": found.stores,
        "unit": found.unit,
        "kind": found.kind,
        "needs": found.needs,
        "parts": parts,
    }
    terminal.result(record, *_lines(found, parts))


def _lines(found: TransformFile, parts: list[dict[str, Any]]) -> list[str]:
    lines = [
        f"{found.path}: {found.kind}",
        f"format    {found.format}: {found.about}",
        f"stores    {found.stores}; {found.unit}",
        "read as   fixed world to moving world, RAS+ mm",
    ]
    if found.needs:
        lines.append(f"needs     {found.needs}")
    for number, part in enumerate(parts, 1):
        head = f"part {number}    " if len(parts) > 1 else "holds     "
        lines += [f"{head}{part['kind']}", *(f"          {line}" for line in _facts(part))]
    return lines


def _facts(part: dict[str, Any]) -> list[str]:
    if "matrix" in part:
        rows = ["".join(f"{value:12.6f}" for value in row) for row in part["matrix"][:3]]
        return [*rows, f"rotation {part['rotation_degrees']:.3f} degrees, volume x {part['determinant']:.5f}"]
    grid = part["grid"]
    return [
        f"grid {' x '.join(map(str, grid['shape']))}, voxels {' x '.join(f'{v:.4g}' for v in grid['voxel_size'])} mm,"
        f" axes {grid['axes']}, centre {', '.join(f'{v:.2f}' for v in grid['centre'])} mm",
        f"moves {part['mean_mm']:.3f} mm on average, {part['largest_mm']:.3f} mm at most"
        f"{'; its inverse is in the file too' if part['has_inverse'] else ''}"
        f"{'; not known (NaN) at ' + str(part['unknown_voxels']) + ' voxels' if part['unknown_voxels'] else ''}",
    ]


def _part(part: Part) -> dict[str, Any]:
    from warpline.space import Affine

    return _affine(part) if isinstance(part, Affine) else _displacement(part)


def _affine(part: Affine) -> dict[str, Any]:
    import numpy as np

    linear = part.matrix[:3, :3]
    left, _, right = np.linalg.svd(linear)
    turn = left @ right * np.sign(np.linalg.det(left @ right))
    angle = np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1)))
    return {
        "kind": "affine",
        "matrix": part.matrix.tolist(),
        "rotation_degrees": float(angle),
        "determinant": float(np.linalg.det(linear)),
    }


def _displacement(part: Displacement) -> dict[str, Any]:
    import numpy as np

    lengths = np.sqrt(np.einsum("c...,c...->...", part.field, part.field))
    known = lengths[np.isfinite(lengths)]
    return {
        "kind": "displacement field",
        "grid": _grid(part.grid),
        "mean_mm": float(known.mean(dtype=np.float64)),
        "largest_mm": float(known.max()),
        "unknown_voxels": int(lengths.size - known.size),
        "has_inverse": part.inverse_field is not None,
    }


def _grid(grid: Grid) -> dict[str, Any]:
    return {
        "shape": list(grid.shape),
        "voxel_size": grid.voxel_size.tolist(),
        "axes": _axes(grid),
        "centre": grid.centre.tolist(),
        "affine": grid.affine.tolist(),
    }


def _axes(grid: Grid) -> str:
    """Where each axis points, such as ``LPS``, and whether obliquely."""
    import numpy as np

    directions = grid.affine[:3, :3] / grid.voxel_size
    main = np.abs(directions).argmax(axis=0)
    letters = "".join(("LPI" if directions[m, a] < 0 else "RAS")[m] for a, m in enumerate(main))
    return letters if np.abs(directions[main, range(3)]).min() > 0.9999 else f"{letters}, oblique"
