"""One registration in numbers, from two images to the transform between them.

1. Normalise both images: background 0, range about 1 (`images.intensity`).
2. Initialise (`initialisation`) and register linearly (`linear`, `linear_stage`).
3. Judge the affine (`judgement`); where it is doubtful, search again from other starts.
4. Register deformably (`syn`): half-maps from a middle space to either image.
5. Join them into a map and its inverse, consistent and without folds (`inverse_consistency`).
6. Keep what the recipe limits, where it limits anything (`budget`).
7. Judge the whole map, and download it in mm.

A start with a warp (`initial_warp`) is looked through from the first step on, and joined after the last one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from warpline.backends import Backend
from warpline.images import Image
from warpline.images.intensity import normalise
from warpline.images.masks import on_grid
from warpline.recipe import Recipe, Syn
from warpline.registration.axis_order import AxisOrder
from warpline.registration.budget import Spending
from warpline.registration.checks import check_pair
from warpline.registration.clock import Clock
from warpline.registration.comparisons import ComparedImages
from warpline.registration.cropping import weights_on
from warpline.registration.deformation import DeformableStage, HalfMapsCallback, half_maps_in_mm
from warpline.registration.directions import allowed_directions
from warpline.registration.fitted_start import FittedStart
from warpline.registration.image_pairs import LoadedImages
from warpline.registration.initial_warp import InitialWarp
from warpline.registration.judgement import Judgement, judge, quality_signs
from warpline.registration.judging import Judging
from warpline.registration.landmarks import LandmarkErrors, Landmarks
from warpline.registration.linear_stage import register_from_start
from warpline.registration.perturbed_runs import spread_of_affine, spread_of_deformation
from warpline.registration.problem import NormalisedPair, Problem
from warpline.registration.progress import LevelRecord, ProgressCallback
from warpline.registration.quality import VOXELS, Quality
from warpline.registration.spread import Spread, spread_warnings
from warpline.registration.surfaces import LoadedSurfaces, SurfaceErrors
from warpline.registration.syn import HalfMaps
from warpline.space import Affine, Chain, Displacement, Transform
from warpline.space.grid import Matrix


@dataclass(frozen=True, eq=False)
class Alignment:
    """Result of `align`.

    Parameters
    ----------
    fixed, moving : Image
        The images as given.
    affine : Affine
        Fixed world to moving world, the linear part.
    warp : Displacement or None
        On the fixed grid, with its inverse; None for linear recipes, but for those that started from a warp.
    levels : tuple of LevelRecord
        Every level of every stage, in order.
    seconds : dict
        Wall-clock time of each part.
    quality : Quality or None
        Folds and inverse error of the warp.
    warnings : tuple of str
        A sentence for everything that did not go as asked, and for every reason to doubt the result.
    judgement : Judgement
        Whether the result can be trusted.
    spending : Spending or None
        What the warp uses of the recipe's budget; None without one.
    terms : tuple of ComparedImages
        What the deformable stage compared: the fixed and the moving image, and every further pair.
    velocity : Displacement or None
        The stationary velocity field of a recipe with ``syn.model = "velocity"``, in mm on the fixed grid; `warp` is
        its `warpline.space.exponential`.
    landmarks : LandmarkErrors or None
        How far landmarks are apart, where some were given.
    surfaces : SurfaceErrors or None
        How far surfaces are apart, likewise.
    spread : Spread or None
        How far perturbed runs end from the map, where the recipe asks for some.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Affine, Image
    >>> from warpline.registration import Alignment
    >>> image, affine = Image.from_array(np.eye(4)), Affine(np.diag([2.0, 2.0, 2.0, 1.0]))
    >>> Alignment(image, image, affine).inverse.map_points([[2.0, 4.0, 6.0]])
    array([[1., 2., 3.]])
    """

    fixed: Image
    moving: Image
    affine: Affine
    warp: Displacement | None = None
    levels: tuple[LevelRecord, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)
    quality: Quality | None = None
    warnings: tuple[str, ...] = ()
    judgement: Judgement = field(default_factory=Judgement)
    spending: Spending | None = None
    terms: tuple[ComparedImages, ...] = ()
    landmarks: LandmarkErrors | None = None
    surfaces: SurfaceErrors | None = None
    velocity: Displacement | None = None
    spread: Spread | None = None

    @property
    def transform(self) -> Chain:
        """Fixed world points to moving world points: ``y = A(x + u(x))``."""
        return Chain((self.affine,) if self.warp is None else (self.warp, self.affine))

    @property
    def inverse(self) -> Chain:
        """Moving world points to fixed world points."""
        return self.transform.inverse()


def align(
    fixed: Image,
    moving: Image,
    recipe: Recipe,
    *,
    backend: Backend,
    fixed_mask: Image | None = None,
    moving_mask: Image | None = None,
    fixed_weights: Image | None = None,
    moving_weights: Image | None = None,
    initial: Transform | None = None,
    landmarks: Landmarks | None = None,
    surfaces: Sequence[LoadedSurfaces] = (),
    progress: ProgressCallback | None = None,
    checked: bool = False,
    pairs: Sequence[LoadedImages] = (),
    judged: bool = True,
    alike: bool = False,
) -> Alignment:
    """Find the map that carries `moving` onto `fixed`.

    Parameters
    ----------
    fixed, moving : Image
        3-D (or one slice), finite, not constant.
    recipe : Recipe
        What to run; its section `prepare` is left to whoever calls this, see `warpline.registration.preparation`.
    backend : Backend
        Where to run it.
    fixed_mask, moving_mask : Image, optional
        Nonzero where an image counts, on any grid.
    fixed_weights, moving_weights : Image, optional
        How much places of an image count in the deformable stage, on any grid: not negative, in proportion.
    initial : Affine, Displacement or Chain, optional
        Fixed world to moving world; replaces the recipe's initialiser.
    landmarks : Landmarks, optional
        The start is fitted to them where there is no `initial`; they pull in the deformable stage, and their distances
        are measured.
    surfaces : sequence of LoadedSurfaces
        The start is fitted to their nearest points where there is neither; likewise.
    progress : callable, optional
        Called with a `Progress` as the work goes on.
    checked : bool
        Whether `check_pair` has accepted the images already, where they were read ahead of the computation.
    pairs : sequence of LoadedImages
        Further images that the deformable stage compares; checked.
    judged : bool
        Whether to judge the maps. Without it an affine is judged only where other starts may be searched for, and a map
        that started from a warp has no inverse and no quality: for callers that judge maps among many themselves.
    alike : bool
        Whether grey values mean the same in both images: they are scaled as one, not each by what it shows.

    Raises
    ------
    InputError
        When the images cannot be registered with this recipe, see `warpline.registration.checks.check_pair`, or
        weights leave nothing to compare.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Image, Recipe
    >>> from warpline.backends import select
    >>> from warpline.registration import align
    >>> x, y = np.indices((32, 32)) - 15.5
    >>> shape = (np.exp(-(x**2 + 2 * y**2) / 80) * (2 + np.sin(x) + np.cos(1.3 * y + x / 3))).astype(np.float32)
    >>> recipe = Recipe.load("rigid").with_options("initialise.rotations=false")
    >>> images = Image.from_array(shape), Image.from_array(np.roll(shape, 2, axis=0))
    >>> align(*images, recipe, backend=select("numpy")).affine.matrix[:3, 3].round() + 0.0
    array([2., 0., 0.])
    """
    sides = (fixed, fixed_mask), (moving, moving_mask)
    if not checked:
        counts = {"fixed_mask": fixed_mask, "moving_mask": moving_mask}
        counts |= {"fixed_weights": fixed_weights, "moving_weights": moving_weights}
        check_pair(fixed, moving, recipe, **counts, initial=initial)
    on_fixed, on_moving = (None if mask is None else on_grid(mask, image.grid) for image, mask in sides)
    weights = fixed_weights, moving_weights
    known = landmarks, tuple(surfaces)
    given = fixed, moving, on_fixed, on_moving, recipe
    problem = Problem(*given, None, tuple(pairs), weights, *known, judged=judged, alike=alike)
    parts = ["linear"] if recipe.linear is not None else []
    metrics = [] if recipe.syn is None else [*recipe.syn.metrics, *filter(None, (pair.metric for pair in pairs))]
    backend.prepare([*parts, *dict.fromkeys(metrics)])
    with backend.session():
        if landmarks is None and not surfaces:
            return _align_from(initial, problem, backend, progress)
        return _align_points(problem.in_planes(), initial, backend, progress)


def _align_points(
    problem: Problem, initial: Transform | None, backend: Backend, progress: ProgressCallback | None
) -> Alignment:
    """Align from landmarks or surfaces, where no other start is given, and measure how far they are apart."""
    clock = Clock()
    with clock.step("landmarks and surfaces"):
        start = FittedStart.of(problem, initial, backend)
    found = _align_from(None if start.is_of_images else start.transform, problem, backend, progress)
    with clock.step("landmarks and surfaces"):
        errors = start.measure(problem, found.transform, backend)
    return replace(
        found,
        landmarks=errors.landmarks,
        surfaces=errors.surfaces,
        warnings=(*found.warnings, *errors.warnings),
        seconds={**found.seconds, **clock.seconds},
    )


def _align_from(
    start: Transform | None, problem: Problem, backend: Backend, progress: ProgressCallback | None
) -> Alignment:
    """Align from a start, or from what the recipe finds; from a warp, by what is seen through it."""
    if start is None or isinstance(start, Affine):
        return _align(replace(problem, initial=start), backend, progress)
    warp = InitialWarp(Chain.of(start), problem.fixed.grid, backend)
    clock = Clock()
    with clock.step("initial warp"):
        seen = problem.seen_through(warp)
    found = _align(seen, backend, progress)
    if not problem.judged:
        affine, displacement = warp.forward(found.transform)
        joined = replace(found, moving=problem.moving, affine=affine, warp=displacement, velocity=None, quality=None)
        return replace(joined, seconds={**found.seconds, **clock.seconds})
    with clock.step("initial warp"):
        fixed = normalise(problem.fixed, backend, problem.fixed_mask)
        mask = fixed.object_mask if fixed.mask is None else fixed.mask
        total = warp.total(found.transform, mask, VOXELS if found.quality is None else found.quality.units)
        notes = warp.notes(mask)
    if found.velocity is not None:
        notes += ("no velocity field is written: the map is joined from what was found and the start, a warp",)
    if found.spread is not None:
        notes += ("the uncertainty is that of what was found, in mm before the start, a warp, is applied",)
    judgement = judge({**found.judgement.signs, **quality_signs(total.quality)})
    kept = tuple(warning for warning in found.warnings if warning not in found.judgement.reasons)
    return replace(
        found,
        moving=problem.moving,
        affine=total.affine,
        warp=total.warp,
        velocity=None,
        quality=total.quality,
        seconds={**found.seconds, **clock.seconds},
        warnings=(*kept, *notes, *judgement.reasons),
        judgement=judgement,
    )


def align_with_half_maps(
    fixed: Image,
    moving: Image,
    recipe: Recipe,
    *,
    backend: Backend,
    initial: Affine | None = None,
    progress: ProgressCallback | None = None,
) -> tuple[Alignment, tuple[Displacement, Displacement]]:
    """As `align` with a deformable recipe, and the half-maps that the result was made of.

    Returns
    -------
    Alignment, pair of Displacement
        The latter from the middle space to the fixed image and to the moving one, that one before the affine; both on
        the fixed grid with their inverses, as SyN left them, before inverse consistency was enforced.
    """
    check_pair(fixed, moving, recipe, initial=initial)
    order, on_host = AxisOrder.of(fixed.grid.shape), list[Displacement]()
    grid = order.grid(fixed.grid)

    def collect(half_maps: HalfMaps) -> None:
        on_host[:] = (order.displacement(half, fixed.grid) for half in half_maps_in_mm(half_maps, grid, backend))

    with backend.session():
        alignment = _align(Problem(fixed, moving, None, None, recipe, initial), backend, progress, collect)
    to_fixed, to_moving = on_host
    return alignment, (to_fixed, to_moving)


def _align(
    problem: Problem,
    backend: Backend,
    progress: ProgressCallback | None,
    on_half_maps: HalfMapsCallback | None = None,
) -> Alignment:
    """Align with the axes in the order that suits the backend, and give the result in the order of the images."""
    order, syn = AxisOrder.of(problem.fixed.grid.shape), problem.recipe.syn
    directions = None if syn is None else syn.directions
    allowed = None if directions is None else allowed_directions(directions, problem.fixed.grid)
    alignment = _run_stages(problem.reorder_axes(backend), backend, order.callback(progress), on_half_maps, allowed)
    return replace(
        alignment,
        fixed=problem.fixed,
        moving=problem.moving,
        warp=None if alignment.warp is None else order.displacement(alignment.warp, problem.fixed.grid),
        velocity=None if alignment.velocity is None else order.displacement(alignment.velocity, problem.fixed.grid),
        quality=order.quality(alignment.quality),
        levels=order.records(alignment.levels),
        spread=None if alignment.spread is None else order.spread(alignment.spread, problem.fixed.grid),
    )


def _run_stages(
    problem: Problem,
    backend: Backend,
    progress: ProgressCallback | None,
    on_half_maps: HalfMapsCallback | None,
    allowed: Matrix | None,
) -> Alignment:
    """The steps of the module's list."""
    fixed, moving, recipe, clock = problem.fixed, problem.moving, problem.recipe, Clock()
    with clock.step("preparation"):
        images = problem.normalised(backend)
        seen = problem.heeding(recipe.linear is None or recipe.linear.masks, images, backend)
    with clock.step("linear"):
        linear = register_from_start(seen, problem, backend, progress)
    with clock.step("judgement"):
        judging = Judging.of(linear, seen, images, problem, backend)
    affine, levels = judging.linear.affine, judging.linear.levels
    if recipe.syn is None:
        spread = _spread(lambda: spread_of_affine(seen, affine, recipe, backend, progress), recipe, clock)
        judgement = judging.of_affine(spread)
        said = judging.linear.warnings + spread_warnings(spread) + judgement.reasons
        return Alignment(fixed, moving, affine, None, levels, clock.seconds, None, said, judgement, spread=spread)
    with clock.step("preparation"):
        prepared = _deformable_stage(problem, images, affine, backend, recipe.syn)
    stage = replace(prepared, progress=progress, on_half_maps=on_half_maps, clock=clock, allowed=allowed)
    return _deform(stage, problem, judging)


def _deform(stage: DeformableStage, problem: Problem, judging: Judging) -> Alignment:
    """Run the deformable stage from the affine, and judge the whole map."""
    fixed, recipe, backend, clock = problem.fixed, problem.recipe, stage.backend, stage.clock
    found = stage.run(recipe)
    maps, box = found.maps, found.box
    with clock.step("download"):
        warp = Displacement(box.in_mm(maps.forward, backend), fixed.grid, box.in_mm(maps.inverse, backend))
        velocity, notes = found.velocity_and_notes(backend)
    spread = _spread(lambda: spread_of_deformation(stage, found, recipe), recipe, clock)
    with clock.step("judgement"):
        judgement = judging.of_map(found, spread, backend)
    said = judging.linear.warnings + notes + found.warnings + spread_warnings(spread) + judgement.reasons
    return Alignment(
        fixed,
        problem.moving,
        stage.affine,
        warp,
        judging.linear.levels + found.levels,
        seconds=clock.seconds,
        quality=maps.quality,
        warnings=said,
        judgement=judgement,
        spending=found.spending,
        terms=found.compared,
        velocity=None if velocity is None else Displacement(velocity, fixed.grid),
        spread=spread,
    )


def _deformable_stage(
    problem: Problem, images: NormalisedPair, affine: Affine, backend: Backend, options: Syn
) -> DeformableStage:
    """The deformable stage with all that it compares, and how much that counts."""
    return DeformableStage(
        problem.heeding(options.masks, images, backend),
        affine,
        backend,
        channels=tuple(pair.channel(backend, options.beyond) for pair in problem.pairs),
        weights=weights_on(problem.weights, backend),
        **problem.points,
    )


def _spread(measure: Callable[[], Spread], recipe: Recipe, clock: Clock) -> Spread | None:
    """What `measure` gives, where the recipe asks for perturbed runs."""
    if recipe.uncertainty.is_empty:
        return None
    with clock.step("uncertainty"):
        return measure()
