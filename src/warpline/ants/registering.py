"""Registration by the names of ANTs' transformation types."""

from __future__ import annotations

import logging
import math
import os
import re
import tempfile
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from warpline.ants.extras import METRICS, directions, image_pairs
from warpline.ants.images import to_nibabel
from warpline.errors import UsageError
from warpline.io.images import as_image
from warpline.io.transform_files import write_transform
from warpline.recipe import PRESETS, Initialise, Linear, Recipe
from warpline.recipe.linear import TransformModel
from warpline.registration import register
from warpline.space import Affine
from warpline.space.grid import Grid

_log = logging.getLogger(__name__)

_FROM_IDENTITY = Initialise(method="identity", rotations=False)


def _linear(*stages: TransformModel) -> Recipe:
    return Recipe(name="+".join(stages), linear=Linear(stages=stages), syn=None)


def _after_linear(deformable: Recipe, *stages: TransformModel) -> Recipe:
    """The deformable stage of a recipe after these linear stages; without any, it starts from the identity."""
    if not stages:
        return deformable.model_copy(
            update={"name": f"{deformable.name}-only", "linear": None, "initialise": _FROM_IDENTITY}
        )
    name = "+".join((*stages, deformable.name))
    return deformable.model_copy(update={"name": name, "linear": Linear(stages=stages)})


def _with_splines(recipe: Recipe) -> Recipe:
    """The recipe with updates that are B-splines."""
    return recipe.with_options("syn.model=bspline").model_copy(update={"name": f"{recipe.name}-bspline"})


_SYN, _FAST, _QUALITY = PRESETS["syn"], PRESETS["syn-fast"], PRESETS["syn-quality"]

_SCRIPTS = {
    "antsRegistrationSyN": _SYN,
    "antsRegistrationSyNRepro": _SYN,
    "antsRegistrationSyNQuick": _FAST,
    "antsRegistrationSyNQuickRepro": _FAST,
}

TYPES: dict[str, Recipe] = {
    "Translation": _linear("translation"),
    "Rigid": _linear("rigid"),
    "QuickRigid": _linear("rigid"),
    "DenseRigid": _linear("rigid"),
    "BOLDRigid": _linear("rigid"),
    "Similarity": _linear("similarity"),
    "Affine": _linear("rigid", "affine"),
    "AffineFast": _linear("rigid", "affine"),
    "BOLDAffine": _linear("rigid", "affine"),
    "TRSAA": _linear("translation", "rigid", "similarity", "affine"),
    "SyN": _SYN,
    "SyNRA": _SYN,
    "SyNabp": _SYN,
    "SyNBoldAff": _SYN,
    "SyNBold": _after_linear(_SYN, "rigid"),
    "SyNOnly": _after_linear(_SYN),
    "SyNCC": _QUALITY,
    "SyNAggro": _QUALITY,
    "SyNLessAggro": _QUALITY,
    **{f"{script}[t]": _linear("translation") for script in _SCRIPTS},
    **{f"{script}[r]": _linear("rigid") for script in _SCRIPTS},
    **{f"{script}[a]": _linear("rigid", "affine") for script in _SCRIPTS},
    **{f"{script}[s]": recipe for script, recipe in _SCRIPTS.items()},
    **{f"{script}[sr]": _after_linear(recipe, "rigid") for script, recipe in _SCRIPTS.items()},
    **{f"{script}[so]": _after_linear(recipe) for script, recipe in _SCRIPTS.items()},
    **{f"{script}[b]": _with_splines(recipe) for script, recipe in _SCRIPTS.items()},
    **{f"{script}[br]": _with_splines(_after_linear(recipe, "rigid")) for script, recipe in _SCRIPTS.items()},
    **{f"{script}[bo]": _with_splines(_after_linear(recipe)) for script, recipe in _SCRIPTS.items()},
}
"""ANTs' transformation types, to the recipe that is run. All deformable ones use local correlation, as ANTs' own script
does, those with B-splines have the spacing of that, 26 mm; elastic and time-varying types are not offered."""

_RADIUS = re.compile(r"(?P<name>\w+\[\w+),(?P<radius>\d+)(,(?P<spacing>\d+(\.\d+)?))?\]")
"""A type with the radius of its metric, and the spacing of its splines in mm: ``antsRegistrationSyN[b,4,26]``."""


def registration(
    fixed: Any,
    moving: Any,
    type_of_transform: str = "SyN",
    initial_transform: Any = None,
    outprefix: str = "",
    mask: Any = None,
    moving_mask: Any = None,
    mask_all_stages: bool = False,
    *further: Any,
    **options: Any,
) -> dict[str, Any]:
    """Register a moving image to a fixed one.

    Parameters
    ----------
    fixed, moving : nibabel image, path, Image or (array, affine)
        One volume each.
    type_of_transform : str
        A key of `TYPES`; ``[s,4]`` in place of ``[s]`` sets the radius of the metric.
    initial_transform : path, list of paths, matrix (4, 4), "Identity", or None
        Transforms to start from, fixed world to moving world, affine or not, listed as for `apply_transforms`; a
        matrix is in RAS+ mm. With a warp the result is the whole map, the start included. None aligns centres of
        mass, except for types without a linear stage.
    outprefix : str
        What the names of all files begin with; a new folder for temporary files when empty.
    mask, moving_mask : like the images, optional
        Where the metric counts, on any grid. As in ANTsPy they count in the deformable stage only, and in the linear
        stages of types that have no other.
    mask_all_stages : bool
        Whether they count in every stage.
    *further, **options
        ANTsPy's further arguments, by name or in the order of `FURTHER`. write_composite_transform writes
        ``Composite.h5`` and ``InverseComposite.h5`` too, and returns these names. multivariate_extras,
        ``(metric, fixed, moving, weight, sampling)`` each, are compared as well; restrict_transformation, 1 or 0 for x,
        y and z, says along which the deformable stage may move points. Of `OPTIONS`, reg_iterations,
        grad_step, flow_sigma, total_sigma (variances in voxels), aff_metric, syn_metric and syn_sampling (radius)
        change the recipe, and so do those of `AFFINE_LEVELS`; those that concern ANTs' own computation have no effect.
        Left out, the recipe's own values hold, not ANTs' defaults.

    Returns
    -------
    dict
        `warpedmovout`, `warpedfixout`: nibabel images, moving on the fixed grid and the other way round;
        `fwdtransforms`, `invtransforms`: lists of files, as `apply_transforms` takes them.

    Raises
    ------
    UsageError
        When a type or an option is not offered.
    InputError
        When an image cannot be used.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import ants
    >>> x, y = np.indices((24, 24)) - 11.5
    >>> fixed = np.exp(-(x**2 + y**2) / 40), np.eye(3)
    >>> moving = np.exp(-((x - 1) ** 2 + y**2) / 40), np.eye(3)
    >>> found = ants.registration(fixed, moving, "SyNOnly", outprefix="out_", reg_iterations=(10,))
    >>> found["fwdtransforms"]
    ['out_1Warp.nii.gz', 'out_0GenericAffine.mat']
    """
    options = _with_names(further, options)
    composite = bool(options.pop("write_composite_transform", False))
    levels = {name: options.pop(name) for name in AFFINE_LEVELS if name in options}
    pairs = image_pairs(options.pop("multivariate_extras", None) or ())
    flags = options.pop("restrict_transformation", None)
    recipe = recipe_for(type_of_transform, options)
    if recipe.linear is not None and recipe.syn is not None and not mask_all_stages:
        recipe = recipe.with_options("linear.masks=false")
    if levels:
        recipe = _with_levels(recipe, levels, as_image(fixed, "fixed").grid)
    if flags is not None and recipe.syn is not None:
        recipe = recipe.with_options(*directions(flags, as_image(fixed, "fixed").grid))
    if isinstance(initial_transform, str) and initial_transform.lower() == "identity":
        initial_transform = Affine.identity()
    result = register(fixed, moving, recipe, mask, moving_mask, initial=initial_transform, pairs=pairs)
    for warning in result.report["warnings"]:
        _log.warning("%s", warning)
    prefix = outprefix or tempfile.mkdtemp(prefix="warpline-") + os.sep
    files = {kind: str(path) for kind, path in result.save(prefix).items()}
    forward = [files[kind] for kind in ("warp", "affine") if kind in files]
    inverse = [files[kind] for kind in ("affine", "inverse_warp") if kind in files]
    found: dict[str, Any] = {"fwdtransforms": forward, "invtransforms": inverse}
    if composite:
        found = {"fwdtransforms": f"{prefix}Composite.h5", "invtransforms": f"{prefix}InverseComposite.h5"}
        write_transform(result.transform, found["fwdtransforms"])
        write_transform(result.inverse, found["invtransforms"])
    warped, back = to_nibabel(result.warped), to_nibabel(result.images["inverse_warped"])
    return {"warpedmovout": warped, "warpedfixout": back, **found}


def recipe_for(type_of_transform: str, options: dict[str, Any]) -> Recipe:
    """The recipe of a transformation type, changed by arguments of `OPTIONS`.

    Raises
    ------
    UsageError
        When the type or an argument is not offered.
    """
    return _with_options(_recipe(type_of_transform), options)


def _with_names(further: Sequence[Any], options: dict[str, Any]) -> dict[str, Any]:
    """Arguments without names as if they had those of `FURTHER`, beside those that have."""
    if len(further) > len(FURTHER):
        raise UsageError(f"registration takes {8 + len(FURTHER)} arguments at most; {8 + len(further)} were given")
    named = dict(zip(FURTHER, further, strict=False))
    for name in named.keys() & options.keys():
        raise UsageError(f"argument {name} is given twice, by its place and by its name; give it once")
    return {**named, **options}


def _recipe(name: str) -> Recipe:
    with_radius = _RADIUS.fullmatch(name)
    plain = f"{with_radius['name']}]" if with_radius else name if "[" in name else _BARE.get(name, name)
    if plain not in TYPES:
        raise UsageError(f"type_of_transform is {name!r}; choose from {', '.join(TYPES)}")
    recipe = TYPES[plain]
    if with_radius is None:
        return recipe
    options = {"radius": with_radius["radius"], "spline_spacing": with_radius["spacing"]}
    return recipe.with_options(*(f"syn.{key}={value}" for key, value in options.items() if value))


_BARE = {script: f"{script}[s]" for script in _SCRIPTS}
"""The scripts' names alone mean all three stages."""


# -- options ----------------------------------------------------------------------------------------------------

FURTHER = (
    "grad_step",
    "flow_sigma",
    "total_sigma",
    "aff_metric",
    "aff_sampling",
    "aff_random_sampling_rate",
    "syn_metric",
    "syn_sampling",
    "reg_iterations",
    "aff_iterations",
    "aff_shrink_factors",
    "aff_smoothing_sigmas",
    "write_composite_transform",
    "verbose",
    "multivariate_extras",
    "restrict_transformation",
    "smoothing_in_mm",
    "singleprecision",
    "use_legacy_histogram_matching",
)
"""ANTsPy's arguments after mask_all_stages, in its order."""

_LINEAR_METRICS = {"mattes": "mutual_information", "MI": "mutual_information", "GC": "correlation"}
_BINNED = ("mattes", "MI")
"""Metrics of ANTs' SyN whose sampling is a number of bins, not a radius."""


def _choice(option: str, table: dict[str, str], key: str) -> Callable[[Any], list[str]]:
    def settings(value: Any) -> list[str]:
        if value not in table:
            raise UsageError(f"{option} is {value!r}; choose from {', '.join(table)}")
        return [f"{key}={table[value]}"]

    return settings


def _deviation(key: str) -> Callable[[Any], list[str]]:
    """Convert a variance in voxels into a standard deviation."""
    return lambda variance: [f"{key}={math.sqrt(max(float(variance), 0.0))}"]


def _bins(count: Any) -> list[str]:
    """Bins above the background, which are half of ours."""
    return [f"syn.bins={2 * int(count)}"]


def _iterations(counts: Sequence[int]) -> list[str]:
    factors = [float(2**level) for level in reversed(range(len(counts)))]
    return [f"syn.iterations={[int(count) for count in counts]}", f"syn.factors={factors}"]


def _no_setting(value: Any) -> list[str]:
    return []


OPTIONS: dict[str, Callable[[Any], list[str]]] = {
    "reg_iterations": _iterations,
    "grad_step": lambda step: [f"syn.step={float(step)}"],
    "flow_sigma": lambda variance: [*_deviation("syn.update_sigma")(variance), "syn.update_weights=[]"],
    "total_sigma": _deviation("syn.total_sigma"),
    "aff_metric": _choice("aff_metric", _LINEAR_METRICS, "linear.metric"),
    "syn_metric": _choice("syn_metric", METRICS, "syn.metric"),
    "syn_sampling": lambda radius: [f"syn.radius={int(radius)}"],
    "aff_sampling": lambda bins: [f"linear.bins={int(bins)}"],
    "aff_random_sampling_rate": _no_setting,
    "random_seed": _no_setting,
    "singleprecision": _no_setting,
    "verbose": _no_setting,
    "use_legacy_histogram_matching": _no_setting,
}
"""ANTsPy's further arguments, to settings of a recipe; those without a setting concern ANTs' own computation only."""


AFFINE_LEVELS: dict[str, tuple[float, ...]] = {
    "aff_iterations": (2100, 1200, 1200, 10),
    "aff_shrink_factors": (6, 4, 2, 1),
    "aff_smoothing_sigmas": (3, 2, 1, 0),
}
"""Arguments for the levels of the linear stages, coarse to fine, and ANTsPy's defaults."""

REFUSED = {
    "smoothing_in_mm": "smoothing is counted in voxels",
}
"""Arguments of ANTsPy that are not offered, with the reason."""


def _with_levels(recipe: Recipe, given: dict[str, Any], grid: Grid) -> Recipe:
    """A recipe whose linear levels have these shrink factors, of the shortest voxel edge of `grid`, and iterations."""
    levels = {
        name: default if given.get(name) is None else tuple(given[name]) for name, default in AFFINE_LEVELS.items()
    }
    if given.get("aff_smoothing_sigmas") is None:
        del levels["aff_smoothing_sigmas"]
    if len({len(values) for values in levels.values()}) != 1:
        counts = ", ".join(f"{name} has {len(values)}" for name, values in levels.items())
        raise UsageError(f"{counts} entries; give one per level each")
    if recipe.linear is None:
        return recipe
    if "aff_smoothing_sigmas" in levels:
        warnings.warn(
            "aff_smoothing_sigmas has no effect: linear levels are smoothed by half their shrink factor, in voxels",
            UserWarning,
            stacklevel=3,
        )
    edge = min(size for size, n in zip(grid.voxel_size, grid.shape, strict=True) if n > 1)
    sizes = [float(factor) * float(edge) for factor in levels["aff_shrink_factors"]]
    iterations = [int(count) for count in levels["aff_iterations"]]
    return recipe.with_options(f"linear.voxel_sizes={sizes}", f"linear.iterations={iterations}")


def _with_options(recipe: Recipe, options: dict[str, Any]) -> Recipe:
    for name in REFUSED.keys() & {key for key, value in options.items() if value}:
        raise UsageError(f"argument {name} is not offered: {REFUSED[name]}; leave it out")
    options = {name: value for name, value in options.items() if name not in REFUSED}
    unknown = sorted(options.keys() - OPTIONS.keys())
    if unknown:
        raise UsageError(f"argument {unknown[0]} is not offered; choose from {', '.join(OPTIONS)}")
    if options.get("syn_metric") in _BINNED and "syn_sampling" in options:
        options["bins"] = options.pop("syn_sampling")
    stages = {"syn": recipe.syn, "linear": recipe.linear}
    known = {**OPTIONS, "bins": _bins}
    settings = [setting for name, value in options.items() for setting in known[name](value)]
    return recipe.with_options(*(one for one in settings if stages[one.partition(".")[0]] is not None))
