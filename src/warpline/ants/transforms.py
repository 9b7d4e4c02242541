"""ANTsPy's transform objects and the functions over them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warpline import operations
from warpline.ants.applying import INTERPOLATORS
from warpline.ants.images import to_nibabel
from warpline.errors import InputError, UsageError
from warpline.io import transform_files
from warpline.space import Affine, Chain, Transform

_LPS = np.array([-1.0, -1.0, 1.0])
_FLIP = np.diag([*_LPS, 1.0])
_TYPES = {"Affine": "AffineTransform", "Displacement": "DisplacementFieldTransform", "Chain": "CompositeTransform"}
_INTERPOLATORS = {name.lower(): how for name, how in INTERPOLATORS.items()}


class ANTsTransform:
    """A transform with ANTsPy's methods; points and vectors are in LPS+ mm, as ITK counts.

    Parameters
    ----------
    transform : Affine, Displacement or Chain
        Points of the fixed image to points of the moving one, RAS+ mm.
    dimension : {2, 3}
        Coordinates of a point.

    Attributes
    ----------
    type, transform_type : str
        ``"AffineTransform"``, ``"DisplacementFieldTransform"`` or ``"CompositeTransform"``.
    precision : str
        Always ``"double"``.
    """

    precision = "double"

    def __init__(self, transform: Transform, dimension: int = 3) -> None:
        if dimension not in (2, 3):
            raise UsageError(f"dimension is {dimension!r}; 2 and 3 are allowed")
        self.transform = transform
        self.dimension = dimension
        self.type = self.transform_type = _TYPES[type(transform).__name__]

    def __repr__(self) -> str:
        return f"ANTsTransform\n\t Type : {self.type}\n\t Dimension : {self.dimension}\n\t {self.transform!r}"

    @property
    def parameters(self) -> NDArray[np.float64]:
        """The matrix row by row and the translation, of an affine, for the centre at the origin.

        Raises
        ------
        UsageError
            When it is no affine.
        """
        matrix = _FLIP @ self._affine("parameters").matrix @ _FLIP
        size = self.dimension
        values: NDArray[np.float64] = np.concatenate([matrix[:size, :size].ravel(), matrix[:size, 3]])
        return values + 0.0

    @property
    def fixed_parameters(self) -> NDArray[np.float64]:
        """The centre of an affine: the origin, whatever it was in the file."""
        self._affine("fixed_parameters")
        return np.zeros(self.dimension)

    def invert(self) -> ANTsTransform:
        """Return the inverse."""
        return ANTsTransform(operations.invert(self.transform), self.dimension)

    def apply(self, data: Any, data_type: str = "point", reference: Any = None, **kwargs: Any) -> Any:
        """Apply the transform to a ``"point"``, a ``"vector"`` or an ``"image"``; see `apply_ants_transform`."""
        if data_type == "image":
            return self.apply_to_image(data, reference, **kwargs)
        if data_type not in _DATA:
            raise UsageError(f"data_type is {data_type!r}; choose from {', '.join(_DATA)}, image")
        return _DATA[data_type](self, data)

    def apply_to_point(self, point: ArrayLike) -> tuple[float, ...]:
        """Map a point of the fixed image (dimension,), LPS+ mm."""
        moved = _LPS * self.transform.map_points(_LPS * self._in_space(point, "point"))
        return tuple(float(value) for value in moved[: self.dimension])

    def apply_to_vector(self, vector: ArrayLike) -> NDArray[np.float64]:
        """Turn and stretch a vector (dimension,), LPS+ mm, as an affine does anywhere.

        Raises
        ------
        UsageError
            When it is no affine: elsewhere it takes a point too.
        """
        linear = self._affine("apply_to_vector").matrix[:3, :3]
        turned: NDArray[np.float64] = _LPS * (linear @ (_LPS * self._in_space(vector, "vector")))
        return turned[: self.dimension]

    def apply_to_image(self, image: Any, reference: Any = None, interpolation: str = "linear") -> Any:
        """Carry a moving image onto the grid of a reference, or of itself without one.

        Parameters
        ----------
        image, reference : nibabel image, path, Image or (array, affine)
            Moving image, and whose grid the result gets.
        interpolation : str
            A key of `INTERPOLATORS`, in any case of letters.

        Returns
        -------
        nibabel.Nifti1Image
            As from `apply_transforms`.

        Raises
        ------
        UsageError
            When the interpolation is not offered.
        """
        if interpolation.lower() not in _INTERPOLATORS:
            raise UsageError(f"interpolation is {interpolation!r}; choose from {', '.join(INTERPOLATORS)}")
        moving = operations.read(image, "image")
        grid = moving.grid if reference is None else operations.read(reference, "reference").grid
        how = _INTERPOLATORS[interpolation.lower()]
        return to_nibabel(operations.apply(moving, grid, self.transform, interpolation=how))

    def _affine(self, asked: str) -> Affine:
        if not isinstance(self.transform, Affine):
            raise UsageError(f"{asked} is known for affine transforms only; this is a {self.type}")
        return self.transform

    def _in_space(self, given: ArrayLike, name: str) -> NDArray[np.float64]:
        values = np.asarray(given, dtype=np.float64)
        if values.shape != (self.dimension,):
            raise InputError(f"{name} has shape {values.shape}; ({self.dimension},) is needed")
        return np.pad(values, (0, 3 - self.dimension))


_DATA = {"point": ANTsTransform.apply_to_point, "vector": ANTsTransform.apply_to_vector}


def read_transform(filename: str | os.PathLike[str], precision: str = "double") -> ANTsTransform:
    """Read a transform file of ITK's or of any other format that says what it is.

    Parameters
    ----------
    filename : path
        The file.
    precision : str
        Without effect: transforms are kept in double precision.

    Raises
    ------
    InputError
        When the file cannot be read.
    """
    found = transform_files.identify(Path(filename).expanduser())
    if found.transform is None:
        raise InputError(found.needs)
    return ANTsTransform(found.transform, 2 if found.format.endswith("-2d") else 3)


def write_transform(transform: ANTsTransform, filename: str | os.PathLike[str]) -> None:
    """Write a transform, complete or not at all: an affine as ``.mat``, ``.txt`` or ``.tfm``, a warp as NIfTI.

    Raises
    ------
    UsageError
        When it is no `ANTsTransform`, or nothing stores it under this name.
    OutputError
        When the file cannot be written.
    """
    if not isinstance(transform, ANTsTransform):
        raise UsageError(f"transform is {type(transform).__name__}; give what read_transform or registration makes")
    path = Path(filename).expanduser()
    flat = transform.dimension == 2 and path.suffix == ".mat"
    transform_files.write_transform(transform.transform, path, "itk-affine-2d" if flat else None)


def apply_ants_transform(
    transform: ANTsTransform, data: Any, data_type: str = "point", reference: Any = None, **kwargs: Any
) -> Any:
    """Apply a transform to a point, a vector or an image.

    Parameters
    ----------
    transform : ANTsTransform
        The transform.
    data : (dimension,), or image
        A point of the fixed image or a vector, LPS+ mm; or the moving image.
    data_type : {"point", "vector", "image"}
        What it is.
    reference : image, optional
        Whose grid an image is carried to; its own when None.
    **kwargs
        `interpolation` of an image.

    Raises
    ------
    UsageError
        When the type is unknown, or a vector is given to a transform that is not affine.
    """
    return transform.apply(data, data_type, reference, **kwargs)


def apply_ants_transform_to_point(transform: ANTsTransform, point: ArrayLike) -> tuple[float, ...]:
    """Map a point of the fixed image (dimension,), LPS+ mm."""
    return transform.apply_to_point(point)


def apply_ants_transform_to_vector(transform: ANTsTransform, vector: ArrayLike) -> NDArray[np.float64]:
    """Turn and stretch a vector (dimension,), LPS+ mm, by an affine."""
    return transform.apply_to_vector(vector)


def apply_ants_transform_to_image(
    transform: ANTsTransform, image: Any, reference: Any, interpolation: str = "linear"
) -> Any:
    """Carry a moving image onto the grid of a reference; see `ANTsTransform.apply_to_image`."""
    return transform.apply_to_image(image, reference, interpolation)


def invert_ants_transform(transform: ANTsTransform) -> ANTsTransform:
    """Return the inverse."""
    return transform.invert()


def compose_ants_transforms(transform_list: Sequence[ANTsTransform]) -> ANTsTransform:
    """Join transforms: points go through the first one first.

    Raises
    ------
    UsageError
        When there are none, or their dimensions differ.
    """
    dimensions = {one.dimension for one in transform_list}
    if len(dimensions) != 1:
        raise UsageError(f"transform_list has dimensions {sorted(dimensions)}; transforms of one dimension are needed")
    parts = tuple(part for one in transform_list for part in Chain.of(one.transform).parts)
    return ANTsTransform(Chain(parts).simplified(), dimensions.pop())


def fsl2antstransform(matrix: ArrayLike, reference: Any, moving: Any) -> ANTsTransform:
    """Make a transform of a FLIRT matrix (4, 4).

    Parameters
    ----------
    matrix : (4, 4)
        From FSL's mm of the moving image to those of the reference, as FLIRT writes it.
    reference, moving : nibabel image, path, Image or (array, affine)
        The images, 3-D, whose grids FSL's mm depend on.

    Raises
    ------
    InputError
        When the matrix has another shape or no inverse, or the geometry of an image does not fit FSL's.
    """
    values = np.asarray(matrix, dtype=np.float64)
    if values.shape != (4, 4):
        raise InputError(f"matrix has shape {values.shape}; (4, 4) is needed")
    grids = {"fixed": operations.read(reference, "reference").grid, "moving": operations.read(moving, "moving").grid}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "flirt.mat"
        np.savetxt(path, values, fmt="%.17g")
        return ANTsTransform(transform_files.read_transform(path, "fsl-flirt", **grids))
