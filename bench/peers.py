"""The tools that are compared: how each registers a pair, and how its files are read back.

Adding a tool is one function that registers, one that warps labels, and one line of `TOOLS`.
`register` is measured; `warp_labels` (by the tool's own resampler) and `read` are not.
Heavy imports stay inside the functions, so that a child process loads one tool only.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from brains import Job, load_labels
from mappings import Mapping, dipy_mapping, greedy_mapping, itk_mapping, whole_map_mapping
from peer_settings import (
    ANTS_SYN,
    ANTS_SYNSO,
    DIPY,
    FIREANTS_GREEDY,
    FIREANTS_SYN,
    GREEDY,
    GREEDY_LIGHT,
    SYNTX_TVF,
    WARPLINE,
    WARPLINE_CUDA,
)

Stages = dict[str, float]
Settings = dict[str, Any]
PREFIX = "reg_"


@dataclass(frozen=True)
class Tool:
    """How one tool is run, applied and read.

    Attributes
    ----------
    package : str
        Installed distribution whose version is recorded.
    settings : dict
        The exact options, recorded with every result.
    register : callable
        Registers a job's pair with these settings, leaves the transform files, returns seconds per stage.
    warp_labels : callable
        Moving labels on the fixed grid by the tool's own nearest-neighbour resampler.
    read : callable
        The job's transform files as a `Mapping`.
    interpreter : str
        Environment variable that may name another Python to register with; empty: always this one.
    """

    package: str
    settings: Settings
    register: Callable[[Job, Settings], Stages]
    warp_labels: Callable[[Job], np.ndarray]
    read: Callable[[Job], Mapping]
    interpreter: str = ""

    def python(self) -> str:
        """The Python to register with."""
        return os.environ.get(self.interpreter) or sys.executable


@contextmanager
def stage(stages: Stages, name: str) -> Iterator[None]:
    """Add the wall seconds of the block to ``stages[name]``."""
    start = time.perf_counter()
    yield
    stages[name] = stages.get(name, 0.0) + time.perf_counter() - start


# --- Greedy ---


def register_greedy(job: Job, settings: Settings) -> Stages:
    """Affine, then deformable, both by Greedy's NCC."""
    from picsl_greedy import Greedy3D

    stages: Stages = {}
    common = f"{settings['common']} -threads {job.threads} -i {job.fixed.image} {job.moving.image}"
    affine, warp, inverse = (job.file(n) for n in ("affine.mat", "warp.nii", "inverse.nii"))
    with stage(stages, "affine"):
        Greedy3D().execute(f"{common} {settings['affine']} -o {affine}")
    with stage(stages, "deformable"):
        Greedy3D().execute(f"{common} {settings['deformable']} -it {affine} -o {warp} -oinv {inverse}")
    return stages


def warp_labels_greedy(job: Job) -> np.ndarray:
    """Greedy's reslice mode with ``-ri NN``."""
    from picsl_greedy import Greedy3D

    out = job.file("labels.nii.gz")
    reslice = f"-ri NN -rm {job.moving.labels} {out} -r {job.file('warp.nii')} {job.file('affine.mat')}"
    Greedy3D().execute(f"-d 3 -threads {job.threads} -rf {job.fixed.image} {reslice}")
    return load_labels(out)


def read_greedy(job: Job) -> Mapping:
    """Greedy's affine and fields."""
    files = (job.file(n) for n in ("affine.mat", "warp.nii", "inverse.nii"))
    return greedy_mapping(job.fixed.image, *files)


# --- ANTs ---


def register_ants_syn(job: Job, settings: Settings) -> Stages:
    """ANTsPy's default ``SyN`` (affine and deformable in one call)."""
    import ants

    stages: Stages = {}
    with stage(stages, "files"):
        images = _ants_images(ants, job)
    with stage(stages, "affine+deformable"):
        ants.registration(*images, outprefix=job.file(PREFIX), **settings)
    return stages


def register_ants_synso(job: Job, settings: Settings) -> Stages:
    """The affine of ``antsRegistrationSyN[a]``, then ``antsRegistrationSyN[so]`` (CC at full size)."""
    import ants

    stages: Stages = {}
    with stage(stages, "files"):
        images = _ants_images(ants, job)
    with stage(stages, "affine"):
        linear = ants.registration(*images, outprefix=job.file("linear"), **settings["affine"])
    start = linear["fwdtransforms"][0]
    with stage(stages, "deformable"):
        ants.registration(*images, initial_transform=start, outprefix=job.file(PREFIX), **settings["deformable"])
    return stages


def _ants_images(ants: Any, job: Job) -> tuple[Any, Any]:
    return ants.image_read(job.fixed.image), ants.image_read(job.moving.image)


def warp_labels_itk(job: Job) -> np.ndarray:
    """Labels through files in ITK's formats, by ``ants.apply_transforms``."""
    return _warp_labels_by_ants(job, [job.file(PREFIX + name) for name in ("1Warp.nii.gz", "0GenericAffine.mat")])


def _warp_labels_by_ants(job: Job, chain: list[str]) -> np.ndarray:
    import ants

    fixed, labels = ants.image_read(job.fixed.image), ants.image_read(job.moving.labels)
    warped = ants.apply_transforms(fixed, labels, chain, interpolator="nearestNeighbor")
    return np.rint(warped.numpy()).astype(np.int32)


def read_itk(job: Job) -> Mapping:
    """The files that antsRegistration names ``0GenericAffine.mat``, ``1Warp`` and ``1InverseWarp``."""
    names = ("0GenericAffine.mat", "1Warp.nii.gz", "1InverseWarp.nii.gz")
    files = (job.file(PREFIX + name) for name in names)
    return itk_mapping(job.fixed.image, *files)


# --- DIPY ---


def register_dipy(job: Job, settings: Settings) -> Stages:
    """DIPY's affine pipeline by mutual information, then SyN by cross-correlation."""
    from dipy.align import affine_registration, write_mapping
    from dipy.align.imwarp import SymmetricDiffeomorphicRegistration
    from dipy.align.metrics import CCMetric

    stages: Stages = {}
    with stage(stages, "files"):
        (fixed, fixed_grid), (moving, moving_grid) = map(_load_image, (job.fixed.image, job.moving.image))
    grids = {"static_grid2world": fixed_grid, "moving_grid2world": moving_grid}
    with stage(stages, "affine"):
        affines = {"moving_affine": moving_grid, "static_affine": fixed_grid}
        _, prealign = affine_registration(moving, fixed, **affines, **settings["affine"])
    with stage(stages, "deformable"):
        syn = SymmetricDiffeomorphicRegistration(CCMetric(**settings["metric"]), **settings["deformable"])
        mapping = syn.optimize(fixed, moving, prealign=prealign, **grids)
    with stage(stages, "files"):
        np.savetxt(job.file("prealign.txt"), prealign)
        write_mapping(mapping, job.file("mapping.nii.gz"))
    return stages


def _load_image(path: str) -> tuple[np.ndarray, np.ndarray]:
    import nibabel as nib

    image = nib.load(path)
    return image.get_fdata(dtype=np.float32), image.affine


def warp_labels_dipy(job: Job) -> np.ndarray:
    """DIPY's ``DiffeomorphicMap.transform`` with nearest-neighbour interpolation."""
    from dipy.align import read_mapping

    # read_mapping wants the moving image first and the inverse of the pre-alignment that SyN was given.
    prealign = np.linalg.inv(np.loadtxt(job.file("prealign.txt")))
    mapping = read_mapping(job.file("mapping.nii.gz"), job.moving.labels, job.fixed.image, prealign=prealign)
    warped = mapping.transform(load_labels(job.moving.labels), interpolation="nearest")
    return np.asarray(warped).astype(np.int32)


def read_dipy(job: Job) -> Mapping:
    """DIPY's two fields and the pre-alignment."""
    return dipy_mapping(job.fixed.image, job.file("prealign.txt"), job.file("mapping.nii.gz"))


# --- FireANTs (rohitrango/fireants), by the calls of its quick start ---


def register_fireants(job: Job, settings: Settings) -> Stages:
    """Centres of mass, affine, then Greedy or SyN; the saved field is the whole map, without an inverse.

    SyN inverts one of its half-maps when the whole map is asked for; that is a stage of its own.
    """
    first: Stages = {}
    for _ in range(settings["runs"] - 1):
        _fireants_once(job, settings, first)
    stages: Stages = {"first": sum(first.values())} if first else {}
    linear, found = _fireants_once(job, settings, stages)
    with stage(stages, "files"):
        linear.save_as_ants_transforms(job.file(PREFIX + "0GenericAffine.mat"))
        found.save_as_ants_transforms(job.file(PREFIX + "1Warp.nii.gz"))
    return stages


def _fireants_once(job: Job, settings: Settings, stages: Stages) -> tuple[Any, Any]:
    """One registration: both stages as they are when they are done."""
    from fireants.io import BatchedImages, Image
    from fireants.registration.affine import AffineRegistration
    from fireants.registration.greedy import GreedyRegistration
    from fireants.registration.moments import MomentsRegistration
    from fireants.registration.syn import SyNRegistration

    methods = {"Greedy": GreedyRegistration, "SyN": SyNRegistration}
    device = _torch_device()
    with _torch_stage(stages, "files"):
        sides = (job.fixed.image, job.moving.image)
        fixed, moving = (BatchedImages([Image.load_file(path, device=device)]) for path in sides)
    pair = {"fixed_images": fixed, "moving_images": moving}
    with _torch_stage(stages, "affine"):
        moments = MomentsRegistration(**pair, **settings["moments"])
        moments.optimize()
        linear = AffineRegistration(**pair, init_rigid=moments.get_affine_init(), **settings["affine"])
        linear.optimize()
    with _torch_stage(stages, "deformable"):
        affine = linear.get_affine_matrix().detach()
        found = methods[settings["method"]](**pair, init_affine=affine, **settings["deformable"])
        found.optimize()
    with _torch_stage(stages, "map"):
        found.get_warped_coordinates(fixed, moving)
    return linear, found


def _torch_device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


@contextmanager
def _torch_stage(stages: Stages, name: str) -> Iterator[None]:
    """As `stage`, until the GPU is done."""
    import torch

    with stage(stages, name):
        yield
        if torch.cuda.is_available():
            torch.cuda.synchronize()


def warp_labels_fireants(job: Job) -> np.ndarray:
    """Labels through the saved field, which holds the affine too, by ``ants.apply_transforms``."""
    return _warp_labels_by_ants(job, [job.file(PREFIX + "1Warp.nii.gz")])


def read_fireants(job: Job) -> Mapping:
    """The affine, and the displacement before it that leads to the whole map."""
    return whole_map_mapping(job.fixed.image, *(job.file(PREFIX + n) for n in ("0GenericAffine.mat", "1Warp.nii.gz")))


# --- syntx, by the calls of its benchmark ---


def register_syntx_tvf(job: Job, settings: Settings) -> Stages:
    """Its robust affine, then velocities that vary in time; the files that it leaves are named as ANTs names them."""
    first: Stages = {}
    for _ in range(settings["runs"] - 1):
        _syntx_once(job, settings, first)
    stages: Stages = {"first": sum(first.values())} if first else {}
    found = _syntx_once(job, settings, stages)
    left = [*found["fwdtransforms"], found["invtransforms"][1]]
    for source, name in zip(left, ("1Warp.nii.gz", "0GenericAffine.mat", "1InverseWarp.nii.gz"), strict=True):
        shutil.move(source, job.file(PREFIX + name))
    return stages


def _syntx_once(job: Job, settings: Settings, stages: Stages) -> dict[str, Any]:
    _stand_in("antstorch")
    import ants
    import syntx

    with stage(stages, "files"):
        images = _ants_images(ants, job)
    with _torch_stage(stages, "affine"):
        start = syntx.robust_affine(*images, **settings["affine"])["fwdtransforms"][0]
    with _torch_stage(stages, "deformable"):
        return syntx.tvf(*images, initial_transform=start, device=_torch_device(), **settings["deformable"])


def _stand_in(module: str) -> None:
    """An empty module for one that is imported and not used here, where it is not installed."""
    if importlib.util.find_spec(module) is None:
        sys.modules[module] = types.ModuleType(module)


# --- warpline ---


def register_warpline(job: Job, settings: Settings) -> Stages:
    """The command line, as a user types it; stage seconds come from its own report."""
    beside = Path(sys.executable).with_name("warpline")
    program = str(beside) if beside.exists() else shutil.which("warpline") or "warpline"
    options = ["-o", job.file(PREFIX), "--recipe", settings["recipe"], "--backend", settings["backend"]]
    options += [part for change in settings.get("set", ()) for part in ("--set", change)]
    # No shell, and the paths are ours.
    subprocess.run([program, "register", job.fixed.image, job.moving.image, *options], check=True)
    return _stage_seconds(json.loads(Path(job.file(PREFIX + "report.json")).read_text()))


def register_warpline_cuda(job: Job, settings: Settings) -> Stages:
    """The Python API, from files to files."""
    import warpline

    stages: Stages = {"first": 0.0}
    how = {"recipe": settings["recipe"], "backend": settings["backend"]}
    for _ in range(settings["runs"] - 1):
        with stage(stages, "first"):
            warpline.register(job.fixed.image, job.moving.image, **how)
    found = warpline.register(job.fixed.image, job.moving.image, **how)
    with stage(stages, "files"):
        found.save(job.file(PREFIX))
    return {**stages, **_stage_seconds(found.report)}


def _stage_seconds(report: dict[str, Any]) -> Stages:
    seconds: dict[str, float] = report["seconds"]
    deformable = sum(seconds[part] for part in ("deformable", "inversion", "download"))
    return {"affine": seconds["preparation"] + seconds["linear"], "deformable": deformable}


TOOLS: dict[str, Tool] = {
    "greedy": Tool("picsl_greedy", GREEDY, register_greedy, warp_labels_greedy, read_greedy),
    "greedy-light": Tool("picsl_greedy", GREEDY_LIGHT, register_greedy, warp_labels_greedy, read_greedy),
    "ants-syn": Tool("antspyx", ANTS_SYN, register_ants_syn, warp_labels_itk, read_itk),
    "ants-synso": Tool("antspyx", ANTS_SYNSO, register_ants_synso, warp_labels_itk, read_itk),
    "dipy": Tool("dipy", DIPY, register_dipy, warp_labels_dipy, read_dipy),
    "warpline": Tool("warpline", WARPLINE, register_warpline, warp_labels_itk, read_itk),
    "warpline-cuda": Tool("warpline", WARPLINE_CUDA, register_warpline_cuda, warp_labels_itk, read_itk),
    "fireants-greedy": Tool(
        "fireants", FIREANTS_GREEDY, register_fireants, warp_labels_fireants, read_fireants, "FIREANTS_PYTHON"
    ),
    "fireants-syn": Tool(
        "fireants", FIREANTS_SYN, register_fireants, warp_labels_fireants, read_fireants, "FIREANTS_PYTHON"
    ),
    "syntx-tvf": Tool("syntx", SYNTX_TVF, register_syntx_tvf, warp_labels_itk, read_itk, "SYNTX_PYTHON"),
}
ON_CPU = ("greedy", "greedy-light", "ants-syn", "ants-synso", "dipy", "warpline")
ON_GPU = ("warpline-cuda", "warpline", "fireants-greedy", "fireants-syn", "syntx-tvf")
"""What is compared without and with ``--gpu``."""
