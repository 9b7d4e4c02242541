"""Atlases on the grid of an image, and what they say about it together."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Backend, thread_count
from warpline.errors import InputError
from warpline.evaluation import overlap
from warpline.images import Image
from warpline.images.checks import check_finite, check_one_volume, check_whole_numbers
from warpline.io.json_values import plain
from warpline.labelling.atlases import LoadedAtlas
from warpline.labelling.candidates import Candidates
from warpline.labelling.fusion import chosen_fusion
from warpline.labelling.joint_fusion import JointOptions
from warpline.labelling.result import Labelling
from warpline.recipe import Recipe
from warpline.registration import ProgressCallback, register
from warpline.resampling.labels import warp_labels

LEFT_OUT = "failed"
"""Judgement of a registration whose atlas is left out."""
DOUBTFUL = "doubtful"
"""Judgement of one whose atlas is kept, with a warning: fusion gives little weight where it does not fit."""
_NAMED = 12
"""Most labels that a warning names; the report has all of them."""


@dataclass(frozen=True, eq=False)
class WarpedAtlas:
    """An atlas on the grid of an image.

    Parameters
    ----------
    name : str
        What reports call it.
    image, labels : Image
        On the grid of what is labelled.
    judgement : dict
        Of its registration: `outcome` and `reasons`, where it was registered here.
    seconds : float, optional
        What its registration took.
    warnings : tuple of str
        Of its registration.
    is_reused : bool
        Whether an earlier run registered it.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Image
    >>> from warpline.labelling import WarpedAtlas
    >>> image = Image.from_array(np.eye(4))
    >>> WarpedAtlas("one", image, image, {"outcome": "failed"}).is_used
    False
    """

    name: str
    image: Image
    labels: Image
    judgement: Mapping[str, Any] = field(default_factory=dict)
    seconds: float | None = None
    warnings: tuple[str, ...] = ()
    is_reused: bool = False

    @property
    def is_used(self) -> bool:
        """Whether its labels are fused: not where its registration failed."""
        return self.judgement.get("outcome") != LEFT_OUT


@dataclass(frozen=True, eq=False)
class Warping:
    """How atlases come to the grid of an image.

    Parameters
    ----------
    image : Image
        Where they are carried to.
    about : dict
        What a report says of it: path, shape, checksum.
    recipe, backend, threads, progress
        As for `warpline.register`.
    """

    image: Image
    about: Mapping[str, Any]
    recipe: Recipe
    backend: Backend
    threads: int | None = None
    progress: ProgressCallback | None = None

    def warp(self, atlas: LoadedAtlas) -> WarpedAtlas:
        """Register an atlas to the image, and carry its image and labels over.

        Raises
        ------
        InputError
            When the images cannot be registered.
        """
        start, backend, threads = time.perf_counter(), self.backend, self.threads
        found = register(self.image, atlas.image, self.recipe, backend=backend, threads=threads, progress=self.progress)
        labels = warp_labels(atlas.labels, found.transform, self.image.grid, backend=backend, threads=threads)
        seconds = round(time.perf_counter() - start, 3)
        report = found.report
        return WarpedAtlas(atlas.name, found.warped, labels, report["judgement"], seconds, tuple(report["warnings"]))


def fuse(
    image: Image,
    atlases: Sequence[WarpedAtlas],
    fusion: str,
    *,
    joint_options: JointOptions | None = None,
    backend: str = "auto",
    threads: int | None = None,
) -> Labelling:
    """One label a voxel from atlases that lie on the grid of an image.

    Parameters
    ----------
    image : Image
        What is labelled.
    atlases : sequence of WarpedAtlas
        Those whose registration failed are left out.
    fusion : str
        A name in `warpline.labelling.FUSIONS`.
    joint_options : JointOptions, optional
        Settings of `joint`.
    backend : str
        ``"numpy"`` keeps to NumPy; all others take compiled loops on the CPU.
    threads : int, optional
        CPU threads.

    Returns
    -------
    Labelling
        Its report has what concerns atlases and labels.

    Raises
    ------
    InputError
        When no atlas is left, one does not lie on the grid of the image, images are not finite, or labels are no whole
        numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Image
    >>> from warpline.labelling import WarpedAtlas, fuse
    >>> image = Image.from_array(np.arange(4.0).reshape(2, 2))
    >>> labels = [Image.from_array(np.array([[0, 0], [one, 3]], np.uint8)) for one in (3, 3, 0)]
    >>> fused = fuse(image, [WarpedAtlas(str(n), image, one) for n, one in enumerate(labels)], "majority")
    >>> fused.labels.data[..., 0]
    array([[0, 0],
           [3, 3]], dtype=uint8)
    """
    function = chosen_fusion(fusion, joint_options)
    used = [one for one in atlases if one.is_used]
    if not used:
        reasons = "; ".join(f"{one.name}: {', '.join(one.judgement.get('reasons', ()))}" for one in atlases)
        raise InputError(
            f"no atlas could be registered to {image.name} ({reasons}); check orientation and contrast of the images"
        )
    _check(image, used)
    values, codes = _numbered([one.labels.data for one in used])
    confidence = None
    if len(used) == 1:
        chosen = codes[0]
    else:
        stack = np.stack([np.asarray(one.image.data, dtype=np.float32) for one in used])
        given = Candidates(
            np.ascontiguousarray(image.data, dtype=np.float32), stack, codes, backend, thread_count(threads)
        )
        fused = function(given)
        chosen, confidence = fused.codes, Image(fused.confidence, image.grid.bare, "confidence")
    labels = Image(values[chosen], image.grid.bare, "labels")
    partial = _labels_of_some(used, values, codes)
    report = {
        "atlases": [_described(one, labels) for one in atlases],
        "labels": {
            "count": int(np.count_nonzero(values)),
            "found": int(np.count_nonzero(np.unique(labels.data))),
            "mean_confidence": None if confidence is None else _mean_confidence(confidence, labels),
            "of_some_atlases": partial,
        },
        "warnings": [*_warnings(atlases, used), *_label_warnings(partial, labels, values)],
    }
    return Labelling(image, labels, confidence, plain(report), {})


def _check(image: Image, atlases: Sequence[WarpedAtlas]) -> None:
    for one in (image, *(atlas.image for atlas in atlases)):
        check_one_volume(one)
        check_finite(one)
    for atlas in atlases:
        check_whole_numbers(atlas.labels)
        if atlas.image.grid != image.grid or atlas.labels.grid != image.grid:
            raise InputError(
                f"atlas {atlas.name} (image {atlas.image.grid.shape}, labels {atlas.labels.grid.shape}) does not lie "
                f"on the grid of {image.name} {image.grid.shape}: shape and affine must agree; register or resample it"
            )


def _numbered(labels: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], NDArray[np.int32]]:
    """All values in ascending order, and which of them each voxel has, (N, I, J, K)."""
    kinds = np.result_type(*labels)
    found = [np.unique(one).astype(kinds if kinds.kind in "iub" else np.int64) for one in labels]
    values = np.unique(np.concatenate(found))  # uint64 beside int64 would become float64
    codes = np.empty((len(labels), *labels[0].shape), np.int32)
    for one, code in zip(labels, codes, strict=True):
        code[...] = np.searchsorted(values, one.astype(values.dtype, copy=False))
    return values, codes


def _mean_confidence(confidence: Image, labels: Image) -> float:
    """Over the voxels that have a label."""
    inside = labels.data != 0
    return float(confidence.data[inside].mean()) if inside.any() else 0.0


def _labels_of_some(
    used: Sequence[WarpedAtlas], values: NDArray[Any], codes: NDArray[np.int32]
) -> dict[str, list[str]]:
    """The atlases of each label that not all have."""
    has = np.stack([np.bincount(one.ravel(), minlength=len(values)) > 0 for one in codes])
    return {
        str(int(value)): [used[n].name for n in np.flatnonzero(has[:, at])]
        for at, value in enumerate(values)
        if value != 0 and not has[:, at].all()
    }


def _described(one: WarpedAtlas, labels: Image) -> dict[str, Any]:
    """What the report says of an atlas; `overlap` is the mean Dice of its labels with the result."""
    shared = np.intersect1d(one.labels.data, labels.data)
    return {
        "name": one.name,
        "used": one.is_used,
        "reused": one.is_reused,
        "judgement": dict(one.judgement),
        "overlap": overlap(labels, one.labels).mean if shared.any() else 0.0,
        "seconds": one.seconds,
    }


def _warnings(atlases: Sequence[WarpedAtlas], used: Sequence[WarpedAtlas]) -> list[str]:
    lines = []
    for one in atlases:
        known = one.judgement.get("reasons", ())
        reasons = "; ".join(known)
        if not one.is_used:
            lines.append(f"atlas {one.name} is left out, its registration failed: {reasons}")
        elif one.judgement.get("outcome") == DOUBTFUL:
            lines.append(f"atlas {one.name} is kept although its registration is doubtful: {reasons}")
        lines += [f"atlas {one.name}: {text}" for text in one.warnings if text not in known]
    if len(used) == 1:
        lines.append(f"labels are those of {used[0].name} alone: one atlas gives no confidence, and nothing is fused")
    kinds = sorted({str(one.labels.data.dtype) for one in used})
    if len(kinds) > 1:
        lines.append(f"labels of atlases are stored as {', '.join(kinds)}; the result has a type that holds them all")
    return lines


def _label_warnings(partial: Mapping[str, Sequence[str]], labels: Image, values: NDArray[Any]) -> list[str]:
    lines = []
    if partial:
        first = "; ".join(f"{label} ({', '.join(names)})" for label, names in list(partial.items())[:_NAMED])
        rest = f"; and {len(partial) - _NAMED} more, see the report" if len(partial) > _NAMED else ""
        lines.append(f"labels that are not in every atlas on this image ({len(partial)}): {first}{rest}")
    lost = np.setdiff1d(values[values != 0], labels.data)
    if lost.size:
        first = ", ".join(str(int(one)) for one in lost[:_NAMED])
        rest = f"; and {lost.size - _NAMED} more" if lost.size > _NAMED else ""
        lines.append(f"labels of atlases that have no voxel in the result ({lost.size}): {first}{rest}")
    return lines
