"""Build the pages of a small cohort: nine brains registered onto a tenth.

    python examples/cohort_pages.py [OUTPUT [DATA]]

DATA is a folder with ``sub-*/t1_brain.nii.gz`` (OASIS-TRT-20 of Mindboggle-101, for example); where it is missing, ten
synthetic brains are drawn. Open ``OUTPUT/report/index.html`` in a browser afterwards: it loads nothing from anywhere.
``make docs-examples`` runs this script. The pages show their images: those made from DATA fall under its licence.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import ndimage

from warpline import Image, read_image, resample, write_image
from warpline.cli.main import main as command_line
from warpline.phantom import brain_pair

ROOT = Path(__file__).resolve().parents[1]
OUTPUT = ROOT / "docs" / "examples" / "cohort-brains"
DATA = ROOT.parent / "shared" / "data" / "oasis-trt-20"

SUBJECTS = 10
VOXEL_SIZE = 3.5
"""In mm; coarse, so that the page of a pair stays below half a megabyte."""

FIELD_OF_VIEW = np.array([192.0, 224.0, 192.0])
"""Size of a synthetic brain's grid in mm."""

FWHM_PER_SIGMA = 2.355


def main(arguments: list[str]) -> int:
    """Write images and a manifest, then register them as a cohort; returns the command's exit code."""
    output, data = (Path(given) for given in (*arguments, *(OUTPUT, DATA)[len(arguments) :]))
    folder = output.with_name(f"{output.name}-images")
    folder.mkdir(parents=True, exist_ok=True)
    brains = real_brains(data) if data.is_dir() else synthetic_brains()
    names = [f"sub-{number:02}" for number in range(1, len(brains) + 1)]
    for name, brain in zip(names, brains, strict=True):
        write_image(brain(), folder / f"{name}_T1w.nii.gz")
    rows = "".join(f"{name}\t{name}_T1w.nii.gz\n" for name in names[1:])
    (folder / "manifest.tsv").write_text(f"id\tmoving\n{rows}", encoding="utf-8")
    fixed = str(folder / f"{names[0]}_T1w.nii.gz")
    command = ["cohort", "run", str(folder / "manifest.tsv"), str(output), "--fixed", fixed, "--recipe", "syn-fast"]
    return command_line([*command, "--warp", "none", "--pages", "all", "--redo"])


def real_brains(data: Path) -> list[Callable[[], Image]]:
    """Readers of the first brains of a folder."""
    return [
        lambda file=file: coarse(read_image(file)) for file in sorted(data.glob("sub-*/t1_brain.nii.gz"))[:SUBJECTS]
    ]


def synthetic_brains() -> list[Callable[[], Image]]:
    """Makers of as many phantoms, each with folds of its own."""
    shape = tuple(int(n) for n in FIELD_OF_VIEW / VOXEL_SIZE)
    return [lambda seed=seed: brain_pair(shape, seed, VOXEL_SIZE).fixed for seed in range(SUBJECTS)]


def coarse(image: Image) -> Image:
    """An image at `VOXEL_SIZE`, smoothed first by the width of the new voxels."""
    sigma = VOXEL_SIZE / image.grid.voxel_size / FWHM_PER_SIGMA
    smooth = ndimage.gaussian_filter(image.data.astype(np.float32), sigma)
    return resample(Image(smooth, image.grid), voxel_size=VOXEL_SIZE)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
