"""The files of a registration: what they are called, and writing them all or none."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from warpline.errors import UsageError
from warpline.images import Image
from warpline.io.atomic import Transaction
from warpline.io.compression import compress
from warpline.io.images import encode_image
from warpline.io.transform_files import Format, itk_affine, itk_warp
from warpline.io.transform_order import AFFINE, INVERSE_WARP, WARP
from warpline.registration.alignment import Alignment
from warpline.registration.clock import Clock
from warpline.registration.judgement import signs_in_words
from warpline.registration.provenance import peak_memory
from warpline.report.page import write_page
from warpline.report.pair_layers import Layers, draw_layers
from warpline.report.pictures import write_deformation, write_overlay
from warpline.space import Transform

VELOCITY = "Velocity.nii.gz"
WARPED = "Warped.nii.gz"
INVERSE_WARPED = "InverseWarped.nii.gz"
ROBUST_WEIGHTS = "RobustWeights.nii.gz"
UNCERTAINTY = "Uncertainty.nii.gz"
OVERLAY = "Overlay.png"
DEFORMATION = "Grid.png"
PAGE = "report.html"
REPORT = "report.json"

ENDINGS = {
    "affine": AFFINE,
    "warp": WARP,
    "inverse_warp": INVERSE_WARP,
    "velocity": VELOCITY,
    "warped": WARPED,
    "inverse_warped": INVERSE_WARPED,
    "robust_weights": ROBUST_WEIGHTS,
    "uncertainty": UNCERTAINTY,
    "overlay": OVERLAY,
    "deformation": DEFORMATION,
    "page": PAGE,
    "report": REPORT,
}
"""What each file is, to how its name ends."""

Prefix = str | os.PathLike[str]
"""Start of the names of all outputs, folder included."""

Names = Mapping[str, Path]
"""What each file is, to its path; kinds that are left out are not written, ``"report"`` always is."""

Encoders = Mapping[str, Callable[[], bytes]]
"""What each file is, to the function that makes its bytes."""


Maker = TypeVar("Maker")


@dataclass(frozen=True)
class Stored:
    """What `store` wrote.

    Parameters
    ----------
    paths : dict
        What each file is, to its path.
    report : dict
        The report, finished: with the paths, sizes and checksums of the files, and the time that they took.
    replaced : dict or None
        Of an earlier run under these names: the paths of ``files`` that were replaced, and of those ``removed``, which
        this run does not make. None where there were none. No part of the report: that is the same after any run.

    Examples
    --------
    >>> from pathlib import Path
    >>> from warpline.registration import Stored
    >>> Stored({"report": Path("report.json")}, {"outputs": {}}).report["outputs"]
    {}
    """

    paths: dict[str, Path]
    report: dict[str, Any]
    replaced: dict[str, list[str]] | None = None


def names_after(prefix: Prefix) -> dict[str, Path]:
    """The path of every file of a run.

    Parameters
    ----------
    prefix : str or path
        Start of their names, folder included.

    Examples
    --------
    >>> from warpline.registration import names_after
    >>> str(names_after("out/sub-01_")["warp"])
    'out/sub-01_1Warp.nii.gz'
    """
    return {kind: Path(f"{os.fspath(prefix)}{ending}") for kind, ending in ENDINGS.items()}


def check_names(names: Names, sources: Iterable[Any]) -> None:
    """Refuse names that would replace an input.

    Parameters
    ----------
    names : dict
        What each file is, to its path.
    sources : iterable
        Inputs; those that are no paths are passed over.

    Raises
    ------
    UsageError
        Naming the input.

    Examples
    --------
    >>> from warpline.registration import check_names, names_after
    >>> check_names(names_after("out/sub-01_"), ["fixed.nii.gz", "moving.nii.gz"])
    >>> check_names(names_after("a_"), ["a_Warped.nii.gz"])
    Traceback (most recent call last):
    warpline.errors.UsageError: the results would overwrite the input a_Warped.nii.gz; choose another prefix or folder
    """
    outputs = {path.resolve() for path in names.values()}
    for source in sources:
        if isinstance(source, (str, os.PathLike)) and Path(source).resolve() in outputs:
            raise UsageError(f"the results would overwrite the input {source}; choose another prefix or folder")


def encode_report(report: Mapping[str, Any]) -> bytes:
    """The content of ``report.json``."""
    return json.dumps(report, indent=2, allow_nan=False).encode() + b"\n"


def store(
    alignment: Alignment,
    images: Mapping[str, Image],
    report: Mapping[str, Any],
    files: Transaction,
    names: Names,
    *,
    root: Path = Path(),
    extra: Encoders | None = None,
    encode: Callable[[Mapping[str, Any]], bytes] = encode_report,
) -> Stored:
    """Stage every file of a registration that has a name, its report last; the arguments are left as they are.

    A file that has a name, but that this registration does not have, is deleted: an earlier run left it.

    Parameters
    ----------
    alignment : Alignment
        Images and maps.
    images : dict
        ``"warped"`` and ``"inverse_warped"``, and ``"robust_weights"`` and ``"uncertainty"`` where there are some.
    report : dict
        As `warpline.registration.compute` makes it.
    files : Transaction
        Writes all of them or none.
    names : dict
        What each file is, to its path below `root`, as the report states it.
    root : Path
        Folder of all files.
    extra : dict, optional
        Further files.
    encode : callable
        Makes the bytes of the file of the report.

    Examples
    --------
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from warpline import Affine, Image
    >>> from warpline.io.atomic import Transaction
    >>> from warpline.registration import Alignment, store
    >>> image = Image.from_array(np.eye(4, dtype=np.float32))
    >>> result = Alignment(image, image, Affine.identity())
    >>> report = {"backend": {"threads": 1}, "seconds": {}}
    >>> names = {"affine": Path("0GenericAffine.mat"), "report": Path("report.json")}
    >>> with Transaction() as files:
    ...     stored = store(result, {"warped": image, "inverse_warped": image}, report, files, names)
    >>> stored.report["outputs"], stored.report["files"]["affine"]["bytes"]
    ({'affine': '0GenericAffine.mat'}, 193)
    """
    clock, paths = Clock(), {kind: root / path for kind, path in names.items()}
    pictures = _with_names(_pictures(alignment, images["warped"]), names)
    encoders = _with_names({**_encoders(alignment, images), **(extra or {})}, names)
    with ThreadPoolExecutor(report["backend"]["threads"]) as pool:
        layers = _layers(alignment, images, pool) if "page" in names else None
        stamps = _write_files(files, paths, pictures, encoders, clock=clock, pool=pool)
        if layers is not None:
            with clock.step("page"):
                wait([layers])
    made = {*stamps, *({"page"} & names.keys())}
    replaced = _older_files(names, root, made | {"report"})
    for kind in names.keys() - made - {"report"}:
        files.discard(paths[kind])
    finished = {
        **report,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "outputs": {kind: path.as_posix() for kind, path in names.items() if kind in made},
        "seconds": {**report["seconds"], **clock.seconds},
    }
    if layers is not None:
        with files.staged(paths["page"]) as temporary, clock.step("page"):
            write_page(finished, layers.result(), temporary, signs=signs_in_words(finished["judgement"]["signs"]))
            stamps["page"] = _stamp(temporary.read_bytes())
    finished["seconds"] = {**report["seconds"], **clock.seconds}
    if report.get("memory") is not None:
        finished["memory"] = {**report["memory"], "peak": peak_memory()}
    finished["files"] = {kind: stamps[kind] for kind in finished["outputs"]}
    files.write(paths["report"], encode(finished))
    written = {kind: path for kind, path in names.items() if kind in made or kind == "report"}
    return Stored(written, finished, replaced)


def _older_files(names: Names, root: Path, made: set[str]) -> dict[str, list[str]] | None:
    """The paths of an earlier run's files that are replaced, and of those that this run does not make."""
    older = [kind for kind, path in names.items() if (root / path).exists()]
    if not older:
        return None
    paths = {kind: names[kind].as_posix() for kind in older}
    return {
        "files": [path for kind, path in paths.items() if kind in made],
        "removed": [path for kind, path in paths.items() if kind not in made],
    }


def _write_files(
    files: Transaction,
    paths: Mapping[str, Path],
    pictures: Mapping[str, Callable[[BinaryIO], None]],
    encoders: Encoders,
    *,
    clock: Clock,
    pool: ThreadPoolExecutor,
) -> dict[str, dict[str, Any]]:
    """Write pictures and the other files, each made by a thread of the pool; returns their stamps."""
    stamps = {}
    drawn = {kind: pool.submit(_drawn, draw) for kind, draw in pictures.items()}
    encoded = {kind: pool.submit(encode) for kind, encode in encoders.items()}
    for step, made in (("pictures", drawn), ("write", encoded)):
        with clock.step(step):
            for kind in list(made):
                stamps[kind] = _write(files, paths[kind], made.pop(kind).result())  # not kept once it is written
    return stamps


def _drawn(draw: Callable[[BinaryIO], None]) -> bytes:
    picture = io.BytesIO()
    draw(picture)
    return picture.getvalue()


def _layers(alignment: Alignment, images: Mapping[str, Image], pool: ThreadPoolExecutor) -> Future[Layers]:
    uncertainty = images.get("uncertainty")
    shown = alignment.fixed, alignment.moving, images["warped"], alignment.warp
    return pool.submit(draw_layers, *shown, uncertainty=uncertainty)


def _with_names(makers: Mapping[str, Maker], names: Names) -> dict[str, Maker]:
    """Those of the files that have a name."""
    return {kind: make for kind, make in makers.items() if kind in names}


def _write(files: Transaction, path: Path, content: bytes) -> dict[str, Any]:
    files.write(path, content)
    return _stamp(content)


def _stamp(content: bytes) -> dict[str, Any]:
    """Size and checksum, by which a file is recognised as complete."""
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _encoders(alignment: Alignment, images: Mapping[str, Image]) -> dict[str, Callable[[], bytes]]:
    """Transforms and images."""
    affine, field = alignment.affine, alignment.warp
    flat = alignment.transform.flat
    linear, dense = (itk_affine.FLAT, itk_warp.FLAT) if flat else (itk_affine.FORMAT, itk_warp.FORMAT)
    encoders: dict[str, Callable[[], bytes]] = {"affine": partial(_encode_transform, linear, affine)}
    if field is not None:
        encoders["warp"] = lambda: compress(_encode_transform(dense, field))
        if field.inverse_field is not None:
            encoders["inverse_warp"] = lambda: compress(_encode_transform(dense, field.inverse()))
    velocity = alignment.velocity
    if velocity is not None:
        encoders["velocity"] = lambda: compress(_encode_transform(dense, velocity))
    return {**encoders, **{kind: partial(_encode_image, image) for kind, image in images.items()}}


def _encode_transform(chosen: Format, transform: Transform) -> bytes:
    assert chosen.encode is not None
    return chosen.encode(transform)


def _encode_image(image: Image) -> bytes:
    return compress(encode_image(image))


def _pictures(alignment: Alignment, warped: Image) -> dict[str, Callable[[BinaryIO], None]]:
    """What each picture shows, to the function that draws it."""
    pictures: dict[str, Callable[[BinaryIO], None]] = {
        "overlay": partial(write_overlay, alignment.fixed, alignment.moving, warped)
    }
    if alignment.warp is not None:
        pictures["deformation"] = partial(write_deformation, alignment.fixed, alignment.warp)
    return pictures
