"""Options of the deformable stage."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from warpline.recipe.metric_names import DeformableMetricName
from warpline.recipe.options import LEVELS, Iterations, Options, check_levels

Sigma = Annotated[float, Field(ge=0, le=20)]

ModelName = Literal["syn", "bspline", "velocity"]
"""Transform models: the keys of `warpline.registration.transform_models.MODELS`."""

PREDICTABLE = ("local_cc", "mean_squares")
"""Metrics that may be shown one image as its grey values predict the other."""

Contrast = Literal["auto", "given", "predicted"]
"""Images as given, one of them as its grey values predict the other, or what correlates better."""

AXES = ("i", "j", "k", "ij", "ik", "jk")
Directions = str | tuple[float, float, float]
"""Directions along which points may move: axes of the fixed image, or a direction in the world (RAS)."""

FACTORS = (4.0, 2.0, 1.0)
"""Shrink factors of the last levels of deformable registration, whatever the size of the images."""


class FurtherTerm(Options):
    """Another metric of the two images, beside that of the stage."""

    metric: DeformableMetricName
    """As that of the stage."""
    weight: Annotated[float, Field(ge=1e-3, le=1e3)] = 1.0
    """Of its forces, which are as strong as those of the stage's metric with 1."""
    contrast: Contrast | None = None
    """As that of the stage, which counts where it is left out."""


UNLIKE: tuple[FurtherTerm, ...] = (
    FurtherTerm(metric="local_cc", weight=0.5, contrast="given"),
    FurtherTerm(metric="self_similarity", weight=0.5),
)
"""What is compared beside local correlation through a curve where grey values explain little, as in whole heads."""


class Syn(Options):
    """Symmetric diffeomorphic registration, coarse to fine.

    Examples
    --------
    >>> from warpline.recipe import Recipe, Syn
    >>> Recipe(syn=Syn(radius=3, iterations=(60, 40, 10))).syn.metric
    'local_cc'
    """

    model: ModelName = "syn"
    """Half-maps composed with every update (SyN), the same with updates that are B-splines, or the exponentials of one
    stationary velocity field, whose inverse is that of the negative field, and which can be averaged."""
    metric: DeformableMetricName = "local_cc"
    """Squared local correlation, or that of the whole images; squared difference, for equal contrasts; mutual
    information of the grey values, for any two contrasts; squared difference of self-similarity (MIND-SSC), likewise;
    or the difference from what the grey values of the other predict, likewise. In Python also a name that was entered
    in the table `DEFORMABLE_METRICS` of `warpline.metrics` before."""
    factors: Annotated[tuple[Annotated[float, Field(ge=1, le=64)], ...], LEVELS] | None = None
    """Shrink factors of the levels, coarse to fine; axes with thick voxels are shrunk less. `off` takes 4, 2 and 1,
    and before them 8, 16 and so on until the coarsest level has at most 72 voxels across, as a brain of 1 mm has with
    4. Levels whose pixels are less than a 4.5th as long as the slices are thick are left out, the last two at most."""
    iterations: Annotated[tuple[Iterations, ...], LEVELS] = (100, 60, 20)
    """Most iterations at each level: as many entries as levels, coarse to fine; with `factors` off, three. Then levels
    before those of 4, 2 and 1 have as many as the first, and where the finest are left out the coarsest that remain are
    counted from the first."""
    sigmas: Annotated[tuple[Annotated[float, Field(ge=0, le=64)], ...], LEVELS] | None = None
    """Gaussian smoothing of the images of each level, in voxels of the finest one; `off` takes half the shrink
    factor."""
    beyond: Literal["unknown", "background"] = "unknown"
    """What lies beyond an image that its field of view cuts: nothing to compare with, or background, which is 0."""
    contrast: Contrast = "auto"
    """Whether local_cc and mean_squares are shown the images as given, or one of them as its grey values predict the
    other one; auto lets local_cc choose by what correlates better."""
    masks: bool = True
    """Whether the deformable stage heeds the masks of its two images; false leaves them to the linear stages."""
    robust: bool = False
    """Let places count little where one image shows what the other does not, such as a lesion, anew at every level."""
    beside: Annotated[tuple[FurtherTerm, ...], Field(max_length=8)] | None = None
    """Further metrics of the same images, as [{metric = "self_similarity", weight = 0.5}]; forces are added up. When
    `off`, those of the recipe syn-contrast where local_cc is shown an image as the other predicts it, and poorly; an
    empty list for none."""
    radius: Annotated[int, Field(ge=1, le=8)] = 2
    """Window radius of local correlation, in voxels of the level."""
    contrast_floor: Annotated[float, Field(ge=0, le=1)] = 2e-3
    """Variance below which a window counts as flat, for intensities scaled to about 1: noise moves nothing."""
    bins: Annotated[int, Field(ge=8, le=256)] = 64
    """Bins of the joint histogram of mutual_information along either axis, half of them for values above the
    background, up to 1.25 times the brightest."""
    similarity_floor: Annotated[float, Field(gt=0, le=1)] = 0.03
    """Squared difference of grey values that self_similarity takes for noise, for intensities scaled to about 1."""
    classes: Annotated[int, Field(ge=2, le=65536)] = 256
    """Grey values that class_means tells apart in each image."""
    newton: Annotated[int, Field(ge=0, le=1000)] = 0
    """Turns of a Gauss-Newton step of mean_squares and class_means; one is a demons step, 0 follows the slope."""
    directions: Directions | None = None
    """Where points may move: along axes of the fixed image, as "j" (BIDS' PhaseEncodingDirection, without its sign) or
    "ij", or along a direction of the world as [x, y, z]; everywhere when `off`."""
    landmark_weight: Annotated[float, Field(ge=0, le=100)] = 2.0
    """Pull on landmarks, where there are some: the force for a miss of a voxel of the level, in units of the largest of
    the images, at the start of it or a voxel further apart. With 0 they are a start, and are measured."""
    surface_weight: Annotated[float, Field(ge=0, le=100)] = 1.0
    """Pull on nearest points of surfaces, where there are some: as that on landmarks, where all miss by a voxel of the
    level together. With 0 surfaces are a start, and are measured."""
    step: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Longest update of a level, in voxels of it; updates shrink with the forces."""
    full_steps: bool = False
    """Scale the longest update of every iteration to `step`, as ANTs and DIPY do: a level does not come to rest."""
    update_sigma: Sigma = 1.5
    """Gaussian smoothing of each update, in voxels of the level."""
    update_weights: Annotated[tuple[Annotated[float, Field(gt=0, le=100)], ...], Field(max_length=6)] = (2.0, 3.0)
    """Weights of the forces smoothed alike on grids of a half, a quarter and so on as many voxels along each axis,
    which are added to the update; that of the level itself is 1. Empty, maps bend more for the same overlap."""
    spline_spacing: Annotated[float, Field(gt=0, le=1000)] = 26.0
    """Of the model bspline, in place of `update_sigma` and `update_weights`: spacing in mm of the control points at the
    coarsest level, halved from level to level; the nearest power of two of a voxel is taken, two voxels at least."""
    total_sigma: Sigma = 0.43
    """Gaussian smoothing of the whole field after each update, in voxels of the level."""
    early_stop: Annotated[float, Field(gt=0, le=1)] | None = 1e-6
    """Leave a level when the energy falls by less than this share of itself per iteration; `off` never does."""

    @field_validator("directions", mode="before")
    @classmethod
    def _axes_or_a_direction(cls, value: Any) -> Any:
        numbers = isinstance(value, (list, tuple)) and all(type(part) in (int, float) for part in value)
        is_direction = numbers and len(value) == 3 and 0 < sum(abs(part) for part in value) < math.inf
        if value is None or value in AXES or is_direction:
            return value
        raise ValueError(f"{', '.join(AXES)}, axes of the fixed image, or a direction of the world [x, y, z] is needed")

    @property
    def metrics(self) -> tuple[str, ...]:
        """All that compare the two images, each once."""
        return tuple(dict.fromkeys((self.metric, *(term.metric for term in self.beside or ()))))

    @model_validator(mode="after")
    def _same_length(self) -> Syn:
        check_levels("factors", self.factors, FACTORS, iterations=self.iterations, sigmas=self.sigmas)
        terms = ((self.metric, self.contrast), *((term.metric, term.contrast) for term in self.beside or ()))
        for metric, contrast in terms:
            if contrast == "predicted" and metric not in PREDICTABLE:
                known = " and ".join(PREDICTABLE)
                raise ValueError(f"contrast predicted is for {known}, not {metric}: leave one out")
        return self
