"""Recipes: every option of a run as one checked, frozen value, with named presets and TOML files."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_validator,
)

from warpline.errors import UsageError

NUMERICS = 9
"""Raised by every change after which images and recipe give other numbers: cohorts run again what it touches."""

Iterations = Annotated[int, Field(ge=0, le=100_000)]
Sigma = Annotated[float, Field(ge=0, le=20)]
VoxelSize = Annotated[float, Field(gt=0, le=1000)]
LEVELS = Field(max_length=12)
"""How many levels a stage may have: twelve halve 4096 voxels to one."""

OFF = ("off", "none")
"""Values that switch an option off, in ``--set`` and in TOML, which has no null."""

_LONGEST, _SHOWN = 2**16, 80
"""Bytes of the longest recipe, letters of a value that an error repeats."""

TransformModel = Literal["translation", "rigid", "similarity", "affine", "rotation", "scaling", "rigid_scaling"]
"""Motions of a linear stage. The last three are counted in the moving world: about its origin without a translation,
and rigid with a scale along each of its axes."""


DeformableMetricName = Literal[
    "local_cc", "correlation", "mean_squares", "mutual_information", "self_similarity", "class_means"
]
"""Metrics of deformable registration: the keys of `warpline.metrics.DEFORMABLE_METRICS`."""

PREDICTABLE = ("local_cc", "mean_squares")
"""Metrics that may be shown one image as its grey values predict the other."""

AXES = ("i", "j", "k", "ij", "ik", "jk")
Directions = str | tuple[float, float, float]
"""Directions along which points may move: axes of the fixed image, or a direction in the world (RAS)."""

HEAD_SPACINGS = (6.0, 4.0, 1.5)
"""Spacing of the levels of linear registration in mm, coarse to fine, for an object as large as a human head."""

FACTORS = (4.0, 2.0, 1.0)
"""Shrink factors of the last levels of deformable registration, whatever the size of the images."""


def _check_lengths(**lists: tuple[float, ...]) -> None:
    if len({len(values) for values in lists.values()}) != 1 or not all(lists.values()):
        raise ValueError(f"{' and '.join(lists)} need one entry per level each")


class _Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="wrap")
    @classmethod
    def _of_its_kind(cls, value: Any, read: ValidatorFunctionWrapHandler) -> Any:
        """Refuse what pydantic would read as a number, or as true or false, and is not."""
        found = read(value)
        for given, taken in zip(_entries(value), _entries(found), strict=True):
            if isinstance(taken, bool) != isinstance(given, bool):
                raise ValueError("true or false is needed" if isinstance(taken, bool) else "a number is needed")
            if isinstance(given, str) and not isinstance(taken, str):
                raise ValueError("a number is needed, without quotation marks")
        return found


def _entries(value: Any) -> Sequence[Any]:
    return value if isinstance(value, (list, tuple)) else (value,)


class Initialise(_Options):
    """Where linear registration starts."""

    method: Literal["mass", "centre", "origin", "identity"] = "mass"
    """Centres of mass, geometric centres, world origins of the grids, or the identity."""
    rotations: bool = True
    """Compare many rotations and the other methods too; one of them is taken when it clearly beats the start."""


class Linear(_Options):
    """Linear registration in stages of growing freedom, coarse to fine."""

    stages: Annotated[tuple[TransformModel, ...], Field(min_length=1, max_length=12)] = ("rigid", "affine")
    metric: Literal["mutual_information", "correlation"] = "mutual_information"
    voxel_sizes: Annotated[tuple[VoxelSize, ...], LEVELS] | None = None
    """Spacing of the levels in mm, coarse to fine; None takes 6, 4 and 1.5 mm for a head, and for other objects as much
    larger or smaller as they are, in powers of two. A level finer than the images uses their own spacing."""
    iterations: Annotated[tuple[Iterations, ...], LEVELS] = (60, 40, 20)
    """Most iterations of the optimiser at each level."""
    samples: Annotated[int, Field(ge=1000, le=2**23)] = 60_000  # 64 bits hold them all in multiples of 2^-40
    """Most sample points per level, spread evenly; fewer are faster."""
    bins: Annotated[int, Field(ge=8, le=256)] = 32
    """Bins of the joint histogram of mutual information, along either axis."""
    refinements: Annotated[int, Field(ge=0, le=100)] = 5
    """Rounds on squared local correlation after the last level of an affine stage, where contrasts are alike."""

    @model_validator(mode="after")
    def _same_length(self) -> Linear:
        sizes = HEAD_SPACINGS if self.voxel_sizes is None else self.voxel_sizes
        _check_lengths(voxel_sizes=sizes, iterations=self.iterations)
        return self


class Syn(_Options):
    """Symmetric diffeomorphic registration, coarse to fine."""

    metric: DeformableMetricName = "local_cc"
    """Squared local correlation, or that of the whole images; squared difference, for equal contrasts; mutual
    information of the grey values, for any two contrasts; squared difference of self-similarity (MIND-SSC), likewise;
    or the difference from what the grey values of the other predict, likewise."""
    factors: Annotated[tuple[Annotated[float, Field(ge=1, le=64)], ...], LEVELS] | None = None
    """Shrink factors of the levels, coarse to fine; axes with thick voxels are shrunk less. None takes 4, 2 and 1, and
    before them 8, 16 and so on until the coarsest level has at most 72 voxels across, as a brain of 1 mm has with 4.
    Levels whose pixels are less than a 4.5th as long as the slices are thick are left out, the last two at most."""
    iterations: Annotated[tuple[Iterations, ...], LEVELS] = (100, 60, 20)
    """Most iterations at each level; levels before those of 4, 2 and 1 have as many as the first, and where
    the finest are left out the coarsest that remain are counted from the first."""
    sigmas: Annotated[tuple[Annotated[float, Field(ge=0, le=64)], ...], LEVELS] | None = None
    """Gaussian smoothing of the images of each level, in voxels of the finest one; half the shrink factor when off."""
    beyond: Literal["unknown", "background"] = "unknown"
    """What lies beyond an image that its field of view cuts: nothing to compare with, or background, which is 0."""
    contrast: Literal["auto", "given", "predicted"] = "auto"
    """Whether local_cc and mean_squares are shown the images as given, or one of them as its grey values predict the
    other one; auto lets local_cc choose by what correlates better."""
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
    "ij", or along a direction of the world as [x, y, z]; everywhere when off."""
    step: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Longest update of a level, in voxels of it; updates shrink with the forces."""
    full_steps: bool = False
    """Scale the longest update of every iteration to `step`, as ANTs and DIPY do: a level does not come to rest."""
    update_sigma: Sigma = 1.5
    """Gaussian smoothing of each update, in voxels of the level."""
    update_weights: Annotated[tuple[Annotated[float, Field(gt=0, le=100)], ...], Field(max_length=6)] = (2.0, 3.0)
    """Weights of the forces smoothed alike on grids of a half, a quarter and so on as many voxels along each axis,
    which are added to the update; that of the level itself is 1. Empty, maps bend more for the same overlap."""
    total_sigma: Sigma = 0.43
    """Gaussian smoothing of the whole field after each update, in voxels of the level."""
    early_stop: Annotated[float, Field(gt=0, le=1)] | None = 1e-6
    """Leave a level when the energy falls by less than this share of itself per iteration; None never does."""

    @field_validator("directions", mode="before")
    @classmethod
    def _axes_or_a_direction(cls, value: Any) -> Any:
        numbers = isinstance(value, (list, tuple)) and all(type(part) in (int, float) for part in value)
        is_direction = numbers and len(value) == 3 and 0 < sum(abs(part) for part in value) < math.inf
        if value is None or value in AXES or is_direction:
            return value
        raise ValueError(f"{', '.join(AXES)}, axes of the fixed image, or a direction of the world [x, y, z] is needed")

    @model_validator(mode="after")
    def _same_length(self) -> Syn:
        factors = FACTORS if self.factors is None else self.factors
        _check_lengths(factors=factors, iterations=self.iterations)
        if self.sigmas is not None:
            _check_lengths(factors=factors, sigmas=self.sigmas)
        if self.contrast == "predicted" and self.metric not in PREDICTABLE:
            raise ValueError(f"contrast predicted is for {' and '.join(PREDICTABLE)}, not {self.metric}: leave one out")
        return self


BENDING_RANGE, STRAIN_RANGE = (1e-9, 1e6), (0.001, 20.0)
"""Limits that a budget may set; smaller ones are beyond what single precision can tell from no deformation."""

LOW_RANGE, HIGH_RANGE = (1e-6, 0.999), (1.001, 1e6)
"""The same for the least and the largest Jacobian determinant, which is 1 where nothing is deformed."""


def _between(ends: tuple[float, float]) -> Any:
    return Field(ge=ends[0], le=ends[1])


class Budget(_Options):
    """Most deformation that the result may show, the affine left out; the best similarity within it is looked for.

    All limits hold in both directions, inside the foreground of the fixed image (its mask, where there is one), on the
    displacements in mm as they are written. None sets no limit, and without limits nothing is done.
    """

    max_bending: Annotated[float, _between(BENDING_RANGE)] | None = None
    """Mean bending energy in 1/mm², see `warpline.evaluation.bending_energy`."""
    jacobian: tuple[Annotated[float, _between(LOW_RANGE)], Annotated[float, _between(HIGH_RANGE)]] | None = None
    """Least and largest Jacobian determinant by any differences; of the inverse, 1 over them."""
    max_strain: Annotated[float, _between(STRAIN_RANGE)] | None = None
    """Largest principal logarithmic strain ``|ln s|``, s the singular values of the Jacobian by central differences."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is limited."""
        return self.max_bending is None and self.jacobian is None and self.max_strain is None


class Recipe(_Options):
    """All options of one registration.

    Raises
    ------
    UsageError
        From `load` and `with_options`, when an option is unknown or out of range.

    Examples
    --------
    >>> from warpline import Recipe
    >>> recipe = Recipe.load("syn").with_options("syn.radius=3")
    >>> recipe.syn.radius
    3
    """

    name: Annotated[str, Field(max_length=200)] = "custom"
    initialise: Initialise = Initialise()
    linear: Linear | None = Linear()
    syn: Syn | None = Syn()
    budget: Budget = Budget()

    @model_validator(mode="after")
    def _has_what_is_limited(self) -> Recipe:
        if self.syn is not None and self.syn.directions is not None and not self.budget.is_empty:
            raise ValueError("a budget moves points in all directions: leave out the budget, or syn.directions")
        if self.syn is None and not self.budget.is_empty:
            raise ValueError("a budget limits a deformation, and no syn runs: leave it out, or start from recipe syn")
        return self

    @classmethod
    def load(cls, recipe: str | Path | Recipe) -> Recipe:
        """A preset by name, a recipe from a TOML file, or the recipe itself."""
        return recipe if isinstance(recipe, Recipe) else _found(recipe, ())

    def with_options(self, *settings: str) -> Recipe:
        """A copy with ``"syn.step=0.2"``-like settings applied; values are written as in TOML."""
        options: dict[str, Any] = {}
        given = self.model_dump()
        for setting in settings:
            key, found, text = setting.partition("=")
            if not found:
                raise UsageError(f"setting {setting!r} has no '='; write key=value, such as syn.step=0.2")
            stage = key.partition(".")[0].strip()
            if "." in key and given.get(stage, stage) is None:
                raise UsageError(f"setting {setting!r}: recipe {self.name!r} runs no {stage}; start from one that does")
            _place(options, key.strip(), _parse_value(setting, text.strip()))
        return _checked(_merged(given, options), "--set")


def _found(recipe: str | Path, within: tuple[Path, ...]) -> Recipe:
    """A preset or a file; `within` are the files that it is the base of."""
    if str(recipe) in PRESETS:
        return PRESETS[str(recipe)]
    path = Path(recipe)
    if path.suffix != ".toml":
        raise UsageError(f"recipe {_short(str(recipe))} is unknown; choose from {', '.join(PRESETS)}, or a .toml file")
    options = _read_toml(path)
    if path.resolve() in within:
        raise UsageError(f"recipe {path} is based on itself; let its base be one of {', '.join(PRESETS)}")
    base = _found(str(options.pop("base", "syn")), (*within, path.resolve())).model_dump()
    return _checked({**_merged(base, options), "name": options.get("name", path.stem)}, str(path))


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _LONGEST or not path.is_file():
            raise UsageError(f"recipe {path} cannot be read: no file of at most {_LONGEST} bytes, as recipes are")
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        known = ", ".join(PRESETS)
        raise UsageError(f"recipe {path} does not exist; choose from {known}, or a .toml file") from None
    except (OSError, ValueError) as error:  # damage, numbers of thousands of digits
        raise UsageError(f"recipe {path} cannot be read: {error}") from None
    except RecursionError:
        raise UsageError(f"recipe {path} cannot be read: its values are nested too deeply") from None


def _merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        nested = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if nested else None if value in OFF else value
    return merged


def _place(options: dict[str, Any], key: str, value: Any) -> None:
    *tables, last = key.split(".")
    for table in tables:
        options = options.setdefault(table, {})
        if not isinstance(options, dict):
            raise UsageError(f"setting {key!r}: {table} has a value already and holds no options")
    options[last] = value


def _parse_value(setting: str, text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    except (ValueError, RecursionError):
        raise UsageError(f"setting {_short(setting)} is too long or too deeply nested to be a value") from None


def _checked(options: dict[str, Any], source: str) -> Recipe:
    try:
        return Recipe.model_validate(options)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "recipe"
        problem = first["msg"].removeprefix("Value error, ")
        if not first["loc"]:
            raise UsageError(f"{source}: recipe {options.get('name')!r}: {problem}") from None
        if first["type"] == "extra_forbidden":
            problem = f"no such option; choose from {', '.join(_SECTIONS.get(first['loc'][0], Recipe).model_fields)}"
        if first["type"] == "tuple_type":
            problem = "several values are needed, written as [1, 2]"
        raise UsageError(f"{source}: {where} = {_short(first.get('input'))}: {problem}") from None


def _short(value: Any) -> str:
    """A value as it is written, cut where it is long."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


_SECTIONS: dict[Any, type[_Options]] = {"initialise": Initialise, "linear": Linear, "syn": Syn, "budget": Budget}


PRESETS: dict[str, Recipe] = {
    "rigid": Recipe(name="rigid", linear=Linear(stages=("rigid",)), syn=None),
    "affine": Recipe(name="affine", syn=None),
    "syn": Recipe(name="syn"),
    "syn-fast": Recipe(name="syn-fast", syn=Syn(iterations=(60, 40, 10), total_sigma=0.45)),
    "syn-quality": Recipe(
        name="syn-quality", syn=Syn(iterations=(200, 150, 30), update_weights=(0.5, 0.5), total_sigma=0.42)
    ),
    "syn-smooth": Recipe(name="syn-smooth", syn=Syn(total_sigma=0.58)),
}
"""Named recipes of the Python API and of ``warpline register --recipe``."""
