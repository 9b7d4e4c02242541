"""A start fitted to what is known of both images: landmarks, or surfaces."""

from __future__ import annotations

from dataclasses import dataclass

from warpline.backends import Backend
from warpline.errors import InputError
from warpline.images.intensity import normalise
from warpline.registration.checks import check_overlap, check_start
from warpline.registration.initialisation import initial_affine
from warpline.registration.landmarks import LandmarkErrors, start_from
from warpline.registration.length_unit import LengthUnit
from warpline.registration.planes import height_beside, led_into_plane
from warpline.registration.problem import Problem
from warpline.registration.surface_start import start_from_surfaces
from warpline.registration.surfaces import SurfaceErrors
from warpline.space import Affine, Transform


@dataclass(frozen=True, eq=False)
class FittedStart:
    """Where the stages start, and what was fitted to what.

    Parameters
    ----------
    transform : Transform
        Fixed world to moving world.
    landmark_model, surface_model : str or None
        The map fitted to landmarks, or to nearest points of surfaces; None where none was.
    is_of_images : bool
        Whether it is only where the images would start, which they had better find themselves.
    """

    transform: Transform
    landmark_model: str | None = None
    surface_model: str | None = None
    is_of_images: bool = False

    @classmethod
    def of(cls, problem: Problem, initial: Transform | None, backend: Backend) -> FittedStart:
        """A given start, or else one fitted to landmarks, or else to surfaces where the recipe says so.

        Raises
        ------
        InputError
            When landmarks or surfaces leave the map open, or images do not overlap under it.
        """
        if initial is not None:
            return cls(initial)
        options = problem.recipe.initialise
        if problem.landmarks is not None:
            start = start_from(problem.landmarks, options.landmarks, problem.fixed.grid, backend)
            return cls(_in_planes(start, problem), landmark_model=options.landmarks).checked(problem)
        images = _start_of_images(problem, backend)
        if options.surfaces is None:
            return cls(images, is_of_images=True)
        start = start_from_surfaces(problem.surfaces, images, options.surfaces, problem.fixed.grid)
        return cls(_in_planes(start, problem), surface_model=options.surfaces).checked(problem)

    def checked(self, problem: Problem) -> FittedStart:
        """Itself, if images overlap under it."""
        check_start(self.transform, problem.recipe)
        try:
            check_overlap(problem.fixed, problem.moving, self.transform)
        except InputError:
            raise InputError(_apart(problem, "landmarks" if self.surface_model is None else "surfaces")) from None
        return self

    def measure(self, problem: Problem, whole: Transform, backend: Backend) -> PointErrors:
        """How far landmarks and surfaces are apart under it and under the whole map."""
        unit = LengthUnit.of(normalise(problem.fixed, backend)).mm
        landmarks, surfaces = None, None
        if problem.landmarks is not None:
            landmarks = LandmarkErrors.of(problem.landmarks, self.landmark_model, self.transform, whole)
        if problem.surfaces:
            surfaces = SurfaceErrors.of(problem.surfaces, self.surface_model, (self.transform, whole), unit)
        return PointErrors(landmarks, surfaces, unit)


@dataclass(frozen=True, eq=False)
class PointErrors:
    """How far landmarks and surfaces are apart, where there are some; `unit` is that of a head's mm in mm."""

    landmarks: LandmarkErrors | None
    surfaces: SurfaceErrors | None
    unit: float

    @property
    def warnings(self) -> tuple[str, ...]:
        """A sentence for what ends far apart."""
        of_landmarks = () if self.landmarks is None else self.landmarks.warnings(self.unit)
        return of_landmarks if self.surfaces is None else (*of_landmarks, *self.surfaces.warnings(self.unit))


def _apart(problem: Problem, known: str) -> str:
    """What is said where a start fitted to landmarks or surfaces leaves the images apart."""
    grids = problem.fixed.grid, problem.moving.grid
    beyond = () if problem.landmarks is None else problem.landmarks.beyond(*grids)
    if known == "surfaces":
        pairs = enumerate(problem.surfaces, 1)
        beyond = tuple(note for at, both in pairs for note in (*both.unlike(at), *both.beyond(at, *grids)))
    instead = "set initialise.surfaces=off" if known == "surfaces" else "leave them out"
    return "; ".join(
        (
            f"{problem.fixed.name} and {problem.moving.name} do not overlap under the start fitted to the {known}: are "
            f"they of these images, in mm, and in RAS or LPS as said (--space)? Correct them, or {instead} to start "
            "from the images",
            *beyond,
        )
    )


def _in_planes(start: Transform, problem: Problem) -> Transform:
    """A start that was fitted in the plane of a 2-D fixed image, led on into that of the moving one."""
    fixed, moving = problem.fixed.grid, problem.moving.grid
    if not fixed.flat:
        return start
    return led_into_plane(start, fixed, float(fixed.centre[2]), height_beside(fixed, moving))


def _start_of_images(problem: Problem, backend: Backend) -> Affine:
    """Where the linear stages would start."""
    placed, linear = problem.reorder_axes(backend), problem.recipe.linear
    images = placed.heeding(linear is None or linear.masks, placed.normalised(backend), backend)
    return initial_affine(*images, problem.recipe.initialise, backend=backend)
