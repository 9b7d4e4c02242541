"""What a registration finds, and how it is computed and saved."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from warpline.backends import Backend
from warpline.errors import UsageError
from warpline.evaluation.image_similarity import measure_similarity
from warpline.images import Image
from warpline.images.foreground import foreground_mask
from warpline.images.intensity import lies_far_from_zero, value_beyond
from warpline.io.atomic import claimed
from warpline.io.json_values import plain
from warpline.io.transform_lists import paths_in
from warpline.recipe import Recipe
from warpline.registration.alignment import Alignment, align
from warpline.registration.clock import Clock
from warpline.registration.inputs import Inputs
from warpline.registration.judgement import signs_in_words
from warpline.registration.landmarks import LandmarkErrors
from warpline.registration.memory_plan import MemoryPlan
from warpline.registration.output_files import Prefix, check_names, names_after, store
from warpline.registration.preparation import Prepared, prepare
from warpline.registration.progress import ProgressCallback
from warpline.registration.provenance import environment
from warpline.registration.reduced_inputs import reduce_inputs
from warpline.registration.robust_weights import weights_of_result
from warpline.report.page import html_viewer
from warpline.report.pair_layers import draw_layers
from warpline.report.pictures import write_overlay
from warpline.resampling import warp
from warpline.resampling.reduction import reduce_image
from warpline.resampling.streaming import warp_in_parts
from warpline.space import Chain, Displacement

UNMEASURED = {"similarity": None, "measured": None, "contrast": None}
"""What a report says of the similarity of images that were not compared."""


@dataclass(frozen=True, eq=False)
class Registration:
    """The maps between two images, and both images warped by them.

    Parameters
    ----------
    alignment : Alignment
        Images, maps and measurements; the images as they were registered: a `MemoryPlan` may have reduced them.
    warped : Image
        The moving image on the fixed grid; on the GPU as well where the moving image was given there.
    inverse_warped : Image
        The fixed image on the moving grid, likewise; None where the maps were not judged.
    robust_weights : Image or None
        How much places of the fixed image count beside the result, from 0 to 1, see `syn.robust`; None without it.
    report : dict
        Versions, backend, recipe, inputs, how they were prepared, seconds per step, levels with energies, quality,
        budget, distances of landmarks and surfaces, similarity before and after, the share of the voxels it is
        measured on, whether contrasts are alike, judgement, the share of the object that robust weights leave out,
        the spread of perturbed runs (`uncertainty`),
        warnings (what headers leave open, reasons for doubt); from `warpline.run`, and in ``report.json``, also
        `outputs` (paths) and `files` (bytes and SHA-256 of each). `memory` is the plan, in saved reports with the most
        bytes that the process has taken (`peak`). Plain JSON values.

    replaced : dict or None
        Files of an earlier run that `warpline.run` replaced or removed, see `warpline.registration.Stored`.

    Examples
    --------
    >>> import numpy as np
    >>> import warpline
    >>> x, y = np.indices((32, 32)) - 15.5
    >>> shape = np.exp(-(x**2 + 2 * y**2) / 80) * (2 + np.sin(x) + np.cos(1.3 * y + x / 3))
    >>> fixed = warpline.Image.from_array(shape.astype(np.float32))
    >>> moving = warpline.Image.from_array(np.roll(fixed.data[:, :, 0], 2, axis=0))
    >>> recipe = warpline.Recipe.load("rigid").with_options("initialise.rotations=false")
    >>> result = warpline.register(fixed, moving, recipe)
    >>> result.transform.map_points([[0.0, 0.0, 0.0]]).round() + 0.0
    array([[2., 0., 0.]])
    >>> result.save("out/sub-01_")["affine"].name
    'sub-01_0GenericAffine.mat'
    """

    alignment: Alignment
    warped: Image
    inverse_warped: Image | None
    report: dict[str, Any]
    robust_weights: Image | None = None
    replaced: dict[str, list[str]] | None = None

    @property
    def transform(self) -> Chain:
        """Fixed world points to moving world points (RAS+ mm)."""
        return self.alignment.transform

    @property
    def inverse(self) -> Chain:
        """Moving world points to fixed world points (RAS+ mm)."""
        return self.alignment.inverse

    @property
    def velocity(self) -> Displacement | None:
        """The stationary velocity field of a recipe with ``syn.model = "velocity"``, in mm (RAS+) on the fixed grid.

        The warp of `transform` is its `warpline.space.exponential`. None for other models, and where the map is none:
        a warning in the report says why.
        """
        return self.alignment.velocity

    @property
    def images(self) -> dict[str, Image]:
        """Both warped images, and what else there is, by the names of their files in the report."""
        images = {"warped": self.warped, "inverse_warped": self.inverse_warped}
        images |= {"robust_weights": self.robust_weights, "uncertainty": self.uncertainty}
        return {kind: image for kind, image in images.items() if image is not None}

    @property
    def uncertainty(self) -> Image | None:
        """How far perturbed runs end from the map, root mean square in mm at every voxel of the fixed image.

        On the grid that was registered, float32; None where the recipe asks for no such runs (``uncertainty.runs``).
        """
        return None if self.alignment.spread is None else self.alignment.spread.image

    def save(self, prefix: Prefix) -> dict[str, Path]:
        """Write transforms, images, pictures and reports; all of them or none.

        Parameters
        ----------
        prefix : str
            Start of every name, folder included; missing folders are made.

        Returns
        -------
        dict
            What each file is, to its path.

        Raises
        ------
        OutputError
            When a file cannot be written.
        UsageError
            When an output would replace an input.
        """
        names = names_after(prefix)
        check_names(names, [*(entry["path"] for entry in self.report["inputs"].values()), *_start_files(self.report)])
        with claimed(list(names.values())) as files:
            return store(self.alignment, self.images, self.report, files, names).paths

    def __repr__(self) -> str:
        """The images and the quality in one line."""
        inputs, quality = self.report["inputs"], self.report["quality"]
        names = " on ".join(inputs[name]["path"] or name for name in ("moving", "fixed"))
        folds = "linear" if quality is None else f"{quality['folded_voxels']} folded voxels"
        judged = self.report["judgement"]["outcome"]
        return f"<Registration of {names}: {judged}, recipe {self.report['recipe']['name']}, {folds}>"

    def _repr_html_(self) -> str:
        overlay = io.BytesIO()
        write_overlay(self.alignment.fixed, self.alignment.moving, self.warped, overlay)
        shown = self.alignment.fixed, self.alignment.moving, self.warped, self.alignment.warp
        layers = draw_layers(*shown, uncertainty=self.uncertainty)
        signs = signs_in_words(self.report["judgement"]["signs"])
        return html_viewer(self.report, layers, {"overlay": overlay}, signs=signs)


def compute(
    inputs: Inputs,
    backend: Backend,
    *,
    threads: int | None = None,
    progress: ProgressCallback | None = None,
    outside: float | None = None,
    plan: MemoryPlan | None = None,
    judged: bool = True,
) -> Registration:
    """Find the maps between the images of `inputs`, and warp both images; touches no file.

    Parameters
    ----------
    inputs : Inputs
        As `read` returns them.
    backend : Backend
        Where to run.
    threads, progress, outside
        As for `register`.
    plan : MemoryPlan, optional
        On which grids to register; on those of the images when None.
    judged : bool
        As for `align`; without it, images are not compared and the fixed one is not warped.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Image
    >>> from warpline.backends import select
    >>> from warpline.registration import compute, read
    >>> image = Image.from_array(np.arange(64.0).reshape(8, 8), name="image")
    >>> compute(read(image, image, "rigid"), select("numpy")).transform.map_points([[2.0, 3.0, 0.0]]).round()
    array([[2., 3., 0.]])
    """
    images, clock, reduction = inputs.images, Clock(dict(inputs.seconds)), plan if plan and plan.is_reduced else None
    with clock.step("reduction"):
        seen = inputs if plan is None else replace(inputs, recipe=plan.within(inputs.recipe))
        seen = seen if reduction is None else reduce_inputs(seen, reduction, threads)
    with clock.step("preparation"):
        asked = seen.recipe.prepare
        prepared = prepare(seen.images, seen.pairs, asked, backend=backend, threads=threads, progress=progress)
    alignment = _align(seen, prepared, backend, progress, checked=reduction is None, judged=judged)
    clock.add(alignment.seconds)
    with clock.step("warp"):
        beyond = {"moving": value_beyond(images["moving"]) if outside is None else outside}
        beyond["fixed"] = value_beyond(images["fixed"])
        warped, inverse_warped = _warped(images, alignment, beyond, backend, reduction, both=judged)
    with clock.step("similarity"):
        after = warped if reduction is None else reduce_image(warped, reduction.blocks[0], threads=threads)
        weights = _robust_weights(alignment, prepared.images, seen.recipe, backend)
        compared = (seen.images["fixed"], seen.images["moving"], after, seen.images.get("fixed_mask"))
        similarity = measure_similarity(*compared, outside=beyond["moving"], backend=backend) if judged else UNMEASURED
    report = {
        **environment(backend, threads),
        **_report_of(inputs, alignment),
        "preparation": [asdict(step) for step in prepared.steps],
        "robust": _robust_report(weights, seen.images["fixed"]),
        **similarity,
        "seconds": clock.seconds,
        "outside": beyond,
        "memory": None if plan is None else plan.as_report(),
        "warnings": [
            *(inputs.notes if plan is None else (*inputs.notes, *plan.warnings())),
            *(*prepared.notes, *alignment.warnings, *_surroundings_warnings(images, beyond)),
            *_other_gpu_warnings([*images.values(), *(one for pair in inputs.pairs for one in pair.images)], backend),
            *_matching_warnings(inputs.recipe, similarity["contrast"]),
        ],
    }
    return Registration(alignment, warped, inverse_warped, plain(report), weights)


def _start_files(report: Mapping[str, Any]) -> list[str]:
    """The files of transforms, landmarks and surfaces that a registration started from."""
    initial, landmarks = report["initial"], report["landmarks"] or {}
    entries = initial if isinstance(initial, list) else [initial]
    surfaces = (report["surfaces"] or {}).get("pairs", ())
    files = (*entries, *(landmarks.get("files") or ()), *(path for pair in surfaces for path in pair["files"]))
    return paths_in([one for one in files if isinstance(one, str)])


def _robust_weights(
    alignment: Alignment, compared: Mapping[str, Image], recipe: Recipe, backend: Backend
) -> Image | None:
    """Weights of the fixed image, by what the moving one shows inside its grid and its mask; where they were learnt.

    `compared` are the images as the stages saw them.
    """
    options, fixed, moving = recipe.syn, compared["fixed"], compared["moving"]
    if options is None or not options.robust:
        return None
    masks = compared if options.masks else {}
    counts = masks.get("moving_mask", Image(np.ones(moving.grid.shape, np.uint8), moving.grid, moving.name))
    seen = warp(counts, alignment.transform, fixed.grid, order=0, backend=backend)
    warped = warp(moving, alignment.transform, fixed.grid, outside=value_beyond(moving), backend=backend)
    return weights_of_result(fixed, warped, backend, fixed_mask=masks.get("fixed_mask"), seen=seen)


def _robust_report(weights: Image | None, fixed: Image) -> dict[str, float] | None:
    """Share of the fixed object that counts by less than a half."""
    if weights is None:
        return None
    inside = foreground_mask(fixed)
    return {"left_out": float(np.less(weights.data[inside], 0.5).mean()) if inside.any() else 0.0}


def _report_of(inputs: Inputs, alignment: Alignment) -> dict[str, Any]:
    """What the report says of the inputs and of the maps."""
    return {
        "recipe": inputs.recipe.model_dump(mode="json"),
        "inputs": inputs.described,
        "geometry": inputs.geometry,
        "initial": inputs.origin,
        "landmarks": _landmark_report(alignment.landmarks, inputs.landmark_files),
        "surfaces": None if alignment.surfaces is None else alignment.surfaces.as_report(),
        "levels": [asdict(level) for level in alignment.levels],
        "quality": None if alignment.quality is None else asdict(alignment.quality),
        "terms": [asdict(term) for term in alignment.terms],
        "budget": None if alignment.spending is None else alignment.spending.as_report(),
        "judgement": asdict(alignment.judgement),
        "uncertainty": None if alignment.spread is None else alignment.spread.as_report(),
    }


def _landmark_report(errors: LandmarkErrors | None, files: tuple[str, ...] | None) -> dict[str, Any] | None:
    return None if errors is None else {"files": None if files is None else list(files), **errors.as_report()}


def _warped(
    images: Mapping[str, Image],
    alignment: Alignment,
    beyond: Mapping[str, float],
    backend: Backend,
    reduction: MemoryPlan | None,
    *,
    both: bool,
) -> tuple[Image, Image | None]:
    """The moving image on the fixed grid, and the fixed one on the moving grid; in parts where they were reduced."""
    resample = warp if reduction is None else partial(warp_in_parts, room=reduction.room)
    fixed, moving = images["fixed"], images["moving"]
    warped = resample(moving, alignment.transform, fixed.grid, outside=beyond["moving"], backend=backend)
    if not both:
        return warped, None
    return warped, resample(fixed, alignment.inverse, moving.grid, outside=beyond["fixed"], backend=backend)


def _align(
    inputs: Inputs,
    prepared: Prepared,
    backend: Backend,
    progress: ProgressCallback | None,
    *,
    checked: bool,
    judged: bool,
) -> Alignment:
    """Align the prepared images; the result holds the images as given."""
    given: dict[str, Any] = {**prepared.images, "initial": inputs.initial, "landmarks": inputs.landmarks}
    found = align(
        **given,
        recipe=inputs.recipe,
        backend=backend,
        progress=progress,
        checked=checked,
        judged=judged,
        pairs=prepared.pairs,
        surfaces=inputs.surfaces,
    )
    return _flatten(replace(found, fixed=inputs.images["fixed"], moving=inputs.images["moving"]))


def _surroundings_warnings(images: Mapping[str, Image], beyond: Mapping[str, float]) -> list[str]:
    """A warning where 0, for want of a background value, stands out beyond the moving image."""
    if beyond["moving"] != 0 or not lies_far_from_zero(images["moving"]):
        return []
    lowest = float(images["moving"].data.min())
    return [
        f"the warped image is 0 beyond the moving one, whose values begin at {lowest:g}; set another with --outside"
    ]


def _other_gpu_warnings(images: Sequence[Image], backend: Backend) -> list[str]:
    """A warning for every image that lies on another GPU than the one that computes."""
    return [
        f"{image.name} lies on cuda:{image.on_gpu.ordinal}, and was copied through the host to cuda:{backend.ordinal}"
        for image in images
        if backend.ordinal is not None and image.on_gpu is not None and image.on_gpu.ordinal != backend.ordinal
    ]


def _matching_warnings(recipe: Recipe, contrast: Mapping[str, Any] | None) -> list[str]:
    """A warning where histograms were matched of images whose contrasts differ."""
    if not recipe.prepare.match_histogram or contrast is None or contrast["is_alike"]:
        return []
    return [
        "the contrasts of the images differ, and matched histograms do not make them alike: leave out "
        "prepare.match_histogram"
    ]


def _flatten(alignment: Alignment) -> Alignment:
    """The alignment with a map of 2-D images, where both are and it stays in their plane."""
    if not (alignment.fixed.grid.flat and alignment.moving.grid.flat):
        return alignment
    try:
        return replace(alignment, affine=alignment.affine.flattened())
    except UsageError:
        leaves = "the affine leads out of the plane of the 2-D images; its files are in 3-D, which ANTs does not apply"
        return replace(alignment, warnings=(*alignment.warnings, leaves))
