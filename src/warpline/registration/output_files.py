"""The files of a registration: what they are called, and writing them all or none."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from warpline.errors import UsageError
from warpline.io.atomic import Transaction
from warpline.io.compression import compress
from warpline.io.images import encode_image
from warpline.io.transform_files import Format, itk_affine, itk_warp
from warpline.registration.clock import Clock
from warpline.report.page import write_page
from warpline.report.pair_layers import Layers, draw_layers
from warpline.report.pictures import write_deformation, write_overlay
from warpline.space import Transform

if TYPE_CHECKING:
    from warpline.registration.result import Registration

AFFINE = "0GenericAffine.mat"
WARP = "1Warp.nii.gz"
INVERSE_WARP = "1InverseWarp.nii.gz"
WARPED = "Warped.nii.gz"
INVERSE_WARPED = "InverseWarped.nii.gz"
OVERLAY = "Overlay.png"
DEFORMATION = "Grid.png"
PAGE = "report.html"
REPORT = "report.json"

ENDINGS = {
    "affine": AFFINE,
    "warp": WARP,
    "inverse_warp": INVERSE_WARP,
    "warped": WARPED,
    "inverse_warped": INVERSE_WARPED,
    "overlay": OVERLAY,
    "deformation": DEFORMATION,
    "page": PAGE,
    "report": REPORT,
}
"""What each file is, to how its name ends."""

Prefix = str | os.PathLike[str]
"""What the names of all outputs begin with, folder included."""

Names = Mapping[str, Path]
"""What each file is, to its path; kinds that are left out are not written, ``"report"`` always is."""

Extra = Mapping[str, Callable[[], bytes]]
"""Further files: what each is, to what makes its content."""


def names_after(prefix: Prefix) -> dict[str, Path]:
    """The path of every file of a run."""
    return {kind: Path(f"{os.fspath(prefix)}{ending}") for kind, ending in ENDINGS.items()}


def check_names(names: Names, sources: Iterable[Any]) -> None:
    """Refuse names that would replace an input.

    Raises
    ------
    UsageError
        Naming the input.
    """
    outputs = {path.resolve() for path in names.values()}
    for source in sources:
        if isinstance(source, (str, os.PathLike)) and Path(source).resolve() in outputs:
            raise UsageError(f"the results would overwrite the input {source}; choose another prefix or folder")


def encode_report(report: Mapping[str, Any]) -> bytes:
    """The content of ``report.json``."""
    return json.dumps(report, indent=2, allow_nan=False).encode() + b"\n"


def store(
    registration: Registration,
    files: Transaction,
    names: Names,
    *,
    root: Path = Path(),
    extra: Extra | None = None,
    encode: Callable[[Mapping[str, Any]], bytes] = encode_report,
) -> dict[str, Path]:
    """Stage every file that has a name, the report last; returns the paths under `root`, as the report states them.

    `encode` makes the content of the file of the report.

    A file that has a name, but that this registration does not have, is taken away: an earlier run left it.
    """
    report, clock, pictures, stamps = registration.report, Clock(), {}, {}
    results = {kind: make for kind, make in {**_results(registration), **(extra or {})}.items() if kind in names}
    with ThreadPoolExecutor(report["backend"]["threads"]) as pool:
        encoded = {kind: pool.submit(make) for kind, make in results.items()}
        with clock.step("pictures"):
            for kind, draw in _pictures(registration):
                if kind in names:
                    pictures[kind] = io.BytesIO()
                    draw(pictures[kind])
                    stamps[kind] = _write(files, root / names[kind], pictures[kind].getvalue())
        with clock.step("write"):
            for kind, content in encoded.items():
                stamps[kind] = _write(files, root / names[kind], content.result())
    made = {**pictures, **encoded, **{kind: None for kind in ("page",) if kind in names}}
    for kind in names.keys() - made.keys() - {"report"}:
        files.discard(root / names[kind])
    report["finished"] = datetime.now(UTC).isoformat(timespec="seconds")
    report["outputs"] = {kind: str(path) for kind, path in names.items() if kind in made}
    report["seconds"].update(clock.seconds)
    if "page" in names:
        with files.staged(root / names["page"]) as temporary, clock.step("page"):
            write_page(report, _layers(registration), temporary)
            stamps["page"] = _stamp(temporary.read_bytes())
    report["seconds"].update(clock.seconds)
    report["files"] = {kind: stamps[kind] for kind in report["outputs"]}
    files.write(root / names["report"], encode(report))
    return {kind: path for kind, path in names.items() if kind in made or kind == "report"}


def _write(files: Transaction, path: Path, content: bytes) -> dict[str, Any]:
    files.write(path, content)
    return _stamp(content)


def _stamp(content: bytes) -> dict[str, Any]:
    """What tells later whether a file is whole: see `warpline.cohort.outputs`."""
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _results(registration: Registration) -> dict[str, Callable[[], bytes]]:
    """What each file is, and what makes its content."""
    affine, field = registration.alignment.affine, registration.alignment.warp
    flat = registration.transform.flat
    linear, dense = (itk_affine.FLAT, itk_warp.FLAT) if flat else (itk_affine.FORMAT, itk_warp.FORMAT)
    made: dict[str, Callable[[], bytes]] = {"affine": partial(_encoded, linear, affine)}
    if field is not None:
        made["warp"] = lambda: compress(_encoded(dense, field))
        if field.inverse_field is not None:
            made["inverse_warp"] = lambda: compress(_encoded(dense, field.inverse()))
    made["warped"] = lambda: compress(encode_image(registration.warped))
    made["inverse_warped"] = lambda: compress(encode_image(registration.inverse_warped))
    return made


def _encoded(known: Format, transform: Transform) -> bytes:
    assert known.encode is not None
    return known.encode(transform)


def _pictures(registration: Registration) -> Iterator[tuple[str, Callable[[BinaryIO], None]]]:
    """What each picture shows, and what draws it."""
    fixed, moving, field = registration.alignment.fixed, registration.alignment.moving, registration.alignment.warp
    yield "overlay", partial(write_overlay, fixed, moving, registration.warped)
    if field is not None:
        yield "deformation", partial(write_deformation, fixed, field)


def _layers(registration: Registration) -> Layers:
    alignment = registration.alignment
    return draw_layers(alignment.fixed, alignment.moving, registration.warped, alignment.warp)
