"""DIPY's tutorial on symmetric diffeomorphic registration, run by warpline: only the import line is another.

    python examples/dipy_tutorial.py [STATIC MOVING [FOLDER]]

Registers MOVING onto STATIC, from a linear map that is found first, and leaves pictures and the mapping in FOLDER.
Without arguments, a synthetic pair is registered.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from warpline.dipy import (
    AffineMap,
    CCMetric,
    SymmetricDiffeomorphicRegistration,
    affine_registration,
    load_nifti,
    read_mapping,
    regtools,
    save_nifti,
    write_mapping,
)
from warpline.phantom import brain_pair


def synthetic_files(folder: Path) -> tuple[Path, Path]:
    """Write a pair of synthetic brains and return their names."""
    pair = brain_pair((64, 72, 64), voxel_size=3.0)
    names = folder / "static.nii.gz", folder / "moving.nii.gz"
    for name, image in zip(names, (pair.fixed, pair.moving), strict=True):
        save_nifti(name, image.data, image.affine)
    return names


def main(arguments: list[str]) -> None:
    """Run the tutorial."""
    folder = Path(arguments[2] if len(arguments) > 2 else "out/dipy-tutorial")
    folder.mkdir(parents=True, exist_ok=True)
    static_name, moving_name = arguments[:2] or synthetic_files(folder)
    static, static_affine = load_nifti(static_name)
    moving, moving_affine = load_nifti(moving_name)

    _, pre_align = affine_registration(moving, static, moving_affine, static_affine, level_iters=[100, 50, 20])
    affine_map = AffineMap(pre_align, static.shape, static_affine, moving.shape, moving_affine)
    resampled = affine_map.transform(moving)
    regtools.overlay_slices(static, resampled, None, 1, "Static", "Moving", folder / "input_3d.png")

    metric = CCMetric(3)
    level_iters = [50, 30, 10]
    sdr = SymmetricDiffeomorphicRegistration(metric, level_iters)
    mapping = sdr.optimize(static, moving, static_affine, moving_affine, pre_align)

    warped_moving = mapping.transform(moving)
    regtools.overlay_slices(static, warped_moving, None, 1, "Static", "Warped moving", folder / "warped_moving.png")
    warped_static = mapping.transform_inverse(static)
    regtools.overlay_slices(warped_static, moving, None, 1, "Warped static", "Moving", folder / "warped_static.png")
    save_nifti(folder / "warped_moving.nii.gz", warped_moving, static_affine)

    write_mapping(mapping, folder / "mapping.nii.gz")
    again = read_mapping(folder / "mapping.nii.gz", moving_name, static_name)
    print(f"saved and read again: warped image differs by {np.abs(again.transform(moving) - warped_moving).max():.2g}")
    for name, image in (("before", resampled), ("after", warped_moving)):
        print(f"correlation with the static image {name}: {np.corrcoef(static.ravel(), image.ravel())[0, 1]:.4f}")
    print(f"pictures and mapping are in {folder}")


if __name__ == "__main__":
    main(sys.argv[1:])
