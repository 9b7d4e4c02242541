"""`register` images or files in one call, and `run` a job: from files to files."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from warpline.backends import Backend, select
from warpline.images.array_exchange import nearest_backend, wait_for_arrays
from warpline.io.atomic import claimed
from warpline.io.images import Source, placed
from warpline.io.transform_lists import as_entries, paths_in
from warpline.recipe import Recipe
from warpline.registration.image_pairs import ImagePair, sources_of
from warpline.registration.inputs import Initial, read
from warpline.registration.landmarks import Landmarks, LandmarkSource
from warpline.registration.memory_plan import MemoryPlan, plan_of
from warpline.registration.output_files import check_names, names_after, store
from warpline.registration.progress import ProgressCallback
from warpline.registration.result import Registration, compute
from warpline.registration.surfaces import SurfacePair


@dataclass(frozen=True)
class Job:
    """One registration of files, as plain data.

    Parameters
    ----------
    fixed, moving : path
        Images of one volume each.
    prefix : str
        Start of the names of all outputs, folder included: ``out/sub-01_``.
    recipe : str, path or Recipe
        A preset, a TOML file or a recipe.
    fixed_mask, moving_mask : path, optional
        Where the metric counts (voxels other than 0).
    fixed_weights, moving_weights : path, optional
        How much places count in the deformable stage, as for `register`.
    initial : path or sequence of paths, optional
        Transforms to start from, fixed world to moving world, as for `register`.
    landmarks : Landmarks or pair of paths, optional
        As for `register`; tables of points of the fixed and of the moving image.
    landmark_space : {"ras", "lps"}
        Convention of the coordinates of these tables, and of tables of surfaces.
    backend : str, optional
        ``"auto"`` or None reads ``WARPLINE_BACKEND`` first.
    threads : int, optional
        CPU threads; None reads ``WARPLINE_THREADS``, else uses every core.
    geometry : {"sform", "qform"}, optional
        Which matrix of the images' NIfTI headers to take where both are set; the sform when None.
    outside : float, optional
        Value of the warped image beyond the moving one; None takes its background, mostly 0.
    pairs : tuple of ImagePair
        Further images, by their paths, that the deformable stage compares.
    memory : float, optional
        GB that the process may take, as for `register`.
    surfaces : tuple of SurfacePair
        Surfaces and curves, by their paths, that shall come together.

    Examples
    --------
    >>> from warpline import Job
    >>> job = Job(fixed="fixed.nii.gz", moving="moving.nii.gz", prefix="out/sub-01_", recipe="syn-fast")
    >>> job.prefix
    'out/sub-01_'
    """

    fixed: str | os.PathLike[str]
    moving: str | os.PathLike[str]
    prefix: str
    recipe: str | Path | Recipe = "syn"
    fixed_mask: str | os.PathLike[str] | None = None
    moving_mask: str | os.PathLike[str] | None = None
    initial: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None
    landmarks: LandmarkSource | None = None
    landmark_space: str = "ras"
    backend: str | None = None
    threads: int | None = None
    geometry: str | None = None
    outside: float | None = None
    pairs: tuple[ImagePair, ...] = ()
    fixed_weights: str | os.PathLike[str] | None = None
    moving_weights: str | os.PathLike[str] | None = None
    memory: float | None = None
    surfaces: tuple[SurfacePair, ...] = ()

    def inputs(self) -> dict[str, Any]:
        """The arguments of `read`."""
        images = ("fixed", "moving", "fixed_mask", "moving_mask", "fixed_weights", "moving_weights", "pairs")
        start = ("initial", "landmarks", "landmark_space", "surfaces")
        return {name: getattr(self, name) for name in (*images, "recipe", *start, "geometry")}


def plan(job: Job) -> MemoryPlan:
    """What a job takes of memory, and on which grids its images are registered: they are read, nothing is computed.

    On a GPU that is so only where `memory` is asked for: else it is filled as far as it goes.

    Parameters
    ----------
    job : Job
        As for `run`.

    Raises
    ------
    UsageError, InputError
        As `run`.

    Examples
    --------
    >>> import numpy as np
    >>> import warpline
    >>> warpline.write_image(warpline.Image.from_array(np.random.default_rng(0).random((32, 32))), "image.nii")
    >>> warpline.registration.plan(warpline.Job("image.nii", "image.nii", "out/")).is_reduced
    False
    """
    inputs = read(**job.inputs(), backend=None if job.backend == "auto" else job.backend)
    return plan_of(inputs.images, inputs.pairs, inputs.recipe, job.memory)


PlanCallback = Callable[[MemoryPlan], None]
"""Receives the plan of a registration before it begins."""


def run(job: Job, progress: ProgressCallback | None = None, *, on_plan: PlanCallback | None = None) -> Registration:
    """Register the files of a job and write every output; the report, written last, marks it as done.

    The output folder is tried before anything is computed. When the job fails, nothing that it made stays.

    Parameters
    ----------
    job : Job
        What to register, and where to write.
    progress : callable, optional
        Called with a `Progress` as the work goes on.
    on_plan : callable, optional
        Called with the `MemoryPlan` before the work begins.

    Returns
    -------
    Registration
        Maps, images and report, as written.

    Raises
    ------
    UsageError
        When an option is not allowed.
    InputError
        When an input cannot be used.
    OutputError
        When the output folder is not writable or full, or another run is writing the same files.

    Examples
    --------
    >>> import numpy as np
    >>> import warpline
    >>> x, y = np.indices((32, 32)) - 15.5
    >>> shape = np.exp(-(x**2 + 2 * y**2) / 80) * (2 + np.sin(x) + np.cos(1.3 * y + x / 3))
    >>> fixed = warpline.Image.from_array(shape.astype(np.float32))
    >>> moving = warpline.Image.from_array(np.roll(fixed.data[:, :, 0], 2, axis=0))
    >>> recipe = warpline.Recipe.load("rigid").with_options("initialise.rotations=false")
    >>> for name, image in (("fixed.nii", fixed), ("moving.nii", moving)):
    ...     warpline.write_image(image, name)
    >>> result = warpline.run(warpline.Job(fixed="fixed.nii", moving="moving.nii", prefix="out/", recipe=recipe))
    >>> result.report["outputs"]["affine"]
    'out/0GenericAffine.mat'
    """
    further = (
        source for pair in job.pairs for _, _, source in pair.sources(2) if isinstance(source, (str, os.PathLike))
    )
    counts = job.fixed_mask, job.moving_mask, job.fixed_weights, job.moving_weights
    sources = (job.fixed, job.moving, *counts, *_start_files(job), *further)
    names = names_after(job.prefix)
    check_names(names, sources)
    with claimed(list(names.values())) as files:
        registration = register(
            **job.inputs(),
            backend=job.backend,
            threads=job.threads,
            progress=progress,
            outside=job.outside,
            memory=job.memory,
            on_plan=on_plan,
        )
        stored = store(registration.alignment, registration.images, registration.report, files, names)
    return replace(registration, report=stored.report, replaced=stored.replaced)


def _start_files(job: Job) -> list[str]:
    """The files of transforms, landmarks and surfaces that a job starts from."""
    entries = [] if job.initial is None else as_entries(job.initial)
    tables = () if job.landmarks is None or isinstance(job.landmarks, Landmarks) else job.landmarks
    paths = [os.fspath(one) for one in entries if isinstance(one, (str, os.PathLike))]
    points = [os.fspath(one) for one in tables if isinstance(one, (str, os.PathLike))]
    return [*paths_in(paths), *points, *(path for pair in job.surfaces for path in pair.paths)]


def register(
    fixed: Source,
    moving: Source,
    recipe: str | Path | Recipe = "syn",
    fixed_mask: Source | None = None,
    moving_mask: Source | None = None,
    *,
    affine: ArrayLike | None = None,
    fixed_weights: Source | None = None,
    moving_weights: Source | None = None,
    initial: Initial | None = None,
    landmarks: LandmarkSource | None = None,
    landmark_space: str = "ras",
    surfaces: SurfacePair | Sequence[SurfacePair] = (),
    geometry: str | None = None,
    backend: str | Backend | None = "auto",
    threads: int | None = None,
    progress: ProgressCallback | None = None,
    outside: float | None = None,
    pairs: Sequence[ImagePair] = (),
    memory: float | None = None,
    on_plan: PlanCallback | None = None,
) -> Registration:
    """Find the map that carries the moving image onto the fixed image, and its inverse.

    Parameters
    ----------
    fixed, moving : path, nibabel image, Image, array or (array, affine)
        One volume each, 3-D, or 2-D for single slices. Arrays may be of NumPy, CuPy, PyTorch, JAX or any library with
        DLPack. One on a GPU stays there, and what is computed of it does too: ``torch.from_dlpack(result.warped)`` is
        a tensor on that GPU. A copy on the host is made once, where images are checked.
    recipe : str, path or Recipe
        ``"rigid"``, ``"affine"``, ``"syn"``, ``"syn-fast"``, ``"syn-quality"``, ``"syn-smooth"``, ``"syn-contrast"``, a
        TOML file,
        or a recipe.
    fixed_mask, moving_mask : like the images, optional
        Where the metric counts (voxels other than 0), on any grid in the world of its image; one that lies on another
        grid than that is resampled by nearest neighbour, which the report says. `linear.masks` and `syn.masks` of the
        recipe say which stages heed them.
    affine : (4, 4), optional
        Voxel to world (RAS+ mm) of all images, masks and weights here that are arrays alone; the identity when None.
    fixed_weights, moving_weights : like the images, optional
        How much places count in the deformable stage, in proportion, on any grid in the world of their image: values of
        at least 0, which is not at all, as is what lies beyond their grid; the largest one counts fully.
    initial : transform, object of nitransforms, path, (4, 4) or a sequence of them, optional
        Where to start, fixed world to moving world (RAS+ mm), in place of the recipe's initialisation. Of several,
        points of the fixed image go through the first one first, as for `apply` and ANTs; ``"[file,1]"`` is the
        inverse of a file. Affines are the start of the linear stages. With a warp among them, all stages compare the
        fixed image with the moving one as seen through the start, and the result is the whole map: what is found,
        then the start.
    landmarks : Landmarks or pair of (N, 3) arrays or paths, optional
        The same places in the fixed and the moving image, world RAS+ mm, or tables of them. Without `initial`, the
        start is fitted to them as ``initialise.landmarks`` of the recipe says; they pull in the deformable stage
        (``syn.landmark_weight``), and the report has their distances.
    landmark_space : {"ras", "lps"}
        Convention of the coordinates of tables, also of surfaces.
    surfaces : SurfacePair, or sequence of them
        Surfaces and curves of both images that shall come together, whose points are sampled in any way. Without
        `initial` and `landmarks`, the start is fitted to their nearest points as ``initialise.surfaces`` says; they
        pull in the deformable stage (``syn.surface_weight``), and the report has their distances.
    geometry : {"sform", "qform"}, optional
        Which matrix of the images' NIfTI headers to take where both are set; the sform when None.
    backend : str or Backend
        ``"auto"`` takes ``WARPLINE_BACKEND``, else the GPU that holds `fixed` or `moving`, else the fastest that runs
        here.
    threads : int, optional
        CPU threads; None reads ``WARPLINE_THREADS``, else uses every core.
    progress : callable, optional
        Called with a `Progress` as the registration advances.
    outside : float, optional
        Value of the warped image beyond the moving one. None takes 0, or where the values of the image are far from 0,
        as in CT, its background, see `warpline.images.intensity.value_beyond`; the inversely warped fixed image always
        gets that.
    pairs : sequence of ImagePair
        Further images of what both show, such as other contrasts or label maps, that the deformable stage compares.
    memory : float, optional
        GB (10^9 bytes) that the process may take, or a GPU for it; what is free when None, but on a GPU. Images that
        need more are registered on a coarser grid, which a warning says: fields are on that grid, warped images on the
        full one, in their own type.
    on_plan : callable, optional
        Called with the `MemoryPlan` before the registration begins.

    Returns
    -------
    Registration
        `.warped`, `.inverse_warped`, `.transform`, `.inverse`, `.report` and `.save(prefix)`.

    Raises
    ------
    UsageError
        When an option is not allowed.
    InputError
        When an image cannot be read, is not one volume, is not finite, constant or smaller than the metric's
        window, when a mask or weights count nothing of their image, when weights are negative, or when the grids do not
        overlap in world space.

    Examples
    --------
    >>> import numpy as np
    >>> import warpline
    >>> x, y = np.indices((32, 32)) - 15.5
    >>> shape = np.exp(-(x**2 + 2 * y**2) / 80) * (2 + np.sin(x) + np.cos(1.3 * y + x / 3))
    >>> fixed = warpline.Image.from_array(shape.astype(np.float32))
    >>> moving = warpline.Image.from_array(np.roll(fixed.data[:, :, 0], 2, axis=0))
    >>> recipe = warpline.Recipe.load("rigid").with_options("initialise.rotations=false")
    >>> warpline.register(fixed, moving, recipe).transform.map_points([[0.0, 0.0, 0.0]]).round() + 0.0
    array([[2., 0., 0.]])
    """
    recipe = Recipe.load(recipe)
    named = nearest_backend(None if backend == "auto" else backend, fixed=fixed, moving=moving)
    masks = {"fixed_mask": fixed_mask, "moving_mask": moving_mask}
    weights = {"fixed_weights": fixed_weights, "moving_weights": moving_weights}
    images: dict[str, Any] = placed({"fixed": fixed, "moving": moving, **masks, **weights}, affine)
    wait_for_arrays(**images, **sources_of(pairs))
    with ThreadPoolExecutor(1) as pool:  # the images are read while the backend is loaded
        start: dict[str, Any] = {"initial": initial, "landmarks": landmarks, "landmark_space": landmark_space}
        start["surfaces"] = surfaces
        further: dict[str, Any] = {"geometry": geometry, "pairs": pairs, "backend": named}
        reading = pool.submit(read, **images, recipe=recipe, **start, **further)
        chosen = select(named, threads)
        inputs = reading.result()
    fits = None
    if memory is not None or chosen.on_host:  # what a GPU holds is known when it is full
        fits = plan_of(inputs.images, inputs.pairs, inputs.recipe, memory)
        if on_plan is not None:
            on_plan(fits)
    return compute(inputs, chosen, threads=threads, progress=progress, outside=outside, plan=fits)
