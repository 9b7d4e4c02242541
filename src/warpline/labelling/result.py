"""Labels of an image, and their files: all of them or none."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from warpline.images import Image
from warpline.io.atomic import Transaction, claimed
from warpline.io.compression import compress
from warpline.io.images import encode_image
from warpline.io.json_values import plain
from warpline.registration import check_names
from warpline.report.label_picture import write_labels

ENDINGS = {
    "labels": "labels.nii.gz",
    "confidence": "confidence.nii.gz",
    "volumes": "volumes.tsv",
    "picture": "labels.png",
    "report": "report.json",
}
"""What each file is, to how its name ends."""


def names_after(prefix: str | Path) -> dict[str, Path]:
    """The path of every file of a labelling.

    Parameters
    ----------
    prefix : str or path
        Start of their names, folder included.
    """
    return {kind: Path(f"{prefix}{ending}") for kind, ending in ENDINGS.items()}


def files_in(inputs: Mapping[str, Any]) -> list[str]:
    """The paths in the inputs of a report, wherever they stand in it."""
    return list(_paths(inputs))


@dataclass(frozen=True)
class Volume:
    """One label of a result.

    Parameters
    ----------
    label : int
        Its number.
    name : str, optional
        What it is called, where a table says so.
    voxels : int
        How many have it.
    volume : float
        The same in mm³; in mm² for 2-D images.
    confidence : float, optional
        Mean over its voxels, 0 to 1; None with a single atlas.
    """

    label: int
    name: str | None
    voxels: int
    volume: float
    confidence: float | None


@dataclass(frozen=True, eq=False)
class Labelling:
    """Labels of an image, fused from those of atlases.

    Parameters
    ----------
    image : Image
        What was labelled.
    labels : Image
        On its grid, with the type of the atlases' labels.
    confidence : Image, optional
        Share of the weight that voted for the label of a voxel, 0 to 1, float32; None with a single atlas.
    report : dict
        Versions, backend, inputs, options, how each atlas was registered, labels of some atlases only, seconds,
        warnings. From `save`, and in ``report.json``, also `outputs` and `files`. Plain JSON values.
    names : dict
        Names of labels, as far as they are known.

    Examples
    --------
    >>> import numpy as np
    >>> import warpline
    >>> x, y = np.indices((32, 32)) - 15.5
    >>> shape = np.exp(-(x**2 + 2 * y**2) / 80) * (2 + np.sin(x) + np.cos(1.3 * y + x / 3))
    >>> atlas = shape.astype(np.float32), (shape > 1).astype(np.uint8)
    >>> found = warpline.label(np.roll(atlas[0], 1, axis=0), [atlas], recipe="rigid")
    >>> found.labels.data.dtype, [one.label for one in found.volumes]
    (dtype('uint8'), [1])
    """

    image: Image
    labels: Image
    confidence: Image | None
    report: dict[str, Any]
    names: Mapping[int, str]

    @cached_property
    def volumes(self) -> tuple[Volume, ...]:
        """Every label but 0, in ascending order."""
        found, place, count = np.unique(self.labels.data, return_inverse=True, return_counts=True)
        sums = None if self.confidence is None else np.bincount(place.ravel(), self.confidence.data.ravel())
        size = self.labels.grid.voxel_volume
        return tuple(
            Volume(
                int(value), self.names.get(int(value)), int(count[at]), float(count[at] * size),
                None if sums is None else float(sums[at] / count[at]),
            )
            for at, value in enumerate(found) if value != 0
        )  # fmt: skip

    def table(self) -> str:
        """`volumes` as tab-separated text."""
        size = "mm2" if self.labels.grid.flat else "mm3"
        lines = ["\t".join(("label", "name", "voxels", size, "confidence"))]
        for one in self.volumes:
            confidence = "n/a" if one.confidence is None else f"{one.confidence:.4f}"
            cells = str(one.label), one.name or "n/a", str(one.voxels), f"{one.volume:.6g}", confidence
            lines.append("\t".join(cells))
        return "\n".join(lines) + "\n"

    def save(self, prefix: str | Path) -> dict[str, Path]:
        """Write labels, confidence, volumes, a picture and the report; all files or none.

        Parameters
        ----------
        prefix : str
            Start of every name, folder included; missing folders are made.

        Returns
        -------
        dict
            What each file is, to its path.

        Raises
        ------
        OutputError
            When a file cannot be written.
        UsageError
            When an output would replace an input.
        """
        names = names_after(prefix)
        check_names(names, files_in(self.report["inputs"]))
        with claimed(list(names.values())) as files:
            store(self, files, names)
        return {kind: path for kind, path in names.items() if path.exists()}


def store(found: Labelling, files: Transaction, names: Mapping[str, Path]) -> Labelling:
    """Stage every file of a labelling, its report last; returns it with the finished report.

    Parameters
    ----------
    found : Labelling
        To write.
    files : Transaction
        Writes all of them or none.
    names : dict
        See `names_after`.
    """
    stamps = {}
    for kind, encode in _encoders(found).items():
        content = encode()
        files.write(names[kind], content)
        stamps[kind] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    for kind in names.keys() - stamps.keys() - {"report"}:
        files.discard(names[kind])
    report = plain(
        {
            **found.report,
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "outputs": {kind: str(names[kind]) for kind in names if kind in stamps},
            "files": stamps,
        }
    )
    files.write(names["report"], json.dumps(report, indent=2, allow_nan=False).encode() + b"\n")
    return replace(found, report=report)


def _encoders(found: Labelling) -> dict[str, Callable[[], bytes]]:
    """What each file is, to the function that makes its bytes."""
    encoders: dict[str, Callable[[], bytes]] = {
        "labels": lambda: compress(encode_image(found.labels)),
        "volumes": lambda: found.table().encode(),
        "picture": lambda: _picture(found),
    }
    confidence = found.confidence
    if confidence is not None:
        encoders["confidence"] = lambda: compress(encode_image(confidence))
    return encoders


def _picture(found: Labelling) -> bytes:
    picture = io.BytesIO()
    write_labels(found.image, found.labels, found.confidence, picture)
    return picture.getvalue()


def _paths(inputs: Any) -> Iterator[str]:
    if isinstance(inputs, Mapping):
        for key, value in inputs.items():
            if key == "path" and value is not None:
                yield value
            yield from _paths(value)
    elif isinstance(inputs, list):
        for one in inputs:
            yield from _paths(one)
