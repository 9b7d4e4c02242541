"""Whether the header of an image is right, from what it and a reference show."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Backend, select
from warpline.images import Image
from warpline.images.checks import check_contrast, check_finite, check_one_volume
from warpline.images.intensity import normalise
from warpline.io.header_notes import once
from warpline.io.images import Source, as_image
from warpline.io.unknown import fill_unknown
from warpline.registration.checks import check_same_dimension
from warpline.registration.header_check.choice import Choice, choose
from warpline.registration.header_check.finding import Finding, HeaderCheck, Kind
from warpline.registration.header_check.masks import check_mask
from warpline.registration.header_check.mend import distance_by, factors_of, mended_grid
from warpline.registration.header_check.orientations import describe, is_mirrored
from warpline.registration.header_check.search import hypotheses
from warpline.registration.header_check.spacings import UNITS, candidates, extent, is_lost
from warpline.registration.inputs import in_one_plane
from warpline.registration.judgement import ObjectComparison
from warpline.space.grid import Grid


def check_headers(
    reference: Source,
    image: Source,
    mask: Source | None = None,
    *,
    geometry: str | None = None,
    backend: str | Backend | None = "auto",
    threads: int | None = None,
) -> HeaderCheck:
    """Test from what two images show whether the header of one is right, where that of the other is.

    The images are registered under the header as it is, in every other orientation of the voxel axes and, where the
    objects are of unlike size, with other voxel sizes. A reading of the header that agrees clearly better is proposed.

    Parameters
    ----------
    reference : path, nibabel image, Image, array or (array, affine)
        One volume whose header is taken for right.
    image : like `reference`
        The volume whose header is tested; it shows the same kind of object, in any contrast.
    mask : like `reference`, optional
        A mask of `image`, which must lie on its grid and on its object.
    geometry : {"sform", "qform"}, optional
        Which matrix of NIfTI headers to take where both are set; the sform when None.
    backend : str or Backend
        As of `warpline.registration.register`.
    threads : int, optional
        CPU threads.

    Returns
    -------
    HeaderCheck
        Findings, what cannot be told, and the grid that is proposed.

    Raises
    ------
    UsageError
        When an option is not allowed.
    InputError
        When an image cannot be read, is not one volume, not finite or constant.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline.registration import check_headers
    >>> x, y = np.indices((48, 48)) - 23.5
    >>> texture = np.random.default_rng(0).normal(5, 1, (12, 12)).repeat(4, axis=0).repeat(4, axis=1)
    >>> disc = np.where(x**2 + 2 * y**2 < 400, texture, 0)
    >>> check_headers(disc, disc).outcome
    'consistent'
    >>> [finding.kind for finding in check_headers(disc, disc[::-1]).findings]
    ['handedness']
    """
    given = {"reference": reference, "image": image, **({} if mask is None else {"mask": mask})}
    read = {name: as_image(source, name, geometry) for name, source in given.items()}
    check_same_dimension(read["reference"], read["image"])
    others = {} if mask is None else {"mask": read["mask"]}
    placed = in_one_plane({"fixed": read["reference"], "moving": read["image"], **others})
    (first, note), (second, other) = (fill_unknown(placed[name], None) for name in ("fixed", "moving"))
    for one in (first, second):
        check_one_volume(one)
        check_finite(one)
        check_contrast(one)
    for one in (placed[name] for name in others):
        check_one_volume(one)
        check_finite(one)
    chosen = select(None if backend == "auto" else backend, threads)
    notes = (*once(*(one.grid for one in read.values())), *filter(None, (note, other)))
    chosen.prepare(["linear"])
    with chosen.session():
        return _checked(first, second, None if mask is None else placed["mask"], notes, chosen)


def _checked(
    reference: Image, image: Image, mask: Image | None, notes: tuple[str, ...], backend: Backend
) -> HeaderCheck:
    pair = normalise(reference, backend), normalise(image, backend)
    comparison = ObjectComparison(*pair, backend)
    in_plane = reference.grid.flat and image.grid.flat
    found = hypotheses(pair, candidates(reference, image), comparison, in_plane=in_plane, backend=backend)
    choice = choose(found, comparison)
    radius = float(np.linalg.norm(extent(reference) * reference.grid.voxel_size))
    grid, distance = mended_grid(choice.best, image.grid, comparison.centre, radius)
    findings, undecided = _findings(choice, image, grid, distance) if choice.is_sure else [], _undecided(choice, image)
    proposed = grid if findings else None
    if mask is not None:
        on_mask, unsure = check_mask(mask, image, pair[1], backend)
        findings, undecided = findings + on_mask, undecided + unsure
    measures = {**choice.measures(), "radius_mm": radius}
    measures["distance_mm"] = distance_by(image.grid, choice.best, image.grid, comparison.centre)
    return HeaderCheck(tuple(findings), tuple(undecided), proposed, measures, notes, agrees=choice.is_sure)


def _findings(choice: Choice, image: Image, grid: Grid, distance: float) -> list[Finding]:
    """Orientation, voxel sizes and origin, where they are doubtful."""
    own, best = choice.own.agreement, choice.best.agreement
    findings, orientation = [], choice.best.orientation
    if (orientation != np.eye(3)).any():
        kind: Kind = "handedness" if is_mirrored(orientation) else "orientation"
        mirrored = ": left and right are exchanged" if is_mirrored(orientation) else ""
        findings.append(
            Finding(
                kind,
                f"{describe(orientation, image.grid)}{mirrored} (local correlation {best.correlation:.2f}, not "
                f"{own.correlation:.2f} as the header has it)",
            )
        )
    factors = factors_of(choice.best, image.grid)
    if (factors != 1).any():
        findings.append(Finding("spacing", _spacing_sentence(image.grid, factors)))
    if distance:
        findings.append(
            Finding("origin", f"its header places the object {distance:.0f} mm from where the reference shows it")
        )
    return findings


def _spacing_sentence(grid: Grid, factors: NDArray[np.float64]) -> str:
    """What the voxel sizes are and seem to be, and by which mistake."""
    sizes, made = (" x ".join(f"{size:.3g}" for size in one) for one in (grid.voxel_size, grid.voxel_size * factors))
    unit = UNITS.get(float(factors[0])) if np.ptp(factors) == 0 else None
    reason = f": {unit}" if unit else ", as measured on the object"
    lost = ": its header may hold no sizes of its own" if is_lost(grid) and np.ptp(factors) > 0 else ""
    return f"its voxels are {sizes} mm by the header and {made} mm by the reference{reason}{lost}"


def _undecided(choice: Choice, image: Image) -> list[str]:
    """What the images do not tell: the orientation whose agreement is nearest to that of the one taken."""
    best = choice.best
    if not choice.is_sure:
        return ["the images agree under no orientation better than by chance: nothing about it can be told from them"]
    if not choice.rivals:
        return []
    rival = max(choice.rivals, key=lambda one: one.agreement.correlation)
    found, other = best.agreement.correlation, rival.agreement.correlation
    what = "handedness" if is_mirrored(best.orientation) != is_mirrored(rival.orientation) else "the orientation"
    return [
        f"{what} cannot be told from these images: they agree about as well where "
        f"{describe(rival.orientation, image.grid)} (local correlation {other:.3f}, and {found:.3f})"
    ]
