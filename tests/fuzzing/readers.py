"""Every reader of files, with sound files to begin from."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import nibabel
import numpy as np
import zarr
from nibabel.gifti import GiftiDataArray, GiftiImage
from nibabel.streamlines import Tractogram

from fuzzing import itk_seeds
from made_morph import morph
from made_transforms import made_for, made_pair
from warpline.cohort.bids import Filter, scan
from warpline.cohort.checks import check_output
from warpline.cohort.decisions import read_decisions
from warpline.cohort.journal import JournalReader, read_journals
from warpline.cohort.layout import FAILURES, RESULTS
from warpline.cohort.manifest import read_manifest
from warpline.cohort.pages import write
from warpline.cohort.plan import plan_of, read_sidecar
from warpline.cohort.results import RESULT_COLUMNS, read_results
from warpline.cohort.steps import skull_stripped
from warpline.errors import InputError, WarplineError
from warpline.images import Image
from warpline.io.images import read_grid, read_image, write_image
from warpline.io.points import read_points
from warpline.io.streamlines import read_streamlines
from warpline.io.surfaces import read_surface
from warpline.io.transform_files import FORMATS, identify, read_transform, write_transform
from warpline.io.vectors import read_vectors
from warpline.recipe import Recipe
from warpline.space.grid import Grid, apply_affine

Files = Mapping[str, bytes]
"""Names and contents; the first is what the reader is given."""

FIXED, MOVING = made_pair("left-handed", "oblique")
GRIDS = {"fixed": FIXED, "moving": MOVING}
THEIRS = Path(nibabel.__file__).parent / "tests" / "data"
"""Small files of many formats that nibabel brings along."""


@dataclass(frozen=True)
class Reader:
    """What is tried.

    Parameters
    ----------
    seeds : callable
        ``seeds(folder) -> list of Files``, sound; the folder is empty and may be used.
    read : callable
        ``read(path)``; it returns, or raises an error that names what is wrong.
    """

    seeds: Callable[[Path], list[Files]]
    read: Callable[[Path], object]


def _written(*names: str, write: Callable[[Path], object]) -> Callable[[Path], list[Files]]:
    """Seeds that a function writes, one for each name."""

    def seeds(folder: Path) -> list[Files]:
        for name in names:
            write(folder / name)
        return [{name: (folder / name).read_bytes()} for name in names]

    return seeds


def _theirs(*groups: tuple[str, ...]) -> Callable[[Path], list[Files]]:
    """Seeds from nibabel's own tests, each of one file or several that belong together."""
    return lambda _: [{name: (THEIRS / name).read_bytes() for name in group} for group in groups]


def _fixed(*files: Files) -> Callable[[Path], list[Files]]:
    return lambda _: list(files)


# -- images and transforms ------------------------------------------------------------------------------------------


def _values(shape: tuple[int, ...] = (7, 6, 5)) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 1000, shape).astype(np.int16)


def _image(path: Path) -> None:
    kind = {".mgz": nibabel.MGHImage, ".mgh": nibabel.MGHImage, ".img": nibabel.Nifti1Pair}
    nibabel.save(kind.get(path.suffix, nibabel.Nifti1Image)(_values().astype(np.int32), FIXED.affine), path)


def _ome_zarr(folder: Path) -> list[Files]:
    """A pyramid of 0.4 that we wrote, and one of 0.5."""
    write_image(Image(_values(FIXED.shape), Grid(FIXED.shape, np.diag([2.0, 2.0, 2.0, 1.0]))), folder / "a.ome.zarr")
    group = zarr.open_group(folder / "b.ome.zarr", mode="w", zarr_format=3)
    group.create_array("0", data=_values(), chunks=(4, 4, 4))
    attributes = json.loads((folder / "a.ome.zarr" / ".zattrs").read_text())
    group.attrs.update({"ome": {"version": "0.5", **attributes}})
    stores = [folder / "a.ome.zarr", folder / "b.ome.zarr"]
    every = [
        sorted((one for one in store.rglob("*") if one.is_file()), key=lambda one: len(one.parts)) for store in stores
    ]
    return [{str(one.relative_to(folder)): one.read_bytes() for one in files} for files in every]


def _both(path: Path) -> Grid:
    read_image(path)
    return read_grid(path)


def _pair(folder: Path) -> list[Files]:
    nibabel.save(nibabel.Nifti1Pair(_values(), FIXED.affine), folder / "a.img")
    nibabel.save(nibabel.Spm2AnalyzeImage(_values(), np.diag((-2.0, 2, 2, 1))), folder / "b.img")
    names = (("a.hdr", "a.img"), ("b.hdr", "b.img", "b.mat"))
    return [{name: (folder / name).read_bytes() for name in group if (folder / name).exists()} for group in names]


def _vectors(path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(np.ones((7, 6, 5, 1, 3), np.float32), FIXED.affine), path)


def _transform(name: str, path: Path) -> None:
    known = FORMATS[name]
    if known.encode is not None:
        write_transform(made_for(name, known.holds, FIXED), path, name, **(GRIDS if known.needs_grids else {}))
    elif name == "freesurfer-m3z":
        nodes = apply_affine(FIXED.affine, np.moveaxis(np.indices(FIXED.shape), 0, -1))
        path.write_bytes(gzip.compress(morph(nodes, FIXED, MOVING, kind=1)))
    else:
        _coefficients(path)


def _coefficients(path: Path) -> None:
    image = nibabel.Nifti1Image(np.ones((7, 6, 8, 3), np.float32), None)
    image.header["intent_code"] = 2007
    image.header["intent_p1"], image.header["intent_p2"], image.header["intent_p3"] = FIXED.voxel_size
    image.header.set_zooms((3, 4, 2, 1))
    image.set_sform(np.eye(4), 1)
    offsets = np.diag([3.0, 4, 2, 1])
    offsets[:3, 3] = FIXED.shape
    image.set_qform(offsets, 1)
    nibabel.save(image, path)


def _read_classes(path: Path) -> object:
    return read_transform(path, **GRIDS)


def _read_transform(name: str, path: Path) -> object:
    """By its content first, which may fit several formats, then as the one it was."""
    with suppress(InputError):
        identify(path, **GRIDS)
    return read_transform(path, name, **GRIDS)


# -- points ---------------------------------------------------------------------------------------------------------

TABLE = b"name,x,y,z\n" + b"".join(b"p%d,%d.5,-%d,3e1\n" % (n, n, n) for n in range(30))


def _surface(path: Path) -> None:
    points = np.array([[0, 0, 0], [10, 0, 0], [0, 10, 0], [0, 0, 10]], np.float32)
    encoding = {"a": "ASCII", "b": "B64BIN", "c": "B64GZ"}[path.name[0]]
    arrays = [
        GiftiDataArray(points, intent="NIFTI_INTENT_POINTSET", encoding=encoding, meta={"Name": "lh"}),
        GiftiDataArray(np.array([[0, 1, 2]], np.int32), intent="NIFTI_INTENT_TRIANGLE", encoding=encoding),
    ]
    path.write_bytes(GiftiImage(darrays=arrays).to_bytes())


SPACE = b"""<CoordinateSystemTransformMatrix><DataSpace><![CDATA[NIFTI_XFORM_UNKNOWN]]></DataSpace>
<TransformedSpace><![CDATA[NIFTI_XFORM_%s]]></TransformedSpace>
<MatrixData>1 0 0 5 0 1 0 -6 0 0 1 7 0 0 0 1</MatrixData></CoordinateSystemTransformMatrix>"""


def _spaces(folder: Path) -> list[Files]:
    """Surfaces that say where they lie: by a matrix, by one of two, and by the geometry of a volume."""
    names = ("Width", "Height", "Depth", "Xsize", "Ysize", "Zsize", "X_R", "X_A", "X_S", "Y_R", "Y_A", "Y_S")
    values = (256, 256, 256, 1, 1, 1, -1, 0, 0, 0, 0, -1)
    places = {"Z_R": 0, "Z_A": 1, "Z_S": 0, "C_R": 5, "C_A": -6, "C_S": 7, **dict(zip(names, values, strict=True))}
    points = np.array([[0, 0, 0], [10, 0, 0], [0, 10, 0]], np.float32)
    meta = {f"VolGeom{name}": f"{value:.6f}" for name, value in places.items()}
    array = GiftiDataArray(points, intent="NIFTI_INTENT_POINTSET", encoding="ASCII", meta=meta)
    faces = GiftiDataArray(np.array([[0, 1, 2]], np.int32), intent="NIFTI_INTENT_TRIANGLE", encoding="ASCII")
    sound = GiftiImage(darrays=[array, faces]).to_bytes()
    begin, end = sound.find(b"<CoordinateSystem"), sound.find(b"<Data>")
    stated = [SPACE % b"TALAIRACH", SPACE % b"SCANNER_ANAT", SPACE % b"TALAIRACH" + SPACE % b"SCANNER_ANAT"]
    return [{"s.gii": sound}, *({"s.gii": sound[:begin] + text + sound[end:]} for text in stated)]


def _streamlines(path: Path) -> None:
    lines = [np.random.default_rng(n).normal(size=(n + 2, 3)).astype(np.float32) for n in range(5)]
    given = {"data_per_streamline": {"weight": np.ones((5, 1), np.float32)}} if path.suffix == ".trk" else {}
    nibabel.streamlines.save(Tractogram(lines, affine_to_rasmm=np.eye(4), **given), str(path))


# -- recipes and cohorts --------------------------------------------------------------------------------------------

RECIPE = b'base = "rigid"\nname = "mine"\n[linear]\niterations = [10, 5]\nvoxel_sizes = [4.0, 2.0]\n[syn]\nstep = 0.2\n'
MANIFEST = b"id\tmoving\tfixed\tage\tnote\nsub-01\ta.nii\tf.nii\t71\t=1+1\nsub-02\tb.nii\tf.nii\t-3.5\tn/a\n"
DECISIONS = b"id\tdecision\tnote\nsub-01\tfail\tbad\nsub-02\tpass\tn/a\n"
SIDECAR = {
    "id": "sub-01", "status": "ok", "key": "a-b", "recipe": {"name": "syn"}, "host": {"name": "h"},
    "inputs": {"fixed": {"path": "f.nii"}, "moving": {"path": "a.nii"}}, "sha256": {"fixed": "0", "moving": "1"},
    "outputs": {"warped": "w.nii.gz", "thumbnail": "t.webp"}, "metrics": {"dice": 0.8, "seconds": 3.0},
}  # fmt: skip
OUTCOME = {
    "id": "sub-01", "key": "a-b", "recipe": "syn", "status": "ok", "seconds": {"read": 1.0}, "stat": [100, 5],
    "host": {"name": "h", "pid": 1, "gpu": None}, "finished": "now", "metrics": {"dice": 0.8, "seconds": 3.0},
}  # fmt: skip
FAILED = {
    **{name: OUTCOME[name] for name in ("id", "key", "recipe", "seconds", "host")}, "status": "failed",
    "failure": {"class": "input_error", "signature": "* is empty", "message": "a.nii is empty", "traceback": ""},
}  # fmt: skip
JOURNAL = b"".join(
    b"\n" + json.dumps(line).encode() + b"\n"
    for line in ({"id": "sub-01", "in": "read"}, {"id": "sub-01", "in": None, "outcome": OUTCOME}, {"leaves": "hung"})
)


def _results(folder: Path) -> list[Files]:
    cells = {"id": "sub-01", "status": "ok", "verdict": "pass", "fixed": "f.nii", "moving": "a.nii", "dice": "0.8"}
    cells |= {"sidecar": "sub-01/anat/x_qc.json", "score": "1.5"}
    rows = [RESULT_COLUMNS, [cells.get(name, "n/a") for name in RESULT_COLUMNS]]
    table = "".join("\t".join(row) + "\n" for row in rows).encode()
    failures = b"id\tclass\tsignature\tmessage\thost\tlog\nsub-02\tinput_error\t*\tempty\th\tl\n"
    return [{RESULTS: table, FAILURES: failures}]


def _read_results(path: Path) -> object:
    return write(path.parent, read_results(path.parent), pages="all")


def _folder(_: Path) -> list[Files]:
    """An output folder: any of its files may be damaged."""
    lines = b"".join(json.dumps(line).encode() + b"\n" for line in (OUTCOME, FAILED))
    place = "sub-01/anat/sub-01_space-f_desc-registration_qc.json"
    run = json.dumps({"excluded": ["sub-02"], "recipes": {"syn": {}}, "started": "2026"}).encode()
    log = json.dumps({**FAILED, **FAILED["failure"]}).encode()
    files = {"manifest.tsv": MANIFEST, "work/results-1of1.jsonl": lines, place: json.dumps(SIDECAR).encode()}
    return [{**files, "run.json": run, "logs/sub-02.json": log}]


def _read_folder(path: Path) -> object:
    root = path.parent
    read_journals(root)
    return plan_of(root)


FILTER = b'{"t1w": {"space": null, "desc": ["preproc", "brain"], "run": [1, "02"], "suffix": "T1w"}}'
NAMES = (
    b"sub-01/anat/sub-01_run-1_desc-preproc_T1w.nii.gz\nsub-01/ses-1/anat/sub-01_ses-1_T1w.nii\nsub-02/anat/T1w.nii\n"
)


def _dataset(_: Path) -> list[Files]:
    """A BIDS folder: the names of its images, what is to be taken, and what describes it."""
    described = json.dumps({"Name": "n", "BIDSVersion": "1.9.0", "DatasetType": "raw"}).encode()
    said = json.dumps({"SkullStripped": True}).encode()
    others = {"filter.json": FILTER, "bids/dataset_description.json": described, "bids/sub-01_T1w.json": said}
    return [{"names.txt": NAMES, **others}]


def _read_dataset(path: Path) -> object:
    folder = path.parent
    skull_stripped(str(folder / "bids" / "sub-01_T1w.nii.gz"))
    with suppress(WarplineError):
        check_output(folder / "bids" / "out", None)
    for name in path.read_bytes().splitlines()[:8]:
        with suppress(OSError, ValueError):  # no names of files
            made = folder / "bids" / Path(os.fsdecode(name).lstrip("/").replace("..", ""))
            made.parent.mkdir(parents=True, exist_ok=True)
            made.touch()
    return scan(folder / "bids", fixed="f.nii", wanted=Filter.of("T1w", {}, folder / "filter.json"))


READERS: dict[str, Reader] = {
    "nifti": Reader(_written("a.nii", "a.nii.gz", write=_image), _both),
    "mgh": Reader(_written("a.mgz", "a.mgh", write=_image), _both),
    "pair": Reader(_pair, _both),
    "minc-1": Reader(_theirs(("tiny.mnc",), ("minc1_1_scale.mnc",)), _both),
    "minc-2": Reader(_theirs(("minc2_1_scale.mnc",), ("minc2_4d.mnc",)), _both),
    "par-rec": Reader(_theirs(("phantom_EPI_asc_CLEAR_2_1.PAR", "phantom_EPI_asc_CLEAR_2_1.REC")), _both),
    "afni": Reader(
        _theirs(("example4d+orig.HEAD", "example4d+orig.BRIK.gz"), ("scaled+tlrc.HEAD", "scaled+tlrc.BRIK")), _both
    ),
    "nrrd": Reader(itk_seeds.images(FIXED, "a.nrrd", "b.nhdr"), _both),
    "metaimage": Reader(itk_seeds.images(FIXED, "a.mha", "b.mhd"), _both),
    "ome-zarr": Reader(_ome_zarr, lambda path: _both(path.parent)),
    "itk-vectors": Reader(itk_seeds.vectors, read_vectors),
    "vectors": Reader(_written("v.nii.gz", write=_vectors), read_vectors),
    **{
        name: Reader(_written(f"t{known.suffixes[0]}", write=partial(_transform, name)), partial(_read_transform, name))
        for name, known in FORMATS.items()
    },
    "itk-classes": Reader(itk_seeds.transforms, _read_classes),
    "points": Reader(_fixed({"p.csv": TABLE}, {"p.csv.gz": gzip.compress(TABLE, mtime=0)}), read_points),
    "surface": Reader(_written("a.gii", "b.gii", "c.gii", write=_surface), read_surface),
    "surface-spaces": Reader(_spaces, read_surface),
    "trk": Reader(_written("s.trk", write=_streamlines), read_streamlines),
    "tck": Reader(_written("s.tck", write=_streamlines), read_streamlines),
    "recipe": Reader(_fixed({"r.toml": RECIPE}), Recipe.load),
    "manifest": Reader(_fixed({"m.tsv": MANIFEST}, {"m.csv": MANIFEST.replace(b"\t", b",")}), read_manifest),
    "decisions": Reader(_fixed({"d.tsv": DECISIONS}), lambda path: read_decisions(path, ("fail",))),
    "journal": Reader(_fixed({"j.jsonl": JOURNAL}), lambda path: JournalReader(path).news()),
    "sidecar": Reader(_fixed({"s.json": json.dumps(SIDECAR).encode()}), read_sidecar),
    "dataset": Reader(_dataset, _read_dataset),
    "results": Reader(_results, _read_results),
    "folder": Reader(_folder, _read_folder),
}
"""Name to reader."""
