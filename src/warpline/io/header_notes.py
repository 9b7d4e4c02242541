"""Notes on a header: guesses, conversions, repairs, and tools that read it differently."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from warpline.io.nifti_geometry import CHOICES, TOOLS, UNITS, Answer, Placement, words
from warpline.io.physical_size import in_words, is_plausible
from warpline.space.grid import Grid, Matrix, Shape

TOLERANCE = 0.01
"""Largest distance in voxels, at a corner of the volume, between two placements that count as equal."""

_UNIT_NAMES = {1: "metres", 3: "micrometres"}
_AXES = "ijk"


@dataclass(frozen=True)
class PlacementDistance:
    """Largest distance between two placements of a voxel.

    Parameters
    ----------
    mm, voxels : float
        In mm, and in voxels of the first answer.
    mirrored : bool
        Whether one is the mirror image of the other.
    """

    mm: float
    voxels: float
    mirrored: bool

    @classmethod
    def between(cls, taken: Matrix, other: Matrix, shape: Shape) -> PlacementDistance:
        """Compare two voxel-to-world matrices (mm) at the corners of a volume, where they are furthest apart."""
        corners = Grid(shape, np.eye(4)).corners()
        apart = corners @ (other - taken)[:3, :3].T + (other - taken)[:3, 3]
        voxels = np.linalg.solve(taken[:3, :3], apart.T).T
        turned = np.linalg.det(taken[:3, :3]) * np.linalg.det(other[:3, :3]) < 0
        mm, within = (float(np.linalg.norm(one, axis=1).max()) for one in (apart, voxels))
        return cls(mm, within, bool(turned))

    def __str__(self) -> str:
        mirrored = " and mirrored" if self.mirrored else ""
        return f"up to {self.mm:.2f} mm ({self.voxels:.2f} voxels) away{mirrored}"


def notes_of(place: Placement, name: str, asked: str | None, taken: tuple[str, Matrix]) -> tuple[str, ...]:
    """Every sentence about a header, beginning with the name of its file.

    Parameters
    ----------
    place : Placement
        What it says.
    name : str
        Of the file.
    asked : str or None
        The matrix that the user asked for.
    taken : (str, (4, 4))
        The matrix that was taken, and itself, in mm.
    """
    sentences = (
        *_missing_geometry(place, asked, taken[0]),
        *_units(place, taken[1]),
        *_sizes(place),
        *_fsl_sizes(place),
        *_disagreement(place, *taken),
    )
    return tuple(f"{name}: {sentence}" for sentence in sentences)


def once(*grids: Grid | None) -> list[str]:
    """The notes of several grids, each sentence once."""
    return list(dict.fromkeys(note for grid in grids if grid is not None for note in grid.notes))


def _missing_geometry(place: Placement, asked: str | None, taken: str) -> Iterator[str]:
    if asked is not None and asked != taken:
        yield f"its header has no {asked} ({asked}_code {place.codes[asked]}); taken is {words(place, taken)}"


def _units(place: Placement, matrix: Matrix) -> Iterator[str]:
    sizes = np.linalg.norm(matrix[:3, :3], axis=0)
    if place.unit in _UNIT_NAMES:
        yield (
            f"its header is in {_UNIT_NAMES[place.unit]} (xyzt_units): converted to mm, voxels of {in_words(sizes)} "
            "mm, as in ITK, AFNI, SPM and FreeSurfer; nibabel and FSL take the numbers for mm"
        )
    elif place.unit not in UNITS:
        yield f"its unit of length (xyzt_units) is {place.unit}, which is none of NIfTI: taken for mm"
    elif place.unit == 0 and not is_plausible(sizes):
        yield (
            f"it names no unit of length (xyzt_units is 0), and its voxels are {in_words(sizes)}: taken for mm, in "
            "which no image has voxels of this size. Write xyzt_units into the file"
        )


def _sizes(place: Placement) -> Iterator[str]:
    for axis in range(place.axes):
        size = place.pixdim[1 + axis]
        if not (size > 0 and np.isfinite(size)):
            made = f"{place.sizes[axis]:g}"
            yield f"its pixdim is {size:g} along {_AXES[axis]}, which is no size of a voxel: taken for {made}"


def _fsl_sizes(place: Placement) -> Iterator[str]:
    """Where the voxel sizes that FSL counts by are not those of the matrix that it takes."""
    name = next((name for name in CHOICES if place.has(name)), None)
    if name != "sform":
        return
    lengths = np.linalg.norm(place.header.get_sform()[:3, :3], axis=0)
    drift = np.abs(place.sizes / np.maximum(lengths, 1e-30) - 1) * (np.array(place.shape) - 1)
    if drift.max() > TOLERANCE:
        yield (
            f"its voxels are {in_words(place.sizes)} by pixdim and {in_words(lengths)} by the sform; flirt, fnirt and "
            "their files count by pixdim, and are read and written so here"
        )


def _disagreement(place: Placement, name: str, matrix: Matrix) -> Iterator[str]:
    """Which tools see the voxels elsewhere, by how much, and what each takes."""
    apart: dict[str, list[str]] = {"": []}
    for tool, answer in ((tool, answer(place)) for tool, answer in TOOLS.items()):
        if answer.source:
            apart.setdefault(_difference_note(answer, matrix, place.shape), []).append(tool)
    same = apart.pop("")
    if not apart:
        return
    agree = f", as in {enumerate_names(same)}" if same else ""
    others = "; ".join(f"in {enumerate_names(tools)} {what}" for what, tools in apart.items())
    if name == "none":
        yield f"neither sform nor qform is set (codes 0 and 0): {GUESS}{agree}; {others}. {WRITE_ONE}"
    else:
        yield f"its voxels are placed by {words(place, name)}{agree}; {others}. {MAKE_EQUAL}"


GUESS = "left and right are a guess, x grows to the left and the middle is the origin"
WRITE_ONE = "Write the right sform and qform into the file"
MAKE_EQUAL = (
    "Transforms are wrong in a tool that sees the voxels elsewhere: make sform, qform and pixdim agree, or choose with "
    "--geometry (geometry=)"
)


def _difference_note(answer: Answer, matrix: Matrix, shape: Shape) -> str:
    """What a tool does that sees the voxels elsewhere than `matrix` does; nothing for one that agrees."""
    if answer.matrix is None:
        return answer.source
    if np.array_equal(answer.matrix, matrix):
        return ""
    if not np.isfinite(answer.matrix).all() or np.linalg.matrix_rank(answer.matrix[:3, :3]) < 3:
        return f"by {answer.source}, which is singular or not finite"
    gap = PlacementDistance.between(matrix, answer.matrix, shape)
    return f"by {answer.source}, {gap}" if gap.voxels > TOLERANCE else ""


def enumerate_names(names: Iterable[str]) -> str:
    """Names in a row: a, b and c."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
