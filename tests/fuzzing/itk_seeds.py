"""Sound files that ITK wrote: images of several kinds, and transforms of more classes than warpline writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import SimpleITK

from warpline.images import Image
from warpline.io.images import write_image
from warpline.space.grid import Grid

Files = dict[str, bytes]


def images(grid: Grid, *names: str) -> Callable[[Path], list[Files]]:
    """Images compressed and, by ITK itself, as they are; a header alone comes with the file that has its data."""

    def seeds(folder: Path) -> list[Files]:
        values = np.random.default_rng(1).integers(0, 1000, grid.shape).astype(np.int16)
        groups = []
        for name in names:
            write_image(Image(values, grid), folder / name)
            groups.append(_group(folder, name))
            SimpleITK.WriteImage(SimpleITK.ReadImage(str(folder / name)), str(folder / f"raw-{name}"))
            groups.append(_group(folder, f"raw-{name}"))
        return groups

    return seeds


def vectors(folder: Path) -> list[Files]:
    """Three components at each voxel."""
    made = SimpleITK.GetImageFromArray(np.ones((5, 6, 7, 3), np.float32), isVector=True)
    for name in ("v.nrrd", "v.mha"):
        SimpleITK.WriteImage(made, str(folder / name), useCompression=True)
    return [_group(folder, name) for name in ("v.nrrd", "v.mha")]


def transforms(folder: Path) -> list[Files]:
    """B-splines, a displacement field and a turn, alone and as a composite, in text and in HDF5."""
    spline = SimpleITK.BSplineTransformInitializer(SimpleITK.Image((8, 9, 10), SimpleITK.sitkFloat32), (2, 2, 2), 3)
    spline.SetParameters(np.random.default_rng(2).normal(0, 0.2, len(spline.GetParameters())).tolist())
    flat = SimpleITK.BSplineTransformInitializer(SimpleITK.Image((8, 9), SimpleITK.sitkFloat32), (3, 3), 2)
    shifts = SimpleITK.GetImageFromArray(np.full((3, 4, 5, 3), 0.5), isVector=True)
    field = SimpleITK.DisplacementFieldTransform(SimpleITK.Cast(shifts, SimpleITK.sitkVectorFloat64))
    turn = SimpleITK.Euler3DTransform((1.0, 2.0, 3.0), 0.1, 0.2, 0.3, (4.0, 5.0, 6.0))
    names = []
    for number, made in enumerate((spline, flat, field, turn, SimpleITK.CompositeTransform([turn, field, spline]))):
        for suffix in (".tfm", ".h5"):
            names.append(f"t{number}{suffix}")
            SimpleITK.WriteTransform(made, str(folder / names[-1]))
    return [_group(folder, name) for name in names]


def _group(folder: Path, name: str) -> Files:
    """A file, and those of the same stem beside it."""
    stem = name.rpartition(".")[0]
    others: Sequence[Path] = sorted(path for path in folder.iterdir() if path.name.startswith(f"{stem}."))
    kept = [path for path in others if name.endswith(("hdr", "mhd")) and path.name.partition(".")[2] not in _ALONE]
    return {one.name: one.read_bytes() for one in (folder / name, *kept)}


_ALONE = ("nrrd", "nhdr", "mha", "mhd")
