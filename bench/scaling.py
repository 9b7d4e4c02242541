"""Seconds, CPU seconds and peak memory of the whole command at several voxel sizes, on one pair of brains.

python bench/scaling.py                                                     # 3 to 1 mm with the default recipe
python bench/scaling.py --voxel-sizes 0.7 0.5 --set "syn.iterations=[40,20,5]" --resume
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from scipy.ndimage import affine_transform, gaussian_filter

import brains
import measure

DATA = Path(__file__).parents[2] / "shared" / "data" / "oasis-trt-20"
RESULTS = Path(__file__).parent / "results" / "scaling.json"

VOXEL_SIZES = (3.0, 2.0, 1.5, 1.0)
MARGIN = 8
"""Voxels of background around the brains at their own size, as in `compare.py`."""

Row = dict[str, Any]


def resampled(image: nib.Nifti1Image, voxel_size: float) -> nib.Nifti1Image:
    """An image on cubes of another size over the same box: linear, smoothed first where they are larger."""
    factors = voxel_size / np.array(image.header.get_zooms()[:3], float)
    if np.allclose(factors, 1):
        return image
    data = gaussian_filter(np.asarray(image.dataobj, np.float32), 0.5 * np.maximum(factors - 1, 0))
    shape = np.ceil(np.array(data.shape) / factors - 1e-6).astype(int)
    start = (factors - 1) / 2
    values = affine_transform(data, np.diag(factors), start, tuple(shape), order=1, mode="nearest")
    place = np.diag([*factors, 1.0])
    place[:3, 3] = start
    return nib.Nifti1Image(values.astype(np.float32), image.affine @ place)


def measured(fixed: Path, moving: Path, settings: list[str], threads: int, work: Path) -> Row:
    """Register two files by the command line, and say what that cost in all and for each voxel of the fixed image."""
    prefix = f"{work}/out_"
    options = [word for setting in settings for word in ("--set", setting)]
    command = [sys.executable, "-c", _MAIN, "register", str(fixed), str(moving), "-o", prefix, "-q", *options]
    cost = measure.run(command, threads, work / "log.txt")
    if cost.returncode != 0:
        raise SystemExit(f"the registration failed:\n{(work / 'log.txt').read_text()[-2000:]}")
    report = json.loads(Path(f"{prefix}report.json").read_text())
    voxels = math.prod(report["inputs"]["fixed"]["shape"])
    levels = [level for level in report["levels"] if level["stage"] == "syn"]
    return {
        "shape": report["inputs"]["fixed"]["shape"],
        "levels": [{key: level[key] for key in ("shape", "iterations", "seconds")} for level in levels],
        "seconds": report["seconds"],
        "cpu_microseconds_per_voxel": round(1e6 * cost.cpu_s / voxels, 2),
        "bytes_per_voxel": round(cost.peak_bytes / voxels),
        **asdict(cost),
        "contended": cost.contended,
    }


_MAIN = "import sys; from warpline.cli.main import main; sys.exit(main(sys.argv[1:]))"


def run(options: argparse.Namespace) -> None:
    """Measure every voxel size; each row is written as soon as it is known."""
    version = measure.version("warpline")
    kept = json.loads(options.out.read_text())["rows"] if options.resume and options.out.exists() else []
    rows: list[Row] = list(kept)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        pair = [brains.prepare(options.data, side, work, MARGIN) for side in options.pair.split(",")]
        for size in options.voxel_sizes:
            files = [work / f"{side}-{size:g}.nii.gz" for side in ("fixed", "moving")]
            for brain, file in zip(pair, files, strict=True):
                nib.save(resampled(nib.load(brain.image), size), file)
            found = measured(files[0], files[1], options.set, options.threads, work)
            row = {"voxel_size": size, "settings": options.set, "version": version, **found}
            rows = [one for one in rows if (one["voxel_size"], one["settings"]) != (size, options.set)] + [row]
            print(line(row), flush=True)
            options.out.write_text(json.dumps({"machine": measure.machine(), "rows": rows}, indent=1) + "\n")


def line(row: Row) -> str:
    """A row, for people."""
    shape = " x ".join(map(str, row["shape"]))
    note = " *" if row["contended"] else ""
    return (
        f"{row['voxel_size']:4g} mm  {shape:>15}  {row['wall_s']:7.1f} s{note}  {row['cpu_s']:7.1f} CPU s  "
        f"{row['peak_bytes'] / 1e9:5.2f} GB  {row['cpu_microseconds_per_voxel']:6.2f} CPU us and "
        f"{row['bytes_per_voxel']:4d} bytes a voxel  {' '.join(row['settings'])}"
    )


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of sub-NN/t1_brain.nii.gz")
    parser.add_argument("--pair", default="01,02")
    parser.add_argument("--voxel-sizes", type=float, nargs="+", default=VOXEL_SIZES, metavar="MM")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="an option of the recipe")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--resume", action="store_true", help="keep rows of other voxel sizes and settings")
    run(parser.parse_args())


if __name__ == "__main__":
    main()
