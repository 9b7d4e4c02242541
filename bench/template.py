"""Templates of ten brains, or of ten slices, beside those that ANTsPy makes of the same files by `build_template`.

Judged by how sharp the template is, by how well labels of any two subjects overlap in its space, and by time. Both
run one after the other with one thread, each as a process of its own that starts, reads, computes and writes, as a user
runs it; the overlap is that of the maps of the last round, of either tool.

    python bench/template.py slices
    python bench/template.py brains --spacing 2
    python bench/template.py slices --tools warpline --strangers    # with a noise image and a mirrored subject
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

import brains
from warpline import Chain, Image, read_image, resample, template, warp, write_image
from warpline.backends import select
from warpline.evaluation import overlap
from warpline.images.intensity import normalise
from warpline.io.transform_files import read_transform
from warpline.resampling.reduction import reduce_image
from warpline.template.averages import sharpness
from warpline.template.layout import TEMPLATE, round_folder
from warpline.template.records import PARTIAL
from warpline.template.rounds import Registered

RESULTS = Path(__file__).parent / "results" / "template.json"
SUBJECTS = tuple(f"{number:02d}" for number in range(1, 11))
MARGIN = 16
"""Voxels of background around the brains, so that neither tool cuts off what it moves."""
BINS = 64
STRANGE = {"03": "noise", "05": "mirrored"}
"""What takes the place of subjects with ``--strangers``."""

Row = dict[str, Any]
Subject = tuple[str, str]
"""Paths of an image and of its labels."""


def slices(data: Path, work: Path, spacing: float) -> list[Subject]:
    """The slices as they are."""
    folder = data / "oasis-trt-20-slices"
    return [(f"{folder}/sub-{one}_t1.nii.gz", f"{folder}/sub-{one}_labels.nii.gz") for one in SUBJECTS]


def volumes(data: Path, work: Path, spacing: float) -> list[Subject]:
    """Brains cropped, and reduced to voxels of whole millimetres once, the same files for both tools."""
    made = []
    for one in SUBJECTS:
        image, labels = (work / "in" / f"sub-{one}_{kind}.nii.gz" for kind in ("t1", "labels"))
        if not labels.exists():
            image.parent.mkdir(parents=True, exist_ok=True)
            brain = brains.prepare(data / "oasis-trt-20", one, work / "cropped", MARGIN)
            block = (round(spacing),) * 3
            reduced = reduce_image(read_image(brain.image), block)
            write_image(reduced, image)
            write_image(resample(read_image(brain.labels), like=reduced.grid, order=0), labels)
        made.append((str(image), str(labels)))
    return made


CASES: dict[str, Callable[[Path, Path, float], list[Subject]]] = {"slices": slices, "brains": volumes}


def with_strangers(subjects: Sequence[Subject], work: Path) -> list[Subject]:
    """The subjects, of which one is replaced by noise and one is mirrored, left and right exchanged."""
    made = list(subjects)
    for one, kind in STRANGE.items():
        number = SUBJECTS.index(one)
        image = read_image(subjects[number][0])
        across = int(np.abs(image.affine[0, :3]).argmax())
        noise = np.random.default_rng(1).uniform(0, 1000, image.data.shape).astype(np.float32)
        data = noise if kind == "noise" else np.flip(image.data, across).copy()
        path = work / "strangers" / Path(subjects[number][0]).name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(Image(data, image.grid), path)
        made[number] = (str(path), subjects[number][1])
    return made


def timed(command: Sequence[str]) -> Row:
    """The times of a process, its start included; what it says is not shown."""
    wall, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    one_thread = {"WARPLINE_THREADS": "1", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "1", "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(command, env={**os.environ, **one_thread}, stdout=subprocess.DEVNULL, check=False)
    if ended.returncode not in (0, PARTIAL):
        raise SystemExit(f"{command[0]} ended with {ended.returncode}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    seconds = {"seconds": time.perf_counter() - wall, "cpu_seconds": used}
    return {**seconds, "finished": time.strftime("%FT%T"), "load": os.getloadavg()[0]}


def build_command(files: Sequence[str], out: Path, rounds: int) -> list[str]:
    """What a user of warpline runs."""
    program = Path(sys.executable).parent / "warpline"
    return [str(program), "template", "build", *files, str(out), "--threads", "1", "--rounds", str(rounds)]


def by_warpline(subjects: Sequence[Subject], work: Path, rounds: int) -> tuple[Row, Image, list[Chain]]:
    """A template by warpline, and the maps of its last round from the image before it to the subjects."""
    out = work / "warpline"
    shutil.rmtree(out, ignore_errors=True)  # a finished template would be returned at once
    files = [image for image, _ in subjects]
    row = timed(build_command(files, out, rounds))
    made = template.read_template(out)
    assert made is not None
    number = made.rounds[-1].number
    fixed = round_folder(made.folder, number - 1) / TEMPLATE
    kept = tuple(one.subject(made.folder) for one in made.subjects)
    maps = Registered(round_folder(made.folder, number), fixed, kept, {}).maps()
    names = ("kind", "voxel", "shape_mm", "change", "sides")
    told = [{name: getattr(one, name) for name in names} for one in made.rounds]
    row |= {"rounds": told, "settled": made.settled, "left_out": {one.id: one.reason for one in made.left_out}}
    return row | {"warnings": list(made.warnings)}, read_image(made.image), [one.chain() for one in maps]


ANTS = """
import sys, ants
out, rounds, *paths = sys.argv[1:]
images = [ants.image_read(path) for path in paths]
made = ants.build_template(image_list=images, iterations=int(rounds), output_dir=out)
ants.image_write(made, out + "/template.nii.gz")
"""
"""What a user of ANTsPy runs."""


def by_ants(subjects: Sequence[Subject], work: Path, iterations: int) -> tuple[Row, Image, list[Chain]]:
    """A template by ANTsPy, and the maps of its last iteration."""
    import ants

    folder = work / "ants"
    folder.mkdir(parents=True, exist_ok=True)
    files = [image for image, _ in subjects]
    row = timed([sys.executable, "-c", ANTS, str(folder), str(iterations), *files])
    row |= {"iterations": iterations, "version": ants.__version__}
    maps = [_ants_map(folder / f"img{number:04d}") for number in range(len(subjects))]
    return row, read_image(folder / "template.nii.gz"), maps


def _ants_map(folder: Path) -> Chain:
    return Chain.of(*(read_transform(folder / name) for name in ("out1Warp.nii.gz", "out0GenericAffine.mat")))


def same_without(subjects: Sequence[Subject], left_out: Collection[str], work: Path, rounds: int) -> bool:
    """Whether the template is bit for bit that of the subjects alone, those that were left out never given."""
    out = work / "alone"
    shutil.rmtree(out, ignore_errors=True)
    given = [image for image, _ in subjects if not Path(image).name.startswith(tuple(f"{one}_" for one in left_out))]
    timed(build_command(given, out, rounds))
    files = [(folder / TEMPLATE).read_bytes() for folder in (work / "warpline", out)]
    return files[0] == files[1]


TOOLS = {"warpline": (by_warpline, 4), "ants": (by_ants, 3)}
"""What makes a template, and in how many rounds by default."""


def scores(image: Image, maps: Sequence[Chain], labels: Sequence[str]) -> Row:
    """How sharp a template is, and how labels of any two subjects overlap in its space."""
    backend = select(None, 1)
    values = np.asarray(backend.download(normalise(image, backend).volume))
    shown = values[values > 0.1]
    share = np.histogram(shown, BINS, (0, 1.25))[0] / shown.size
    entropy = float(-(share[share > 0] * np.log2(share[share > 0])).sum())
    carried = [
        warp(read_image(path), one, image.grid, order=0, backend=backend)
        for path, one in zip(labels, maps, strict=True)
    ]
    dice = [overlap(first, second).mean for first, second in combinations(carried, 2)]
    edges = sharpness(Image(values, image.grid))
    return {"sharpness": edges, "entropy_bits": entropy, "dice": float(np.mean(dice)), "pairs": len(dice)}


def table(rows: Sequence[Row]) -> Iterator[str]:
    """The rows as a Markdown table."""
    yield "| inputs | tool | sharpness (1/mm) | entropy (bit) | Dice of two subjects | CPU s | wall s |"
    yield "|---|---|---|---|---|---|---|"
    for row in rows:
        times = f"{row['cpu_seconds']:.0f} | {row['seconds']:.0f}"
        made = f"{row['sharpness']:.4f} | {row['entropy_bits']:.2f} | {row['dice']:.3f}"
        yield f"| {row['case']} | {row['tool']} | {made} | {times} |"


def main() -> None:
    """Make templates, judge them, keep the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", choices=tuple(CASES))
    parser.add_argument("--tools", default="warpline,ants")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, default=Path("template-work"))
    parser.add_argument("--spacing", type=float, default=2.0, help="of the brains, whole mm")
    parser.add_argument("--rounds", type=int, help="of warpline, at most, and iterations of ANTs; default: 4 and 3")
    parser.add_argument("--strangers", action="store_true")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    name = options.case + (" with strangers" if options.strangers else "")
    work = options.work / name.replace(" ", "-")
    subjects = CASES[options.case](options.data, work, options.spacing)
    subjects = with_strangers(subjects, work) if options.strangers else subjects
    rows = json.loads(options.out.read_text()) if options.out.exists() else []
    for tool in options.tools.split(","):
        make, rounds = TOOLS[tool]
        row, image, maps = make(subjects, work, options.rounds or rounds)
        absent = row.get("left_out", {})
        labels = [
            path for path, one in zip((two for _, two in subjects), SUBJECTS, strict=True) if f"sub-{one}" not in absent
        ]
        if absent:
            row["same_bytes_without_them"] = same_without(subjects, absent, work, options.rounds or rounds)
        called = tool if options.rounds is None else f"{tool}, --rounds {options.rounds}"
        row |= {"case": name, "tool": called, **scores(image, maps, labels)}
        kept = [one for one in rows if (one["case"], one["tool"]) != (name, called)]
        rows = [*kept, row]
        options.out.write_text(json.dumps(rows, indent=1) + "\n")
    print("\n".join(table(rows)))


if __name__ == "__main__":
    sys.exit(main())
