"""Transform files: one module per format, which describes it in its ``FORMAT``, and one table of them all."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from warpline.errors import InputError, UsageError
from warpline.io.atomic import write_atomic
from warpline.io.compression import compress
from warpline.io.transform_files import (
    afni_affine,
    afni_warp,
    dipy_mapping,
    freesurfer_lta,
    freesurfer_m3z,
    fsl_coefficients,
    fsl_flirt,
    fsl_fnirt,
    itk_affine,
    itk_composite,
    itk_image_warp,
    itk_text,
    itk_warp,
    matrix,
    spm_deformation,
    x5,
)
from warpline.io.transform_files.format import Format, Grids, Head, MissingGridError
from warpline.space import Affine, Chain, Displacement, Part, Transform, displacement_on
from warpline.space.grid import Grid

__all__ = ["FORMATS", "Format", "TransformFile", "identify", "read_transform", "write_transform"]

FORMATS = {
    "itk-affine": itk_affine.FORMAT,
    "itk-text": itk_text.FORMAT,
    "itk-composite": itk_composite.FORMAT,
    "itk-warp": itk_warp.FORMAT,
    "itk-affine-2d": itk_affine.FLAT,
    "itk-text-2d": itk_text.FLAT,
    "itk-composite-2d": itk_composite.FLAT,
    "itk-warp-2d": itk_warp.FLAT,
    "nrrd-warp": itk_image_warp.NRRD,
    "metaimage-warp": itk_image_warp.META,
    "dipy-mapping": dipy_mapping.FORMAT,
    "matrix": matrix.FORMAT,
    "fsl-flirt": fsl_flirt.FORMAT,
    "fsl-fnirt": fsl_fnirt.FORMAT,
    "fsl-fnirt-relative": fsl_fnirt.RELATIVE,
    "fsl-fnirt-absolute": fsl_fnirt.ABSOLUTE,
    "fsl-coefficients": fsl_coefficients.FORMAT,
    "freesurfer-lta": freesurfer_lta.FORMAT,
    "freesurfer-m3z": freesurfer_m3z.FORMAT,
    "afni-affine": afni_affine.FORMAT,
    "afni-warp": afni_warp.FORMAT,
    "spm-deformation": spm_deformation.FORMAT,
    "x5": x5.FORMAT,
}
"""Name to format; where several hold a transform, the first is the default for writing, of those in 2-D for one of 2-D
images."""


@dataclass(frozen=True, repr=False)
class TransformFile:
    """What a transform file is and holds.

    Parameters
    ----------
    path : Path
        The file.
    format : str
        A key of `FORMATS`.
    about, stores, unit : str
        What the format is, what the numbers in the file map and whereto, and their unit and axes.
    transform : Affine, Displacement or Chain, optional
        Fixed world points to moving world points, RAS+ mm; None when it takes the images' grids to read it.
    needs : str
        What is missing then.

    Examples
    --------
    >>> import warpline
    >>> warpline.write_transform(warpline.Affine.identity(), "affine.tfm")
    >>> warpline.identify("affine.tfm").kind
    'affine'
    """

    path: Path
    format: str
    about: str
    stores: str
    unit: str
    transform: Transform | None
    needs: str = ""

    def __repr__(self) -> str:
        read = self.needs if self.transform is None else repr(self.transform)
        return f"{self.path}: {self.about}\nstores {self.stores}; {self.unit}\n{read}"

    @property
    def kind(self) -> str:
        """``affine``, ``displacement`` or ``chain``."""
        return "not known without its images" if self.transform is None else type(self.transform).__name__.lower()

    @property
    def parts(self) -> tuple[Part, ...]:
        """Its parts in the order in which points go through them."""
        return () if self.transform is None else Chain.of(self.transform).parts

    @property
    def grids(self) -> tuple[Grid, ...]:
        """Grids of its displacement fields."""
        return tuple(part.grid for part in self.parts if isinstance(part, Displacement))


def read_transform(
    path: str | os.PathLike[str],
    format: str | None = None,
    *,
    fixed: Grid | None = None,
    moving: Grid | None = None,
) -> Transform:
    """Read a transform; nothing in the file is executed.

    Parameters
    ----------
    path : path
        The file.
    format : str, optional
        A key of `FORMATS`; found by content when None, and asked for where the content fits several.
    fixed, moving : Grid, optional
        Of the images that the transform joins; needed by the formats of FSL and AFNI, which count from them.

    Returns
    -------
    Affine, Displacement or Chain
        Fixed world points to moving world points, RAS+ mm.

    Raises
    ------
    InputError
        When the file is missing or damaged, its format is not known or not clear, or a grid is missing.
    UsageError
        When there is no format of that name.

    Examples
    --------
    >>> import warpline
    >>> warpline.write_transform(warpline.Affine.identity(), "affine.mat")
    >>> warpline.read_transform("affine.mat").matrix.diagonal()
    array([1., 1., 1., 1.])
    """
    path = Path(path)
    known = FORMATS[_identify(path) if format is None else _known_format(format)]
    with np.errstate(all="ignore"):  # huge numbers overflow; the result is checked
        transform = known.read(path, Grids(fixed, moving)) if known.needs_grids else known.read(path)
    return transform.parts[0] if isinstance(transform, Chain) and len(transform.parts) == 1 else transform


def identify(
    path: str | os.PathLike[str],
    format: str | None = None,
    *,
    fixed: Grid | None = None,
    moving: Grid | None = None,
) -> TransformFile:
    """Say what a transform file is and holds; parameters and errors as for `read_transform`.

    A grid that is missing is no error: the transform is then None.

    Parameters
    ----------
    path, format, fixed, moving
        As for `read_transform`.

    Returns
    -------
    TransformFile
        Format, unit, kind, and the transform where it could be read.

    Examples
    --------
    >>> import warpline
    >>> warpline.write_transform(warpline.Affine.identity(), "affine.mat")
    >>> found = warpline.identify("affine.mat")
    >>> found.format, found.kind, found.unit
    ('itk-affine', 'affine', 'mm, LPS')
    """
    path = Path(path)
    name = _identify(path) if format is None else _known_format(format)
    known = FORMATS[name]
    try:
        transform, needs = read_transform(path, name, fixed=fixed, moving=moving), ""
    except MissingGridError as error:
        transform, needs = None, str(error)
    return TransformFile(path, name, known.about, known.stores, known.unit, transform, needs)


def write_transform(
    transform: Transform,
    path: str | os.PathLike[str],
    format: str | None = None,
    *,
    fixed: Grid | None = None,
    moving: Grid | None = None,
) -> None:
    """Write a transform, complete or not at all.

    Parameters
    ----------
    transform, path, format, fixed, moving
        As for `warpline.write_transform`, which says what is raised too. That function computes the inverse of a field
        for a format that stores it; here it must be known.

    Examples
    --------
    >>> import warpline
    >>> from warpline.io.transform_files import write_transform
    >>> write_transform(warpline.Affine.identity(), "affine.mat", "itk-affine")
    """
    path = Path(path)
    transform = _as_flat(transform, fixed, moving)
    known = format_to_write(transform, path, format)
    stored = _CONVERT[known.holds](transform, path, fixed)
    if not known.allows_nan:
        _check_no_nan(stored, path)
    assert known.encode is not None
    content = known.encode(stored, Grids(fixed, moving)) if known.needs_grids else known.encode(stored)
    write_atomic(path, compress(content) if path.suffix == ".gz" else content)


def _as_flat(transform: Transform, fixed: Grid | None, moving: Grid | None) -> Transform:
    """As a transform of 2-D images, when those that are given are such images and it can be one."""
    given = [grid for grid in (fixed, moving) if grid is not None]
    if not given or not all(grid.flat for grid in given):
        return transform
    try:
        flat = Chain.of(transform).flattened()
    except UsageError:
        return transform
    return flat if isinstance(transform, Chain) else flat.parts[0]


def _identify(path: Path) -> str:
    """The one format that the content of a file fits."""
    head = Head.of(path)
    names = [name for name, known in FORMATS.items() if known.matches(head)]
    if not names:
        raise InputError(f"{path} is no transform file of a known format; {', '.join(FORMATS)} can be read")
    if len(names) > 1:
        choices = "; ".join(f"{name}: {FORMATS[name].about}" for name in names)
        raise InputError(
            f"{path} does not say what it is; name its format (format=, --from, or -t FORMAT:FILE), one of {choices}"
        )
    return names[0]


def _known_format(name: str) -> str:
    if name not in FORMATS:
        raise UsageError(f"transform format {name!r} is unknown; choose from {', '.join(FORMATS)}")
    return name


def format_to_write(transform: Transform, path: Path, name: str | None) -> Format:
    """The format of a name, or the one that a file's name stands for.

    Raises
    ------
    UsageError
        When it stores no such transform, or not under this name.
    """
    linear = isinstance(Chain.of(transform).simplified(), Affine)
    able = {key: one for key, one in FORMATS.items() if one.encode and (linear or one.holds is not Affine)}
    if name is not None and _known_format(name) not in able:
        reason = "is only read" if FORMATS[name].encode is None else f"holds no {type(transform).__name__}"
        raise UsageError(f"{path}: {name} {reason}; choose from {', '.join(able)}")
    flat = Chain.of(transform).flat
    for key, known in sorted(able.items(), key=lambda item: item[1].flat != flat):
        if name in (None, key) and path.name.endswith(known.suffixes):
            return known
    allowed = ", ".join(f"{key} ({' '.join(one.suffixes)})" for key, one in able.items() if name in (None, key))
    raise UsageError(f"{path}: no format stores {type(transform).__name__} under this name; there are {allowed}")


def _check_no_nan(transform: Transform, path: Path) -> None:
    for part in Chain.of(transform).parts:
        if isinstance(part, Displacement) and not np.isfinite(part.field).all():
            count = int((~np.isfinite(part.field)).any(axis=0).sum())
            raise InputError(
                f"{path}: the field is not known (NaN) at {count} of {part.field[0].size} voxels, which this format "
                "cannot say; crop the field, put it on a smaller grid (fixed=, --fixed), or keep it as spm-deformation"
            )


def _as_displacement(transform: Transform, path: Path, fixed: Grid | None) -> Displacement:
    parts = Chain.of(transform).parts
    first = parts[0] if parts else None
    grid = first.grid if fixed is None and isinstance(first, Displacement) else fixed
    if grid is None:
        raise UsageError(
            f"{path}: {type(transform).__name__} does not say on which grid its field shall lie; "
            "give that of the fixed image: fixed=read_image(...).grid, or --fixed"
        )
    if len(parts) == 1 and isinstance(first, Displacement) and first.grid == grid:
        return first
    return Displacement(displacement_on(transform, grid), grid)


_CONVERT: dict[type, Callable[[Transform, Path, Grid | None], Transform]] = {
    Affine: lambda transform, path, fixed: Chain.of(transform).simplified(),
    Displacement: _as_displacement,
    Chain: lambda transform, path, fixed: Chain.of(*(Chain.of(transform).parts or (Affine.identity(),))),
}
"""Type that a format holds, to the function that converts a transform to it."""
