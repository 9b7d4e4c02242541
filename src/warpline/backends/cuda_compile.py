"""Ahead-of-time compilation: what a registration runs on a GPU, compiled by several threads before it starts.

NVRTC compiles in several threads at once. Without this every kernel is compiled where it is first launched, one after
the other. CuPy keeps the results on disk, so that later processes only load them. What is not listed here, such as the
kernels of masks, of other radii and of other types of voxels, is compiled at its first launch.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np

from warpline.backends.cuda_elementwise import ALWAYS, DEFORMABLE, SHAPES, Samples, Step
from warpline.backends.cuda_filters import DOUBLED_PLANES
from warpline.backends.cuda_launch import Defines
from warpline.backends.cuda_workspace import PLANES, Workspace

MOST_THREADS = 8
"""Most threads that compile at once."""

Build = tuple[str, Defines]
"""Name of a kernel and the defines that it is built with."""


def _smooth(components: int, i: int, j: int, k: int, norm: int) -> Build:
    """The build of smooth.cu for radii along i, j and k."""
    return "smooth", (("COMPONENTS", components), ("RI", i), ("RJ", j), ("RK", k), ("NORM", norm))


def _local_cc(masked: int, value: str) -> Build:
    """The build of local_cc.cu: for the report with a mask and a float; in SyN with a mask where the view is cut."""
    return "local_cc", (("RADIUS", 2), ("MASKED", masked), ("VALUE", value))


_PLANES: Defines = (("PLANES", PLANES),)

_ALWAYS: tuple[Build, ...] = (
    ("set_zero", ()),
    *(("norm_quantile", (("COMPONENTS", 1), ("DIGIT", digit))) for digit in range(3)),
    ("extent", ()),
    ("downsample", ()),
    *(("filter_axis", (("ALONG_K", along_k),)) for along_k in (0, 1)),
    ("sample", (("ORDER", 1), ("VALUE", "float"))),
    ("sums", ()),
    _local_cc(1, "float"),
)

_LINEAR: tuple[Build, ...] = (
    ("bfgs", ()),
    ("joint_histogram", (("BINS", 32),)),
    ("histogram_derivative", ()),
    ("affine_moments", ()),
    ("sample_at", ()),
)

LARGE_FIELDS: tuple[Build, ...] = (_smooth(3, 5, 5, 5, 1), _smooth(1, 3, 3, 3, 1))
"""Smoothing in one launch, of more than `warpline.backends.cuda_filters.FEW` voxels."""

_DEFORMABLE: tuple[Build, ...] = (
    *((name, _PLANES) for name in ("warp", "compose", "halve")),
    ("add_doubled", (("PLANES", DOUBLED_PLANES),)),
    *LARGE_FIELDS,
    *(_smooth(components, 0, radius, radius, 0) for components, radius in ((3, 5), (1, 3))),
    *(("smooth_along_i", (("COMPONENTS", components), ("RI", radius))) for components, radius in ((3, 5), (1, 3))),
    _smooth(3, 1, 1, 1, 1),
    *(("cubic_prefilter", (("ALONG_K", along_k),)) for along_k in (0, 1)),
    ("sample", (("ORDER", 3), ("VALUE", "float"))),
    *((name, ()) for name in ("sample_field", "invert", "jacobian", "least_jacobian", "unfold")),
    *((name, ()) for name in ("keep_best_state", "update_convergence")),
    ("norm_quantile", (("COMPONENTS", 3), ("DIGIT", 0))),
)

_INFORMATION: tuple[Build, ...] = (
    ("value_histogram", (("BINS", 64), ("VALUE", "double"))),
    ("value_forces", (("BINS", 64),)),
)

_CURVES: tuple[Build, ...] = (("sample", (("ORDER", 0), ("VALUE", "unsigned int"))), ("map_values", ()))

_DESCRIPTORS: tuple[Build, ...] = (
    ("self_similarity", ()),
    ("warp_descriptors", (("PLANES", 1),)),
    ("descriptor_forces", (("VALUE", "double"),)),
)

KERNELS: dict[str, tuple[Build, ...]] = {
    "linear": (*_ALWAYS, *_LINEAR),
    "local_cc": (*_ALWAYS, *_DEFORMABLE, *_CURVES, *(_local_cc(masked, "double") for masked in (0, 1))),
    "mean_squares": (*_ALWAYS, *_DEFORMABLE, *_CURVES, ("squared_difference", (("VALUE", "double"),))),
    "mutual_information": (*_ALWAYS, *_DEFORMABLE, *_INFORMATION),
    "self_similarity": (*_ALWAYS, *_DEFORMABLE, *_DESCRIPTORS),
}
"""Part of a recipe, see `warpline.backends.interface.Backend.prepare`, to the kernels that it launches by default."""

STEPS: dict[str, tuple[Step, ...]] = {
    "linear": ALWAYS,
    "local_cc": (*ALWAYS, *DEFORMABLE),
    "mean_squares": (*ALWAYS, *DEFORMABLE),
    "mutual_information": (*ALWAYS, *DEFORMABLE),
    "self_similarity": (*ALWAYS, *DEFORMABLE),
}
"""Part of a recipe to the element-wise steps that CuPy compiles for it."""


def kernels_of(parts: Collection[str]) -> list[Build]:
    """The builds that the parts of a recipe launch, each once; a metric that is not listed has none of its own."""
    return _once(parts, KERNELS, (*_ALWAYS, *_DEFORMABLE))


def steps_of(parts: Collection[str]) -> list[Step]:
    """The element-wise steps of the parts of a recipe, each once."""
    return _once(parts, STEPS, (*ALWAYS, *DEFORMABLE))


def _once(parts: Collection[str], table: dict[str, tuple[Any, ...]], otherwise: tuple[Any, ...]) -> list[Any]:
    return list(dict.fromkeys(one for part in parts for one in table.get(part, otherwise)))


def compile_ahead(work: Workspace, parts: Collection[str], threads: int) -> None:
    """Compile what these parts of a recipe need, or load it from CuPy's cache; returns when all of it is there.

    What fails here fails once more, in words, where it is first used. The order is random, so that processes that
    start together compile different kernels for each other.

    Parameters
    ----------
    work : Workspace
        Where the kernels will be launched.
    parts : collection of str
        Keys of `KERNELS`, or other metrics.
    threads : int
        Threads to use, at most `MOST_THREADS` of them.
    """
    with work.session():
        arrays = samples(work)
    tasks: list[Callable[[], object]] = [partial(work.function, *build) for build in kernels_of(parts)]
    tasks += [partial(_run, work, step, arrays) for step in steps_of(parts)]
    random.shuffle(tasks)
    _in_threads(tasks, max(1, min(threads, MOST_THREADS)))


def _in_threads(tasks: Iterable[Callable[[], object]], threads: int) -> None:
    pool = ThreadPoolExecutor(threads, thread_name_prefix="compile")
    try:
        with suppress(RuntimeError):  # the system gives no thread; what is missing is compiled where it is used
            list(pool.map(_attempt, tasks))
    finally:
        pool.shutdown(cancel_futures=True)


def _attempt(task: Callable[[], object]) -> None:
    with suppress(Exception):
        task()


def samples(work: Workspace) -> Samples:
    """Arrays of a few voxels, of every kind that element-wise steps meet."""
    return Samples(**{name: work.xp.array(np.ones(shape, kind)) for name, (shape, kind) in SHAPES.items()})


def _run(work: Workspace, step: Step, arrays: Samples) -> None:
    """An element-wise step on a few voxels."""
    with work.session():
        step(arrays)
