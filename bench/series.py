"""Motion correction judged on a series whose motion is known: warpline, ANTsPy and DIPY on the same volumes.

A volume, or the mean of a series, is moved by smooth motion with a few jumps, up to 2 mm and 2 degrees, by splines of
order 5, its brightness drifts, and Rician noise is added. Each tool runs in a process of its own and leaves its maps,
reference to volume. The reference of a tool is its own affair, so that the median of its errors is taken off first.
DIPY takes long: it gets the first volumes only.

    python bench/series.py ../shared/data/multimodal/fmri_2.4mm.nii.gz --volumes 40 --dipy-volumes 8
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from measure import run as measured

Matrices = NDArray[np.float64]

RESULTS = Path(__file__).parent / "results" / "series.json"
SEED, TSNR, JUMPS, MOST, DRIFT = 0, 50.0, 4, 2.0, 0.1
FOREGROUND = 0.15
"""Share of the 99.5th percentile above which a voxel is of the head: errors are measured there."""
EVERY = 97
"""Every n-th voxel of the head is a point at which errors are measured."""
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, eq=False)
class Made:
    """A series and its motion: volumes (I, J, K, T), voxel to world, reference to volume (T, 4, 4), centre, points."""

    volumes: NDArray[np.float32]
    affine: Matrices
    matrices: Matrices
    centre: NDArray[np.float64]
    points: NDArray[np.float64]


def made_series(values: NDArray[Any], affine: Matrices, count: int) -> Made:
    """A series of `count` volumes that show `values` (I, J, K) in motion."""
    random = np.random.default_rng(SEED)
    head = values > FOREGROUND * np.percentile(values, 99.5)
    points = nibabel.affines.apply_affine(affine, np.argwhere(head))
    centre, noise = points.mean(axis=0), values[head].mean() / TSNR
    matrices = _motion(count, centre, random)
    coefficients = ndimage.spline_filter(values.astype(np.float64), 5, mode="mirror")
    volumes = np.empty((*values.shape, count), np.float32)
    for number, matrix in enumerate(matrices):
        back = np.linalg.inv(affine) @ np.linalg.inv(matrix) @ affine
        moved = ndimage.affine_transform(
            coefficients, back[:3, :3], back[:3, 3], order=5, mode="mirror", prefilter=False
        ) * (1 + DRIFT * number / count)
        real, imaginary = random.normal(0, noise, (2, *values.shape))
        volumes[..., number] = np.hypot(moved + real, imaginary)
    return Made(volumes, affine, matrices, centre, points[::EVERY])


def _motion(count: int, centre: NDArray[np.float64], random: np.random.Generator) -> Matrices:
    """Reference world to volume world: three shifts in mm and three angles in degrees that drift, and jump together."""
    courses = ndimage.gaussian_filter1d(random.normal(size=(count + 20, 6)), 8, axis=0, mode="wrap")[:count]
    courses = (courses - courses[0]) / np.abs(courses - courses[0]).max(axis=0) * random.uniform(0.5, 1.2, 6)
    for start in random.choice(np.arange(3, count - 3), min(JUMPS, count - 6), replace=False):
        courses[start:] += random.uniform(-0.9, 0.9, 6)
    courses *= np.minimum(1, MOST / np.abs(courses).max(axis=0))
    matrices = np.tile(np.eye(4), (count, 1, 1))
    matrices[:, :3, :3] = Rotation.from_euler("xyz", courses[:, 3:], degrees=True).as_matrix()
    matrices[:, :3, 3] = centre + courses[:, :3] - matrices[:, :3, :3] @ centre
    return matrices


def errors(found: Matrices, made: Made) -> dict[str, float]:
    """Errors of shifts at the centre, of angles, and of points of the head; mean and largest, in mm and degrees."""
    apart = np.linalg.inv(made.matrices[: len(found)]) @ found
    left, _, right = np.linalg.svd(apart[:, :3, :3])
    turned = Rotation.from_matrix(left @ right)
    degrees = np.degrees((turned.mean().inv() * turned).magnitude())
    points = np.concatenate([made.centre[None], made.points])
    there = np.einsum("tij,nj->tni", apart[:, :3, :3], points) + apart[:, None, :3, 3]
    lengths = np.linalg.norm(there - np.median(there, axis=0), axis=2)
    kinds = {"shift_mm": lengths[:, 0], "degrees": degrees, "points_mm": lengths[:, 1:]}
    return {
        f"{name}_{kind}": round(float(value), 4)
        for name, values in kinds.items()
        for kind, value in (("mean", values.mean()), ("max", values.max()))
    }


# -- tools: the path of a series to maps, reference world to volume world (RAS+ mm), and a moved series -------------


def by_warpline(path: Path) -> Matrices:
    """As ``warpline series register`` does it: files written too."""
    from warpline import register_series

    found = register_series(path)
    found.save(path.parent / "warpline" / "out_")
    return found.matrices


def by_ants(path: Path) -> Matrices:
    """``ants.motion_correction``; its reference is the mean of all volumes."""
    import ants

    found = ants.motion_correction(ants.image_read(str(path)))
    ants.image_write(found["motion_corrected"], str(path.parent / "ants.nii.gz"))
    return np.stack([_of_ants(ants.read_transform(files[0])) for files in found["motion_parameters"]])


def _of_ants(transform: Any) -> Matrices:
    parameters, centre = np.array(transform.parameters), np.array(transform.fixed_parameters)
    matrix = np.eye(4)
    matrix[:3, :3] = parameters[:9].reshape(3, 3)
    matrix[:3, 3] = parameters[9:] + centre - matrix[:3, :3] @ centre
    return LPS @ matrix @ LPS


def by_dipy(path: Path) -> Matrices:
    """``dipy.align.register_series`` to the first volume, rigid."""
    from dipy.align import register_series

    image = nibabel.load(path)
    moved, affines = register_series(image, 0, pipeline=["center_of_mass", "translation", "rigid"])
    nibabel.save(nibabel.Nifti1Image(moved.astype(np.float32), image.affine), path.parent / "dipy.nii.gz")
    return np.moveaxis(affines, -1, 0)


TOOLS: dict[str, tuple[str, Callable[[Path], Matrices]]] = {
    "warpline": ("warpline", by_warpline),
    "ANTsPy": ("antspyx", by_ants),
    "DIPY": ("dipy", by_dipy),
}
"""Name to package and function."""


def judge(tool: str, made: Made, threads: int) -> dict[str, Any]:
    """Run one tool in a process of its own, and measure what it found."""
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder) / "series.nii.gz", Path(folder) / "found.npz"
        nibabel.save(nibabel.Nifti1Image(made.volumes, made.affine), path)
        command = [sys.executable, __file__, str(path), "--child", tool, "--out", str(out)]
        cost = measured(command, threads, Path(folder) / "log.txt")
        if cost.returncode:
            sys.exit((Path(folder) / "log.txt").read_text())
        with np.load(out) as found:
            matrices, seconds = found["matrices"], float(found["seconds"])
    count = len(matrices)
    return {
        "tool": tool, "version": version(TOOLS[tool][0]), "volumes": count, "threads": threads,
        "seconds": round(seconds, 2),
        "seconds_per_volume": round(seconds / count, 3), "cpu_seconds_per_volume": round(cost.cpu_s / count, 3),
        "peak_MB": round(cost.peak_bytes / 1e6), "contended": cost.contended, **errors(matrices, made),
    }  # fmt: skip


def _as_child(tool: str, path: Path, out: Path) -> None:
    started = time.perf_counter()
    matrices = TOOLS[tool][1](path)
    np.savez(out, matrices=matrices, seconds=time.perf_counter() - started)


def main() -> None:
    """Judge the tools, or run one of them as a child process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("image", type=Path)
    parser.add_argument("--volumes", type=int, default=40)
    parser.add_argument("--dipy-volumes", type=int, default=8)
    parser.add_argument("--tools", nargs="+", choices=TOOLS, default=list(TOOLS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--child", choices=TOOLS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        _as_child(options.child, options.image, options.out)
        return
    image = nibabel.load(options.image)
    values = np.asarray(image.dataobj, dtype=np.float64)
    made = made_series(values.mean(axis=3) if values.ndim == 4 else values, image.affine, options.volumes)
    rows = []
    for tool in options.tools:
        count = options.dipy_volumes if tool == "DIPY" else options.volumes
        part = Made(made.volumes[..., :count], made.affine, made.matrices[:count], made.centre, made.points)
        rows.append(judge(tool, part, options.threads))
        print(json.dumps(rows[-1]), flush=True)
    options.out.write_text(json.dumps({"image": options.image.name, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
