"""FreeSurfer's linear transforms (``.lta``): a matrix in text form, from the source to the destination volume.

Type 0 maps voxels to voxels, type 1 world to world (RAS+ mm). The source is what FreeSurfer resamples, our moving
image, so that the matrix pushes. The geometry of both volumes (`freesurfer_space`) follows the matrix.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from warpline.errors import InputError
from warpline.io.transform_files import numbers
from warpline.io.transform_files.format import Format, Grids, Head, read_text
from warpline.io.transform_files.freesurfer_space import Volume
from warpline.space import Affine
from warpline.space.grid import Grid, Matrix

_VOXELS, _WORLD = 0, 1
_SOURCE, _DESTINATION = "src volume info", "dst volume info"


def matches(head: Head) -> bool:
    """Whether a file begins with a type and a number of transforms."""
    lines = head.text.splitlines()
    kind = next((at for at, line in enumerate(lines) if _is_entry(line, "type")), len(lines))
    return any(_is_entry(line, "nxforms") for line in lines[kind:])


def read(path: Path, grids: Grids) -> Affine:
    """Read the matrix and invert it: fixed (destination) world to moving (source) world.

    Raises
    ------
    InputError
        When the file is damaged, holds several matrices or another type, or maps voxels and says nothing valid
        about its volumes while a grid is missing.
    """
    text = read_text(path)
    head, _, volumes = text.partition(_SOURCE)
    entries = _entries(head)
    kind, count = _whole_number(entries.get("type", "")), _whole_number(entries.get("nxforms", ""))
    if kind not in (_VOXELS, _WORLD) or count != 1:
        raise InputError(f"{path} holds {count} transforms of type {kind}; one of type 0 or 1 can be read")
    pushed = _matrix(head, path)
    source, _, destination = volumes.partition(_DESTINATION)
    moving, fixed = _volume(source, path, "source"), _volume(destination, path, "destination")
    if kind == _VOXELS:
        reason = f"{path} maps voxels, and says nothing valid about its"
        moving = moving or grids.need_moving(f"{reason} source volume")
        fixed = fixed or grids.need_fixed(f"{reason} destination volume")
        pushed = fixed.affine @ pushed @ moving.inverse_affine
    return numbers.affine(pushed, path).inverse()


def encode(transform: Affine, grids: Grids) -> bytes:
    """The bytes of a file of type 1.

    Raises
    ------
    InputError
        When a grid is missing.
    """
    fixed, moving = grids.need_both("an LTA file describes its images")
    lines = [
        "type      = 1",
        "nxforms   = 1",
        "mean      = 0.0000 0.0000 0.0000",
        "sigma     = 1.0000",
        "1 4 4",
        *(numbers.line(row) for row in transform.inverse().matrix),
        _SOURCE,
        *_describe(moving),
        _DESTINATION,
        *_describe(fixed),
    ]
    return "".join(f"{line}\n" for line in lines).encode()


def _whole_number(text: str) -> int:
    return int(text) if text.strip().isdecimal() and len(text) < 9 else -1


def _entries(text: str) -> dict[str, str]:
    """Every line ``key = value  # comment``."""
    halves = (line.partition("#")[0].partition("=") for line in text.splitlines() if "=" in line)
    return {key.strip(): value.strip() for key, sign, value in halves if sign}


def _is_entry(line: str, key: str) -> bool:
    """Whether a line gives `key` a whole number."""
    return _whole_number(_entries(line).get(key, "")) >= 0


def _matrix(text: str, path: Path) -> Matrix:
    """The four lines after the line ``1 4 4``."""
    lines = text.splitlines()
    size = next((at for at, line in enumerate(lines) if "1" in line and line.split() == ["1", "4", "4"]), None)
    if size is None:
        raise InputError(f"{path} has no matrix after the line '1 4 4'; write it again with lta_convert")
    try:
        matrix = numbers.exact(np.array(numbers.rows("\n".join(lines[size + 1 : size + 5])), dtype=np.float64))
    except ValueError as error:
        raise InputError(f"{path} has a damaged matrix ({error}); write it again with lta_convert") from None
    return numbers.affine(matrix, path).matrix


def _volume(text: str, path: Path, which: str) -> Grid | None:
    """The grid of one section of the file, None where it says that it is not valid."""
    entries = _entries(text)
    valid = _whole_number(entries.get("valid", ""))
    if valid == 0:
        return None
    if valid != 1:
        raise InputError(f"{path} does not say whether its {which} volume is valid; copy it again")
    try:
        shape, size, *axes, middle = (
            np.array([float(word) for word in entries[key].split()])
            for key in ("volume", "voxelsize", "xras", "yras", "zras", "cras")
        )
        volume = Volume(shape, size, np.stack(axes, axis=1), middle)
        return volume.grid(f"{path}: its {which} volume")
    except InputError:
        raise
    except (KeyError, ValueError, OverflowError) as error:
        raise InputError(f"{path} has a damaged {which} volume ({error}); write it again with lta_convert") from None


def _describe(grid: Grid) -> list[str]:
    volume = Volume.of(grid)
    return [
        "valid = 1  # volume info valid",
        "filename = unknown",
        f"volume = {' '.join(str(n) for n in grid.shape)}",
        f"voxelsize = {numbers.line(volume.voxel_size)}",
        *(f"{letter}ras   = {numbers.line(axis)}" for letter, axis in zip("xyz", volume.cosines.T, strict=True)),
        f"cras   = {numbers.line(volume.middle)}",
    ]


FORMAT = Format(
    about="FreeSurfer linear transform (.lta), of voxels or world",
    stores="moving (src) to fixed (dst); turned round when read",
    unit="mm, RAS (type 1) or voxels (type 0)",
    holds=Affine,
    suffixes=(".lta",),
    matches=matches,
    read=read,
    encode=encode,
    needs_grids=True,
)
