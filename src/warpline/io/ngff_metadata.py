"""OME-NGFF metadata, versions 0.4 and 0.5: axes, units and scales of a pyramid, to a matrix in RAS+ mm and back.

NGFF says which way an axis runs through the body in its RFC 4 only (``orientation``). Without, x, y and z are taken to
run to the left, the back and the top, as ITK takes them and writes them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.errors import InputError
from warpline.space.grid import Grid, Matrix

VERSIONS = ("0.4", "0.5")
MOST_LEVELS = 64
"""Levels of the deepest pyramid that makes sense: each is half of the one before."""

UNITS_IN_MM = {
    "angstrom": 1e-7,
    "nanometer": 1e-6,
    "micrometer": 1e-3,
    "millimeter": 1.0,
    "centimeter": 10.0,
    "decimeter": 100.0,
    "meter": 1e3,
    "inch": 25.4,
}
"""Units of length by their names in NGFF (UDUNITS-2), in mm."""

ORIENTATIONS = {
    "left-to-right": (0, 1.0),
    "right-to-left": (0, -1.0),
    "posterior-to-anterior": (1, 1.0),
    "anterior-to-posterior": (1, -1.0),
    "inferior-to-superior": (2, 1.0),
    "superior-to-inferior": (2, -1.0),
}
"""Values of ``orientation`` in RFC 4, to the world axis (RAS) and the direction along it."""

LPS = {"x": "right-to-left", "y": "anterior-to-posterior", "z": "inferior-to-superior"}
"""What is taken for an axis without an orientation."""

_SPATIAL = ("x", "y", "z")
_OFF_AXIS = 1e-3
"""Distance in voxels, at a corner of the volume, up to which a grid counts as along the axes of the world."""


@dataclass(frozen=True)
class Axis:
    """One axis of an array, in the order in which it is stored.

    Parameters
    ----------
    name : str
        ``"x"``, ``"y"``, ``"z"``, ``"c"`` or ``"t"``.
    unit : str or None
        Of a spatial axis.
    orientation : str or None
        A key of `ORIENTATIONS`.
    """

    name: str
    unit: str | None = None
    orientation: str | None = None


@dataclass(frozen=True, eq=False)
class Level:
    """One array of a pyramid.

    Parameters
    ----------
    path : str
        Of the array within the store.
    scale, translation : (axes,)
        Size of a voxel and position of the first one, in the units of the axes.
    """

    path: str
    scale: NDArray[np.float64]
    translation: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Multiscale:
    """A pyramid.

    Parameters
    ----------
    axes : tuple of Axis
        In the order in which arrays are stored.
    levels : tuple of Level
        The finest first.
    several : bool
        Whether the metadata list more than this one.
    """

    axes: tuple[Axis, ...]
    levels: tuple[Level, ...]
    several: bool = False

    def affine(self, level: Level) -> Matrix:
        """Voxel to world (RAS+ mm), (4, 4); the voxel is counted along x, y and z."""
        affine = np.zeros((4, 4))
        affine[3, 3] = 1.0
        places = {axis.name: number for number, axis in enumerate(self.axes)}
        for column, name in enumerate(_SPATIAL):
            number = places.get(name)
            axis = Axis(name) if number is None else self.axes[number]
            row, sign = ORIENTATIONS[axis.orientation or LPS[name]]
            factor = sign * (1.0 if axis.unit is None else UNITS_IN_MM[axis.unit])
            affine[row, column] = factor * (1.0 if number is None else level.scale[number])
            affine[row, 3] = 0.0 if number is None else factor * level.translation[number]
        return affine

    def notes(self) -> list[str]:
        """What was guessed, one sentence each."""
        spatial = [axis for axis in self.axes if axis.name in _SPATIAL]
        notes = []
        if any(axis.orientation is None for axis in spatial):
            notes.append(
                "its axes have no anatomical orientation (RFC 4 of OME-NGFF): left and right are a guess, x runs to "
                "the left and y to the back, as in ITK"
            )
        if any(axis.unit is None for axis in spatial):
            notes.append("its axes have no unit: lengths are taken for mm")
        if self.several:
            notes.append("its metadata list several pyramids: the first one is taken")
        return notes


def parse(attributes: Mapping[str, Any], name: str) -> Multiscale:
    """The first pyramid of the attributes of a group.

    Raises
    ------
    InputError
        When there is none, its version is another, or it is damaged.
    """
    inner = attributes.get("ome", attributes)
    multiscales = inner.get("multiscales") if isinstance(inner, dict) else None
    if not (isinstance(multiscales, list) and multiscales and isinstance(multiscales[0], dict)):
        raise _damaged(name, "it has no multiscales; name the folder inside it that is one image, such as 0")
    first = multiscales[0]
    version = inner.get("version", first.get("version"))
    if version not in (None, *VERSIONS):
        raise _damaged(name, f"it is of version {version!r:.40}; {' and '.join(VERSIONS)} can be read")
    axes = _axes(first.get("axes"), name)
    datasets = first.get("datasets")
    if not (isinstance(datasets, list) and 0 < len(datasets) <= MOST_LEVELS):
        raise _damaged(name, f"it lists no levels, or more than {MOST_LEVELS}")
    outer = _scaled(first.get("coordinateTransformations"), len(axes), name)
    return Multiscale(axes, tuple(_level(one, outer, len(axes), name) for one in datasets), len(multiscales) > 1)


def encode(axes: Sequence[Axis], levels: Sequence[Level], name: str) -> dict[str, Any]:
    """Attributes of a group, version 0.4, with the orientations of RFC 4."""
    described = [_described(axis) for axis in axes]
    datasets = [
        {
            "path": level.path,
            "coordinateTransformations": [
                {"type": "scale", "scale": level.scale.tolist()},
                {"type": "translation", "translation": level.translation.tolist()},
            ],
        }
        for level in levels
    ]
    return {"multiscales": [{"version": "0.4", "name": name, "axes": described, "datasets": datasets}]}


def oriented_axes(grid: Grid) -> list[tuple[Axis, float, float]]:
    """For each axis of a grid along x, y and z: the axis in mm, its scale and the position of its first voxel.

    Raises
    ------
    InputError
        When the grid is oblique, which versions 0.4 and 0.5 cannot express.
    """
    linear = grid.affine[:3, :3]
    main = np.abs(linear / grid.voxel_size).argmax(axis=0)
    off = linear.copy()
    off[main, range(3)] = 0
    apart = np.abs(off) @ (np.array(grid.shape) - 1.0)
    if len(set(main.tolist())) < 3 or apart.max() > _OFF_AXIS * grid.voxel_size.min():
        raise InputError(
            "an oblique grid cannot be stored in OME-Zarr, whose axes have a scale and a translation alone: write "
            "NIfTI, or use a reference along the axes of the world"
        )
    words = {value: key for key, value in ORIENTATIONS.items()}
    found = []
    for column, name in enumerate(_SPATIAL):
        row = int(main[column])
        sign = 1.0 if linear[row, column] > 0 else -1.0
        axis = Axis(name, "millimeter", words[row, sign])
        found.append((axis, float(abs(linear[row, column])), float(sign * grid.affine[row, 3])))
    return found


def _axes(given: Any, name: str) -> tuple[Axis, ...]:
    if not (isinstance(given, list) and 2 <= len(given) <= 5 and all(isinstance(one, dict) for one in given)):
        raise _damaged(name, "it has no list of 2 to 5 axes")
    axes = tuple(_axis(one, name) for one in given)
    names = [axis.name for axis in axes]
    spatial = [axis for axis in axes if axis.name in _SPATIAL]
    if len(set(names)) < len(names) or not {"x", "y"} <= set(names):
        raise _damaged(name, f"its axes are {names!r:.80}; y and x, or z, y and x, and c and t once each can be read")
    oriented = [ORIENTATIONS[axis.orientation or LPS[axis.name]][0] for axis in spatial]
    if len(set(oriented)) < len(oriented) or (len(spatial) == 2 and set(oriented) != {0, 1}):
        raise _damaged(name, "the orientations of its axes do not fit together")
    return axes


def _axis(given: Mapping[str, Any], name: str) -> Axis:
    label, unit, orientation = given.get("name"), given.get("unit"), given.get("orientation")
    if label not in (*_SPATIAL, "c", "t"):
        raise _damaged(name, f"it has an axis named {label!r:.40}; x, y, z, c and t can be read")
    if label not in _SPATIAL:
        return Axis(label)
    if unit is not None and unit not in UNITS_IN_MM:
        raise _damaged(name, f"its axis {label} is in {unit!r:.40}; {', '.join(UNITS_IN_MM)} can be read")
    value = orientation.get("value") if isinstance(orientation, dict) else orientation
    if value is not None and value not in ORIENTATIONS:
        raise _damaged(name, f"its axis {label} runs {value!r:.40}; {', '.join(ORIENTATIONS)} can be read")
    return Axis(label, unit, value)


Scaled = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Scale and translation of every axis."""


def _level(given: Any, outer: Scaled, count: int, name: str) -> Level:
    path = given.get("path") if isinstance(given, dict) else None
    if not isinstance(path, str) or not all(part.strip(". ") for part in path.split("/")):
        raise _damaged(name, f"it has a level at {path!r:.80}, which is no path within it")
    scale, translation = _scaled(given.get("coordinateTransformations"), count, name)
    if not (np.abs(outer[0] * scale) > 0).all():
        raise _damaged(name, f"the level {path:.80} has a scale of 0")
    return Level(path, outer[0] * scale, outer[0] * translation + outer[1])


def _scaled(given: Any, count: int, name: str) -> Scaled:
    """Scale and translation of a list of transformations, applied in their order."""
    scale, translation = np.ones(count), np.zeros(count)
    if given is not None and not (isinstance(given, list) and len(given) <= MOST_LEVELS):
        raise _damaged(name, "its coordinateTransformations are no list")
    for one in given or ():
        kind = one.get("type") if isinstance(one, dict) else None
        if kind == "scale":
            factors = _numbers(one.get("scale"), count, name)
            scale, translation = scale * factors, translation * factors
        elif kind == "translation":
            translation = translation + _numbers(one.get("translation"), count, name)
        elif kind != "identity":
            raise _damaged(name, f"it has a transformation of type {kind!r:.40}; scale and translation can be read")
    return scale, translation


def _numbers(given: Any, count: int, name: str) -> NDArray[np.float64]:
    numbers = given if isinstance(given, list) else []
    sound = len(numbers) == count and all(type(one) in (int, float) and math.isfinite(one) for one in numbers)
    if not sound:
        raise _damaged(name, f"a transformation holds {given!r:.80}; {count} finite numbers are needed")
    return np.array(numbers, np.float64)


def _described(axis: Axis) -> dict[str, Any]:
    if axis.name not in _SPATIAL:
        return {"name": axis.name, "type": {"t": "time", "c": "channel"}[axis.name]}
    orientation = {"type": "anatomical", "value": axis.orientation}
    return {"name": axis.name, "type": "space", "unit": axis.unit, "orientation": orientation}


def _damaged(name: str, reason: str) -> InputError:
    return InputError(f"{name} is no readable OME-Zarr image: {reason}")
