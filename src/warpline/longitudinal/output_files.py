"""The files of time points in their middle: what they are called, and writing them all or none."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from warpline.errors import UsageError
from warpline.io.atomic import Transaction, claimed
from warpline.io.compression import compress
from warpline.io.images import encode_image
from warpline.io.json_values import plain
from warpline.io.transform_files import FORMATS
from warpline.registration import AFFINE, INVERSE_WARP, REPORT, WARP, WARPED, check_names
from warpline.registration.clock import Clock
from warpline.registration.output_files import OVERLAY, PAGE, VELOCITY

OF_POINT = {
    "affine": AFFINE,
    "warp": WARP,
    "inverse_warp": INVERSE_WARP,
    "velocity": VELOCITY,
    "warped": WARPED,
}
"""What each file of a time point is, to how its name ends."""
LOG_JACOBIAN, PER_YEAR, COMPOSITE = "LogJacobian.nii.gz", "LogJacobianPerYear.nii.gz", "Composite.h5"
GROWTH = "LabelGrowth.tsv"

Encoders = Mapping[str, Callable[[], bytes]]
"""What each file is, to the function that makes its bytes."""


@dataclass(frozen=True)
class Outputs:
    """The files of a run.

    Parameters
    ----------
    folder : Path
        Of all of them.
    paths : dict
        What each file is, to its path: the report last.
    stale : tuple of Path
        Files that only runs with other options have: those of an earlier run are deleted.
    """

    folder: Path
    paths: dict[str, Path]
    stale: tuple[Path, ...] = ()

    @classmethod
    def of(cls, folder: Path, names: Sequence[str], *, dated: bool, labelled: bool = False) -> Outputs:
        """The files of time points of such names; `dated` where change per year is known, `labelled` with labels."""
        files = {"middle": "Middle.nii.gz"}
        for name in names:
            files |= {f"{name}_{kind}": f"{name}_{ending}" for kind, ending in OF_POINT.items()}
        optional = {"label_growth": (GROWTH, labelled)}
        for first, second in pairwise(names):
            files |= {f"{a}_to_{b}": f"{a}_to_{b}_{COMPOSITE}" for a, b in ((first, second), (second, first))}
            files[f"{first}_to_{second}_log_jacobian"] = f"{first}_to_{second}_{LOG_JACOBIAN}"
            optional[f"{first}_to_{second}_per_year"] = (f"{first}_to_{second}_{PER_YEAR}", dated)
        files |= {kind: name for kind, (name, wanted) in optional.items() if wanted}
        files |= {"overlay": OVERLAY, "page": PAGE, "report": REPORT}
        stale = tuple(folder / name for name, wanted in optional.values() if not wanted)
        return cls(folder, {kind: folder / name for kind, name in files.items()}, stale)

    def claimed(self) -> AbstractContextManager[Transaction]:
        """A transaction that holds all of them, and what it replaces."""
        *others, report = self.paths.values()
        return claimed([*others, *self.stale, report])


def check_outputs(outputs: Outputs, sources: Iterable[Any]) -> None:
    """Refuse outputs that would replace an input, and a folder that is a file.

    Raises
    ------
    UsageError
        Naming it.
    """
    check_names({**outputs.paths, **{path.name: path for path in outputs.stale}}, sources)
    if outputs.folder.exists() and not outputs.folder.is_dir():
        raise UsageError(f"--output {outputs.folder} is a file; give a folder, which is made where it is missing")


def encode_transform(name: str, transform: Any) -> bytes:
    """The bytes of a transform in a format of `warpline.io.transform_files.FORMATS`, 2-D where it is of 2-D images."""
    encode = FORMATS[f"{name}-2d" if transform.flat else name].encode
    assert encode is not None
    content: bytes = encode(transform)
    return content


def encode_compressed(image: Any) -> bytes:
    """The bytes of an image, compressed."""
    return compress(encode_image(image))


def write_files(files: Transaction, outputs: Outputs, encoders: Encoders, report: Mapping[str, Any]) -> dict[str, Any]:
    """Stage every file, the report last; returns that as written.

    Parameters
    ----------
    files : Transaction
        Writes all of them or none.
    outputs : Outputs
        Their names.
    encoders : dict
        Makes the bytes of each but the report.
    report : dict
        Without `outputs` and `files`.
    """
    stamps, clock = {}, Clock(dict(report["seconds"]))
    with clock.step("write"):
        for kind, encode in encoders.items():
            content = encode()
            files.write(outputs.paths[kind], content)
            stamps[kind] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    for path in outputs.stale:
        files.discard(path)
    finished: dict[str, Any] = plain(
        {
            **report,
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": clock.seconds,
            "outputs": {kind: str(outputs.paths[kind]) for kind in stamps},
            "files": stamps,
        }
    )
    files.write(outputs.paths["report"], json.dumps(finished, indent=2, allow_nan=False).encode() + b"\n")
    return finished
