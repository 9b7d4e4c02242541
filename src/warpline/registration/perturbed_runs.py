"""Perturbed runs beside a registration, from which its spread is measured.

Noise is added to both images, as much as they are estimated to have; the start is moved, and the smoothing scaled
(`perturbation`). The start is the affine that was found: it is not searched for again. Of a recipe without a deformable
stage, the linear stages run again from there.
"""

from __future__ import annotations

from dataclasses import replace

from warpline.backends import Array, Backend
from warpline.images.intensity import Normalised
from warpline.recipe import Recipe, Uncertainty
from warpline.registration.clock import Clock
from warpline.registration.deformation import DeformableStage, Deformation
from warpline.registration.linear import register_linear
from warpline.registration.perturbation import NoiseLevels, draw
from warpline.registration.progress import ProgressCallback
from warpline.registration.spread import AffineDistances, FieldDistances, Spread, summarise
from warpline.registration.syn import finest_spacing
from warpline.space import Affine


def spread_of_deformation(stage: DeformableStage, found: Deformation, recipe: Recipe) -> Spread:
    """The spread of a whole map.

    Parameters
    ----------
    stage : DeformableStage
        As it ran.
    found : Deformation
        What it made.
    recipe : Recipe
        With a deformable stage, and perturbed runs.
    """
    options, syn, backend = recipe.uncertainty, recipe.syn, stage.backend
    assert options.runs is not None and syn is not None, "the recipe asks for perturbed runs of such a stage"
    fixed = stage.images[0]
    levels = NoiseLevels.of(stage.images, stage.channels, options.noise, backend)
    distances = FieldDistances(fixed.grid, found.maps.forward, found.box.spans, backend)
    for run in draw(recipe, stage.images, stage.affine, stage.allowed):
        perturbed = replace(
            stage,
            images=levels.add_to(stage.images, run, backend),
            channels=levels.add_to_pairs(stage.channels, run, backend),
            affine=run.start(stage.affine),
            progress=_numbered(stage.progress, run.number, options.runs),
            on_half_maps=None,
            clock=Clock(),
        )
        ended = perturbed.run(recipe.model_copy(update={"syn": run.syn(syn)}))
        distances.add(ended.maps.forward, ended.box.spans, run.shift.matrix)
        del ended, perturbed  # their memory is for the next run
    return _summed_up(distances.root_mean_square(), levels, stage.images, options, backend)


def spread_of_affine(
    images: tuple[Normalised, Normalised],
    affine: Affine,
    recipe: Recipe,
    backend: Backend,
    progress: ProgressCallback | None = None,
) -> Spread:
    """The spread of an affine map.

    Parameters
    ----------
    images : (Normalised, Normalised)
        Fixed and moving, as the linear stages saw them.
    affine : Affine
        Fixed world to moving world, as found.
    recipe : Recipe
        With linear stages, and perturbed runs.
    backend : Backend
        Where they run.
    progress : callable, optional
        Called with a `Progress` as the work goes on.
    """
    options, linear, (fixed, _) = recipe.uncertainty, recipe.linear, images
    assert options.runs is not None and linear is not None, "the recipe asks for perturbed runs of such stages"
    levels = NoiseLevels.of(images, (), options.noise, backend)
    distances = AffineDistances(fixed.grid)
    for run in draw(recipe, images, affine):
        ended = register_linear(
            *levels.add_to(images, run, backend),
            run.start(affine),
            run.linear(linear, fixed),
            backend=backend,
            progress=_numbered(progress, run.number, options.runs),
        )
        distances.add((affine.inverse() @ ended.affine).matrix)
    return _summed_up(backend.upload(distances.root_mean_square()), levels, images, options, backend)


def _summed_up(
    distances: Array, levels: NoiseLevels, images: tuple[Normalised, Normalised], options: Uncertainty, backend: Backend
) -> Spread:
    """The spread (I, J, K) in mm with its numbers, and what could not be perturbed."""
    fixed, moving = images
    noise, start = (levels.fixed, levels.moving), options.start * finest_spacing(fixed.grid)
    found = summarise(distances, fixed, noise, start, runs=options.runs or 0, backend=backend)
    return replace(found, warnings=levels.warnings((fixed.name, moving.name), options))


def _numbered(progress: ProgressCallback | None, number: int, runs: int) -> ProgressCallback | None:
    """A callback for the progress of one of the runs."""
    if progress is None:
        return None
    return lambda step: progress(replace(step, stage=f"{step.stage}, run {number} of {runs}"))
