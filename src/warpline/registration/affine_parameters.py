"""Parameters of affine maps of world space, from translation to 12 degrees of freedom, and analytic derivatives.

A map acts about a centre c, in an orthonormal frame Q: ``x -> c + Q (L(p) Q^T (x - c) + t(p))``. All parameters are
in mm: angles, log scales and matrix entries are multiplied by a radius, so that one unit of any of them moves the
surface of the imaged object by about a millimetre.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from warpline.backends.affine_problem import ENTRY, ROTATION, SCALE, AffineFamily
from warpline.errors import UsageError
from warpline.space.grid import Grid, Matrix

Vector = NDArray[np.float64]
Stack = NDArray[np.float64]
Linear = Callable[[Stack], tuple[Stack, Stack]]
"""Parameters (A, P) to linear parts L (A, 3, 3) and their derivatives (A, P, 3, 3), or (1, P, 3, 3) where they are
constant."""

GENERATORS = np.zeros((3, 3, 3))
"""``GENERATORS[k] x = e_k cross x``."""
for _k, (_i, _j) in enumerate(((1, 2), (2, 0), (0, 1))):
    GENERATORS[_k, _j, _i], GENERATORS[_k, _i, _j] = 1.0, -1.0
_FLAT = GENERATORS.reshape(3, 9)
_IDENTITY = np.eye(3)
_IN_PLANE = np.diag([1.0, 1.0, 0.0])
_NO_PARAMETERS = np.zeros((1, 0, 3, 3))
_ENTRIES = np.eye(9).reshape(1, 9, 3, 3)
_ENTRIES_IN_PLANE = np.ascontiguousarray(_ENTRIES[:, [0, 1, 3, 4]])


def rotations(vectors: Stack) -> tuple[Stack, Stack]:
    """Rotation matrices (A, 3, 3) of rotation vectors (A, 3) in radians, and their derivatives (A, 3, 3, 3).

    Derivatives after Gallego and Yezzi 2015, doi:10.1007/s10851-014-0528-x:
    ``dR/dv_k = (v_k [v] + [v x (I - R) e_k]) R / |v|^2``.
    """
    squares = vectors[:, None] @ vectors[:, :, None]
    zero = [n for n, square in enumerate(squares.ravel().tolist()) if square < 1e-14]
    if zero:
        squares[zero] = 1.0
    angles = np.sqrt(squares)
    squares = angles * angles
    sines, cosines = np.sin(angles) / angles, (1 - np.cos(angles)) / squares
    if zero:
        sines[zero], cosines[zero] = 1.0, 0.0
    cross = _cross_product_matrices(vectors)
    matrices = _IDENTITY + sines * cross + cosines * (cross @ cross)
    terms = _cross_product_matrices((cross @ (_IDENTITY - matrices)).transpose(0, 2, 1))
    slopes = (vectors[:, :, None, None] * cross[:, None] + terms) @ (matrices / squares)[:, None]
    if zero:
        slopes[zero] = GENERATORS @ matrices[zero, None]
    return matrices, slopes


def _cross_product_matrices(vectors: Stack) -> Stack:
    """Matrices (..., 3, 3) that multiply as cross products with vectors (..., 3) do."""
    return (vectors @ _FLAT).reshape(*vectors.shape, 3)


def _translation(parameters: Stack) -> tuple[Stack, Stack]:
    return np.broadcast_to(_IDENTITY, (len(parameters), 3, 3)), _NO_PARAMETERS


def _similarity(parameters: Stack) -> tuple[Stack, Stack]:
    linear, slopes = rotations(parameters[:, :3])
    linear = np.exp(parameters[:, 3])[:, None, None] * linear
    return linear, np.concatenate([np.exp(parameters[:, 3])[:, None, None, None] * slopes, linear[:, None]], axis=1)


def _scaling(parameters: Stack) -> tuple[Stack, Stack]:
    scaled = np.exp(parameters[:, :1, None]) * _IDENTITY
    return scaled, scaled[:, None]


def _rotation_and_scales(parameters: Stack) -> tuple[Stack, Stack]:
    return _with_scales(*rotations(parameters[:, :3]), parameters[:, 3:])


def _with_scales(
    rotation: Stack, slopes: Stack, logarithms: Stack, axes: Sequence[int] = (0, 1, 2)
) -> tuple[Stack, Stack]:
    """``diag(exp s) R`` for the first of these axes, as many as there are scales, and its derivatives: of R first."""
    axes = axes[: logarithms.shape[1]]
    scales = np.ones((len(rotation), 3, 1))
    scales[:, axes, 0] = np.exp(logarithms)
    scaled = scales * rotation
    by_scale = np.zeros((len(rotation), len(axes), 3, 3))
    for number, axis in enumerate(axes):
        by_scale[:, number, axis] = scaled[:, axis]
    return scaled, np.concatenate([scales[:, None] * slopes, by_scale], axis=1)


def _matrix_entries(parameters: Stack) -> tuple[Stack, Stack]:
    return _IDENTITY + parameters.reshape(-1, 3, 3), _ENTRIES


def _rotation_in_plane(parameters: Stack) -> tuple[Stack, Stack]:
    rotation, slopes = rotations(parameters[:, :1] * _IDENTITY[2])
    return rotation, slopes[:, 2:]


def _similarity_in_plane(parameters: Stack) -> tuple[Stack, Stack]:
    rotation, slopes = _rotation_in_plane(parameters[:, :1])
    scales = np.exp(parameters[:, 1])[:, None, None]
    stretch = scales * _IN_PLANE + (_IDENTITY - _IN_PLANE)
    by_scale = (scales * _IN_PLANE @ rotation)[:, None]
    return stretch @ rotation, np.concatenate([stretch[:, None] @ slopes, by_scale], axis=1)


def _scaling_in_plane(parameters: Stack) -> tuple[Stack, Stack]:
    stretch = np.exp(parameters[:, :1, None]) * _IN_PLANE
    return stretch + (_IDENTITY - _IN_PLANE), stretch[:, None]


def _rotation_and_scales_in_plane(parameters: Stack) -> tuple[Stack, Stack]:
    return _with_scales(*_rotation_in_plane(parameters[:, :1]), parameters[:, 1:])


def _matrix_entries_in_plane(parameters: Stack) -> tuple[Stack, Stack]:
    matrices = np.tile(_IDENTITY, (len(parameters), 1, 1))
    matrices[:, :2, :2] += parameters.reshape(-1, 2, 2)
    return matrices, _ENTRIES_IN_PLANE


_TURNS = tuple(ROTATION + axis for axis in range(3))
_SCALES = tuple(SCALE + (1 << axis) for axis in range(3))
_ISOTROPIC, _ISOTROPIC_IN_PLANE = (SCALE + 0b111,), (SCALE + 0b011,)

SPATIAL: dict[str, tuple[tuple[int, ...], Linear]] = {
    "translation": ((), _translation),
    "rigid": (_TURNS, rotations),
    "similarity": (_TURNS + _ISOTROPIC, _similarity),
    "affine": (tuple(ENTRY + n for n in range(9)), _matrix_entries),
    "rotation": (_TURNS, rotations),
    "scaling": (_ISOTROPIC, _scaling),
    "rigid_scaling": (_TURNS + _SCALES, _rotation_and_scales),
}
"""Name of a kind of map to the parameters of its linear part, see `warpline.backends.affine_problem`, and that part."""

PLANAR: dict[str, tuple[tuple[int, ...], Linear]] = {
    "translation": ((), _translation),
    "rigid": (_TURNS[2:], _rotation_in_plane),
    "similarity": (_TURNS[2:] + _ISOTROPIC_IN_PLANE, _similarity_in_plane),
    "affine": (tuple(ENTRY + n for n in (0, 1, 3, 4)), _matrix_entries_in_plane),
    "rotation": (_TURNS[2:], _rotation_in_plane),
    "scaling": (_ISOTROPIC_IN_PLANE, _scaling_in_plane),
    "rigid_scaling": (_TURNS[2:] + _SCALES[:2], _rotation_and_scales_in_plane),
}
"""The same for maps within the plane of the first two axes of the frame."""

IN_PLANE = ("tx", "ty", "rz", "sx", "sy", "hxy")
"""Degrees of freedom within the plane of the first two axes of a frame."""

_SHEARS = {"hxy": 1, "hxz": 2, "hyz": 5}
"""Degree of freedom to index of the entry of the linear part that it is."""


def free_parts(names: Sequence[str]) -> tuple[tuple[int, ...], Linear, tuple[int, ...]]:
    """Parameters of the linear part ``diag(exp s) R(v) + E`` of degrees of freedom, that part, and the axes of shifts.

    Parameters
    ----------
    names : sequence of str
        See `warpline.recipe.linear.FREEDOMS`.
    """
    turns, scales, shifts = ([axis for axis, x in enumerate("xyz") if kind + x in names] for kind in "rst")
    entries = [entry for name, entry in _SHEARS.items() if name in names]
    first, second = len(turns), len(turns) + len(scales)

    def linear(parameters: Stack) -> tuple[Stack, Stack]:
        vectors = np.zeros((len(parameters), 3))
        vectors[:, turns] = parameters[:, :first]
        rotation, slopes = rotations(vectors)
        scaled, slopes = _with_scales(rotation, slopes[:, turns], parameters[:, first:second], scales)
        by_shear = _ENTRIES[0, entries]
        sheared = scaled + np.tensordot(parameters[:, second:], by_shear, axes=1)
        constant = np.broadcast_to(by_shear, (len(parameters), *by_shear.shape))
        return sheared, np.concatenate([slopes, constant], axis=1)

    kinds = (*(ROTATION + n for n in turns), *(SCALE + (1 << n) for n in scales), *(ENTRY + n for n in entries))
    return kinds, linear, tuple(shifts)


ABOUT_ORIGIN = ("rotation", "scaling")
"""Linear maps about the origin of the moving world; they have no translation."""

ALONG_WORLD = (*ABOUT_ORIGIN, "rigid_scaling")
"""Maps defined in the moving world, about its origin or along its axes: they act after the start."""


@dataclass(frozen=True, eq=False)
class AffineParameters:
    """Parameters of a kind of map: translation (3), rigid (6), similarity (7), affine (12); in a plane 2, 3, 4, 6.

    Besides, about the origin of the moving world, rotation (3) and scaling (1), and along its axes rigid with a scale
    for each (9); in a plane 1, 1, 5. Or any degrees of freedom of an affine map, see `free_parts`.

    Parameters
    ----------
    parts : tuple of int
        Kind of each parameter of the linear part, see `warpline.backends.affine_problem`; then come the translations.
    linear : callable
        The linear part, see `Linear`.
    centre : (3,)
        Fixed point of the linear part, world mm.
    radius : float
        Millimetres per unit of a linear parameter.
    frame : (3, 3)
        Orthonormal axes as columns.
    planar : bool
        Whether the map stays in the plane of the first two axes of the frame.
    shifts : tuple of int
        Axes of the frame along which there is a translation too.
    start : (4, 4), optional
        Fixed world to moving world: the map M acts after it, as ``start^-1 M start`` on fixed points.
    """

    parts: tuple[int, ...]
    linear: Linear
    centre: Vector
    radius: float
    frame: Matrix
    planar: bool = False
    shifts: tuple[int, ...] = (0, 1, 2)
    start: Matrix | None = None

    @classmethod
    def named(cls, name: str, centre: Vector, radius: float, plane: Matrix | None = None) -> AffineParameters:
        """Parameters of maps called `name`; within a plane whose normal is the third axis of `plane`, where given.

        Degrees of freedom, such as ``"tx,ty,rz"``, count along the axes of the world, in a plane along those of
        `_world_frame`.

        Raises
        ------
        UsageError
            When such a degree of freedom leads out of the plane.
        """
        if name not in SPATIAL:
            return cls._of_freedoms(name, centre, radius, plane)
        if plane is None:
            return cls(*SPATIAL[name], centre, radius, np.eye(3))
        return cls(*PLANAR[name], centre, radius, plane, planar=True, shifts=(0, 1))

    @classmethod
    def _of_freedoms(cls, text: str, centre: Vector, radius: float, plane: Matrix | None) -> AffineParameters:
        names = text.split(",")
        parts, linear, shifts = free_parts(names)
        if plane is None:
            return cls(parts, linear, centre, radius, np.eye(3), shifts=shifts)
        out = [name for name in names if name not in IN_PLANE]
        if out:
            raise UsageError(
                f"linear.stages: {', '.join(out)} of {text!r} move points out of the plane of single slices; choose "
                f"from {', '.join(IN_PLANE)}, which count in it"
            )
        return cls(parts, linear, centre, radius, _world_frame(plane), planar=True, shifts=shifts)

    @classmethod
    def after(
        cls, start: Matrix, name: str, centre: Vector, radius: float, plane: Matrix | None = None
    ) -> AffineParameters:
        """Parameters of maps called `name`, for a search from `start` (4, 4), fixed world to moving world.

        Those of `ALONG_WORLD` act after the start; the others, see `named`, before it.
        """
        parameters = cls.named(name, centre, radius, plane)
        if name not in ALONG_WORLD:
            return parameters
        moved_centre = start[:3, :3] @ centre + start[:3, 3]
        frame = parameters.frame if plane is None else _world_frame(plane)
        after_start = replace(parameters, centre=moved_centre, frame=frame, start=start)
        if name not in ABOUT_ORIGIN:
            return after_start
        distance = float(np.hypot(radius, np.linalg.norm(moved_centre)))
        return replace(after_start, centre=np.zeros(3), radius=distance, shifts=())

    @property
    def linear_size(self) -> int:
        """Number of parameters of the linear part."""
        return len(self.parts)

    @property
    def size(self) -> int:
        """Number of parameters."""
        return self.linear_size + len(self.shifts)

    def matrices(self, parameters: Stack) -> tuple[Stack, Stack]:
        """World to world matrices (A, 4, 4) of parameters (A, size) in mm, and their derivatives.

        Those are (A, size, 3, 4), of the upper rows, or (1, size, 3, 4) where they are constant.
        """
        linear, slopes = self.linear(parameters[:, : self.linear_size] / self.radius)
        linear, shift = self._in_world(linear), parameters[:, self.linear_size :] @ self._shift_axes
        matrices = np.zeros((len(parameters), 4, 4))
        matrices[:, :3, :3] = linear
        matrices[:, :3, 3] = self.centre - linear @ self.centre + shift
        matrices[:, 3, 3] = 1.0
        if self.start is not None:
            return self._before(matrices, self._derivatives(slopes))
        return matrices, self._constant_derivatives if slopes is _ENTRIES else self._derivatives(slopes)

    def family(self, before: Stack, after: Matrix) -> AffineFamily | None:
        """The maps ``before matrix(p) after``, with `before` (S, 4, 4) and `after` (4, 4), as numbers alone.

        None where translations are not along the first axes: a family has no word for others.
        """
        if self.shifts != tuple(range(len(self.shifts))):
            return None
        about = np.eye(4)
        about[:3, :3], about[:3, 3] = self.frame, self.centre
        back = np.linalg.inv(about)
        left, right = before @ about, back @ after
        if self.start is not None:
            left, right = before @ np.linalg.inv(self.start) @ about, back @ self.start @ after
        return AffineFamily(left, right, self.parts, len(self.shifts), self.radius)

    def _before(self, matrices: Stack, slopes: Stack) -> tuple[Stack, Stack]:
        """``start^-1 M start`` of maps M that act after the start, and its derivatives."""
        assert self.start is not None
        back = np.linalg.inv(self.start)
        return back @ matrices @ self.start, back[:3, :3] @ slopes @ self.start

    def _derivatives(self, slopes: Stack) -> Stack:
        """Derivatives (A, size, 3, 4) of the upper rows of the matrix, from those of the linear part."""
        derivatives = np.zeros((len(slopes), self.size, 3, 4))
        derivatives[:, : self.linear_size, :, :3] = self._in_world(slopes / self.radius)
        derivatives[..., 3] = -derivatives[..., :3] @ self.centre
        derivatives[:, self.linear_size :, :, 3] = self._shift_axes
        return derivatives

    @cached_property
    def _shift_axes(self) -> Matrix:
        """Directions of the translations, (T, 3)."""
        return self.frame.T[list(self.shifts)]

    @cached_property
    def _constant_derivatives(self) -> Stack:
        """Derivatives of a map whose parameters are the entries of its linear part: they are constant."""
        return self._derivatives(_ENTRIES)

    def _in_world(self, linear: Stack) -> Stack:
        return self.frame @ linear @ self.frame.T if self.planar else linear


def slice_frame(grid: Grid) -> Matrix | None:
    """Orthonormal frame (3, 3) of a grid one voxel thick, its third axis normal to the slice; None for a volume."""
    thin = [axis for axis, voxels in enumerate(grid.shape) if voxels == 1]
    if len(thin) != 1:
        return None
    first, second = np.delete(grid.affine[:3, :3], thin[0], axis=1).T
    normal = np.cross(first, second)
    frame = np.stack([first / np.linalg.norm(first), np.cross(normal, first), normal], axis=1)
    return np.asarray(frame / np.linalg.norm(frame, axis=0))


def shared_plane(fixed: Grid, moving: Grid) -> Matrix | None:
    """Frame of the fixed slice, see `slice_frame`, when both grids are one voxel thick; None for volumes."""
    return None if slice_frame(moving) is None else slice_frame(fixed)


def _world_frame(frame: Matrix) -> Matrix:
    """A frame of the same plane whose first axis is the projection of the world axis closest to the plane."""
    normal = frame[:, 2]
    first = np.eye(3)[np.argmin(np.abs(normal))]
    first = first - (first @ normal) * normal
    first /= np.linalg.norm(first)
    return np.stack([first, np.cross(normal, first), normal], axis=1)
