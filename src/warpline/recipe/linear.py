"""Options of the linear stages: where they start, and how they run."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field, model_validator

from warpline.recipe.options import LEVELS, Iterations, Options, check_levels

VoxelSize = Annotated[float, Field(gt=0, le=1000)]

TransformModel = Literal["translation", "rigid", "similarity", "affine", "rotation", "scaling", "rigid_scaling"]
"""Motions of a linear stage. The last three are counted in the moving world: about its origin without a translation,
and rigid with a scale along each of its axes."""

LandmarkModel = Literal["rigid", "similarity", "affine", "thin_plate"]
"""Maps that landmarks are fitted by: the keys of `warpline.registration.landmarks.MODELS`."""

SurfaceModel = Literal["rigid", "similarity", "affine"]
"""Maps that surfaces are brought together by as a start: the keys of `warpline.registration.point_fits.FITS`."""

FREEDOMS = ("tx", "ty", "tz", "rx", "ry", "rz", "sx", "sy", "sz", "hxy", "hxz", "hyz")
"""Degrees of freedom of an affine map: translations along the axes of the world, rotations about them, logarithmic
scales along them, and shears: hxy moves x by a share of y."""


def check_stage(stage: str) -> str:
    """A `TransformModel`, or degrees of freedom such as ``"tx,ty,rz"``, in the order of `FREEDOMS`.

    Raises
    ------
    ValueError
        When it is neither.
    """
    if stage in get_args(TransformModel):
        return stage
    named = [name.strip() for name in stage.split(",")]
    if not set(named) <= set(FREEDOMS) or len(set(named)) < len(named):
        raise ValueError(
            f"{', '.join(get_args(TransformModel))}, or degrees of freedom such as 'tx,ty,rz', each once, of "
            f"{', '.join(FREEDOMS)} are needed"
        )
    return ",".join(name for name in FREEDOMS if name in named)


Stage = Annotated[str, AfterValidator(check_stage)]
"""What a linear stage may change."""

HEAD_SPACINGS = (6.0, 4.0, 1.5)
"""Spacing of the levels of linear registration in mm, coarse to fine, for an object as large as a human head."""


class Initialise(Options):
    """Where linear registration starts.

    Examples
    --------
    >>> from warpline.recipe import Initialise, Recipe
    >>> Recipe(initialise=Initialise(method="centre")).initialise.rotations
    True
    """

    method: Literal["mass", "centre", "origin", "identity"] = "mass"
    """Centres of mass, geometric centres, world origins of the grids, or the identity."""
    rotations: bool = True
    """Compare many rotations and the other methods too; one of them is taken when it clearly beats the start."""
    search: Literal["doubtful", "always"] = "doubtful"
    """When other starts are searched for, at any rotation and translation, besides the one of `method`: where the
    affine is doubtful and `rotations` is true, or always, as where parts of objects are registered to the whole; never
    from a start that is given."""
    landmarks: LandmarkModel = "rigid"
    """Map that is fitted to landmarks, where they are given, and started from; thin_plate joins them exactly."""
    surfaces: SurfaceModel | None = "rigid"
    """Map that brings nearest points of surfaces together, where they are given, from where the images would start;
    `off` leaves the start to the images."""

    @model_validator(mode="after")
    def _search_takes_rotations(self) -> Initialise:
        if self.search == "always" and not self.rotations:
            raise ValueError("search always tries rotations, which rotations = false rules out: leave one out")
        return self


class Linear(Options):
    """Linear registration in stages of growing freedom, coarse to fine.

    Examples
    --------
    >>> from warpline.recipe import Linear, Recipe
    >>> Recipe(linear=Linear(stages=("rigid", "tx,ty,rz")), syn=None).linear.stages
    ('rigid', 'tx,ty,rz')
    """

    stages: Annotated[tuple[Stage, ...], Field(min_length=1, max_length=12)] = ("rigid", "affine")
    """Motions, one after the other: translation, rigid, similarity, affine; rotation, scaling or rigid_scaling, which
    are counted in the moving world; or degrees of freedom, of translations tx, ty, tz along the axes of the world,
    rotations rx, ry, rz about them, scales sx, sy, sz along them and shears hxy, hxz, hyz: such as
    ["translation", "tx,ty,rz"]."""
    metric: Literal["mutual_information", "correlation"] = "mutual_information"
    """Mutual information of the grey values (Mattes), for any two contrasts, or their correlation, for equal ones."""
    voxel_sizes: Annotated[tuple[VoxelSize, ...], LEVELS] | None = None
    """Spacing of the levels in mm, coarse to fine; `off` takes 6, 4 and 1.5 mm for a head, and for other objects as
    much larger or smaller as they are, in powers of two. A level finer than the images uses their own spacing."""
    iterations: Annotated[tuple[Iterations, ...], LEVELS] = (60, 40, 20)
    """Most iterations of the optimiser at each level: as many entries as levels; three where `voxel_sizes` is off."""
    samples: Annotated[int, Field(ge=1000, le=2**23)] = 60_000  # 64 bits hold them all in multiples of 2^-40
    """Most sample points per level, spread evenly; fewer are faster."""
    bins: Annotated[int, Field(ge=8, le=256)] = 32
    """Bins of the joint histogram of mutual information, along either axis."""
    masks: bool = True
    """Whether the start and the linear stages heed masks; false leaves them to the deformable stage."""
    refinements: Annotated[int, Field(ge=0, le=100)] = 5
    """Rounds on squared local correlation after the last level of an affine stage, through a curve where contrasts
    differ."""

    @model_validator(mode="after")
    def _same_length(self) -> Linear:
        check_levels("voxel_sizes", self.voxel_sizes, HEAD_SPACINGS, iterations=self.iterations)
        return self
