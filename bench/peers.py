"""The tools that are compared: how each registers a pair, and how its files are read back.

Adding a tool is one function that registers, one that warps labels, and one line of `TOOLS`.
`register` is measured; `warp_labels` (by the tool's own resampler) and `read` are not.
Heavy imports stay inside the functions, so that a child process loads one tool only.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from brains import Job, load_labels
from mappings import Mapping, dipy_mapping, greedy_mapping, itk_mapping

Stages = dict[str, float]
Settings = dict[str, Any]
PREFIX = "reg_"

GREEDY = {
    "common": "-d 3 -float",
    "affine": "-a -dof 12 -m NCC 2x2x2 -ia-image-centers -n 100x50x10",
    "deformable": "-m NCC 2x2x2 -n 100x50x20 -wp 0",
    "note": "fields written unrounded (-wp 0) and uncompressed; the inverse (-oinv) counts as deformable",
}
GREEDY_LIGHT = {**GREEDY, "deformable": f"{GREEDY['deformable']} -s 1.5vox 0.5vox"}
ANTS_SYN = {"type_of_transform": "SyN", "random_seed": 1}
ANTS_SYNSO = {
    "affine": {"type_of_transform": "antsRegistrationSyN[a]", "random_seed": 1},
    "deformable": {"type_of_transform": "antsRegistrationSyN[so]", "random_seed": 1},
}
DIPY = {
    "affine": {
        "pipeline": ["center_of_mass", "translation", "rigid", "affine"],
        "metric": "MI",
        "nbins": 32,
        "sampling_proportion": None,
        "level_iters": [10000, 1000, 100],
        "sigmas": [3.0, 1.0, 0.0],
        "factors": [4, 2, 1],
    },
    "metric": {"dim": 3},
    "deformable": {"level_iters": [100, 50, 20]},
}
WARPLINE = {"recipe": "syn"}


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
    """

    package: str
    settings: Settings
    register: Callable[[Job, Settings], Stages]
    warp_labels: Callable[[Job], np.ndarray]
    read: Callable[[Job], Mapping]


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
    import ants

    fixed, labels = ants.image_read(job.fixed.image), ants.image_read(job.moving.labels)
    chain = [job.file(PREFIX + "1Warp.nii.gz"), job.file(PREFIX + "0GenericAffine.mat")]
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


# --- warpline ---


def register_warpline(job: Job, settings: Settings) -> Stages:
    """The command line, as a user types it; stage seconds come from its own report."""
    beside = Path(sys.executable).with_name("warpline")
    program = str(beside) if beside.exists() else shutil.which("warpline") or "warpline"
    options = ["-o", job.file(PREFIX), "--recipe", settings["recipe"]]
    # No shell, and the paths are ours.
    subprocess.run([program, "register", job.fixed.image, job.moving.image, *options], check=True)
    return _reported_seconds(Path(job.file(PREFIX + "report.json")))


def _reported_seconds(report: Path) -> Stages:
    if not report.exists():
        return {}
    seconds: dict[str, float] = json.loads(report.read_text())["seconds"]
    return {"affine": seconds["linear"], "deformable": seconds["deformable"] + seconds["inversion"]}


TOOLS: dict[str, Tool] = {
    "greedy": Tool("picsl_greedy", GREEDY, register_greedy, warp_labels_greedy, read_greedy),
    "greedy-light": Tool("picsl_greedy", GREEDY_LIGHT, register_greedy, warp_labels_greedy, read_greedy),
    "ants-syn": Tool("antspyx", ANTS_SYN, register_ants_syn, warp_labels_itk, read_itk),
    "ants-synso": Tool("antspyx", ANTS_SYNSO, register_ants_synso, warp_labels_itk, read_itk),
    "dipy": Tool("dipy", DIPY, register_dipy, warp_labels_dipy, read_dipy),
    "warpline": Tool("warpline", WARPLINE, register_warpline, warp_labels_itk, read_itk),
}
