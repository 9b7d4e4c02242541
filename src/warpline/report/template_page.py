"""The page of a template: its rounds side by side, how it settled, its subjects by fit. One HTML file, no network."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from warpline.images import Image
from warpline.report.colour_ramps import bytes_of
from warpline.report.page import rendered, sparkline
from warpline.report.pair_layers import gray_levels
from warpline.report.slices import display_range, slice_series

HEIGHT = 220
"""Pixels of a cut through a template, at most."""


@dataclass(frozen=True)
class PageRound:
    """A round, as the page shows it.

    Parameters
    ----------
    number, kind : int, str
        Which, and what it registered with.
    voxel : float
        Voxel size of its template in mm.
    shape_mm, change, sharpness, residual : float or None
        What it did, see `warpline.template.RoundRecord`.
    picture : bytes
        Cuts through its template, a WebP from `cuts`.
    """

    number: int
    kind: str
    voxel: float
    shape_mm: float | None
    change: float | None
    sharpness: float
    residual: float | None
    picture: bytes


@dataclass(frozen=True)
class PageSubject:
    """A subject, as the page shows it.

    Parameters
    ----------
    id : str
        Its id.
    fit, weight : float
        Correlation with the others, and weight in the mean.
    picture : bytes
        The template beside the subject on its grid, a WebP; empty without one.
    """

    id: str
    fit: float
    weight: float
    picture: bytes = b""


def cuts(image: Image) -> bytes:
    """Cuts through the middle of a volume side by side, a grey WebP; of a slice the slice itself.

    Parameters
    ----------
    image : Image
        One volume.
    """
    from PIL import Image as Picture

    sections = [row[len(row) // 2] for row in slice_series(image, 3, HEIGHT)]
    shades = display_range(image)
    planes = [gray_levels((section,), image, shades)[0] for section in sections]
    tallest = max(plane.shape[0] for plane in planes)
    padded = [np.pad(plane, _margins(tallest - plane.shape[0])) for plane in planes]
    packed = io.BytesIO()
    Picture.fromarray(bytes_of(np.hstack(padded))).save(packed, format="WEBP", quality=80, method=4)
    return packed.getvalue()


def template_page(
    name: str,
    rounds: Sequence[PageRound],
    subjects: Sequence[PageSubject],
    *,
    final: bytes,
    left_out: Sequence[tuple[str, str]] = (),
    facts: Sequence[str] = (),
    warnings: Sequence[str] = (),
) -> bytes:
    """The page of a template.

    Parameters
    ----------
    name : str
        What it is called.
    rounds : sequence of PageRound
        In their order.
    subjects : sequence of PageSubject
        Those in the template, in any order.
    final : bytes
        Cuts through the template.
    left_out : sequence of (str, str)
        Ids and reasons.
    facts : sequence of str
        What stands under the title, in a few words each.
    warnings : sequence of str
        What there is to doubt.

    Returns
    -------
    bytes
        HTML in UTF-8; equal values give equal bytes.
    """
    curves = {name: sparkline([getattr(one, name) for one in rounds]) for name in ("shape_mm", "sharpness", "residual")}
    page = rendered(
        "template.html.j2",
        name=name,
        final=_address(final),
        rounds=[(one, _address(one.picture)) for one in rounds],
        subjects=[(one, _address(one.picture)) for one in sorted(subjects, key=lambda one: (one.fit, one.id))],
        curves=curves,
        left_out=left_out,
        facts=facts,
        warnings=warnings,
    )
    return page.encode()


def _margins(missing: int) -> tuple[tuple[int, int], tuple[int, int]]:
    return (missing // 2, missing - missing // 2), (0, 0)


def _address(picture: bytes) -> str:
    return f"data:image/webp;base64,{base64.b64encode(picture).decode('ascii')}" if picture else ""
