"""ANTsPy's transform objects and the functions over them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warpline import operations
from warpline.ants.applying import INTERPOLATORS
from warpline.ants.images import to_nibabel
from warpline.errors import InputError, UsageError
from warpline.io.lps import LPS, SIGNS
from warpline.space import Affine, Chain, Transform

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

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Affine, ants
    >>> shift = np.eye(4)
    >>> shift[1, 3] = 5  # to the front, along -y of LPS
    >>> transform = ants.ANTsTransform(Affine(shift))
    >>> transform.apply_to_point((1, 2, 3))
    (1.0, -3.0, 3.0)
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
        matrix = LPS @ self._affine("parameters").matrix @ LPS
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
        moved = SIGNS * self.transform.map_points(SIGNS * self._in_space(point, "point"))
        return tuple(float(value) for value in moved[: self.dimension])

    def apply_to_vector(self, vector: ArrayLike) -> NDArray[np.float64]:
        """Turn and stretch a vector (dimension,), LPS+ mm, as an affine does anywhere.

        Raises
        ------
        UsageError
            When it is no affine: elsewhere it takes a point too.
        """
        linear = self._affine("apply_to_vector").matrix[:3, :3]
        turned: NDArray[np.float64] = SIGNS * (linear @ (SIGNS * self._in_space(vector, "vector")))
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

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Affine, ants
    >>> shift = np.eye(4)
    >>> shift[1, 3] = 5  # to the front, along -y of LPS
    >>> transform = ants.ANTsTransform(Affine(shift))
    >>> ants.apply_ants_transform(transform, (1, 2, 3))
    (1.0, -3.0, 3.0)
    """
    return transform.apply(data, data_type, reference, **kwargs)


def apply_ants_transform_to_point(transform: ANTsTransform, point: ArrayLike) -> tuple[float, ...]:
    """Map a point of the fixed image (dimension,), LPS+ mm.

    Parameters
    ----------
    transform : ANTsTransform
        The transform.
    point : (dimension,)
        World LPS+ mm.

    Returns
    -------
    tuple of float
        The moving point, LPS+ mm.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Affine, ants
    >>> shift = np.eye(4)
    >>> shift[1, 3] = 5  # to the front, along -y of LPS
    >>> transform = ants.ANTsTransform(Affine(shift))
    >>> ants.apply_ants_transform_to_point(transform, (1, 2, 3))
    (1.0, -3.0, 3.0)
    """
    return transform.apply_to_point(point)


def apply_ants_transform_to_vector(transform: ANTsTransform, vector: ArrayLike) -> NDArray[np.float64]:
    """Turn and stretch a vector (dimension,), LPS+ mm, by an affine.

    Parameters
    ----------
    transform : ANTsTransform
        An affine.
    vector : (dimension,)
        Along L, P, S.

    Returns
    -------
    (dimension,) float64
        Along L, P, S.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Affine, ants
    >>> shift = np.eye(4)
    >>> shift[1, 3] = 5  # to the front, along -y of LPS
    >>> transform = ants.ANTsTransform(Affine(shift))
    >>> ants.apply_ants_transform_to_vector(transform, (1, 2, 3))
    array([1., 2., 3.])
    """
    return transform.apply_to_vector(vector)


def apply_ants_transform_to_image(
    transform: ANTsTransform, image: Any, reference: Any, interpolation: str = "linear"
) -> Any:
    """Carry a moving image onto the grid of a reference; see `ANTsTransform.apply_to_image`.

    Parameters
    ----------
    transform : ANTsTransform
        The transform.
    image, reference : nibabel image, path, Image or (array, affine)
        The moving image, and whose grid the result gets.
    interpolation : str
        A key of ANTsPy's interpolators, in any case.

    Returns
    -------
    nibabel.Nifti1Image
        As from `apply_transforms`.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Affine, ants
    >>> shift = np.eye(4)
    >>> shift[1, 3] = 5  # to the front, along -y of LPS
    >>> transform = ants.ANTsTransform(Affine(shift))
    >>> image = np.ones((4, 8, 4), np.float32), np.eye(4)
    >>> ants.apply_ants_transform_to_image(transform, image, image).get_fdata()[0, :, 0]
    array([1., 1., 1., 0., 0., 0., 0., 0.])
    """
    return transform.apply_to_image(image, reference, interpolation)


def invert_ants_transform(transform: ANTsTransform) -> ANTsTransform:
    """Return the inverse.

    Parameters
    ----------
    transform : ANTsTransform
        An affine, a warp or a chain; fields without a known inverse are inverted numerically.

    Returns
    -------
    ANTsTransform
        Moving to fixed.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Affine, ants
    >>> shift = np.eye(4)
    >>> shift[1, 3] = 5  # to the front, along -y of LPS
    >>> transform = ants.ANTsTransform(Affine(shift))
    >>> ants.invert_ants_transform(transform).apply_to_point((1, 2, 3))
    (1.0, 7.0, 3.0)
    """
    return transform.invert()


def compose_ants_transforms(transform_list: Sequence[ANTsTransform]) -> ANTsTransform:
    """Join transforms: points go through the first one first.

    Parameters
    ----------
    transform_list : sequence of ANTsTransform
        In the order in which points go through them.

    Returns
    -------
    ANTsTransform
        One transform; neighbouring affines are multiplied.

    Raises
    ------
    UsageError
        When there are none, or their dimensions differ.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Affine, ants
    >>> shift = np.eye(4)
    >>> shift[1, 3] = 5  # to the front, along -y of LPS
    >>> transform = ants.ANTsTransform(Affine(shift))
    >>> ants.compose_ants_transforms([transform, transform]).apply_to_point((1, 2, 3))
    (1.0, -8.0, 3.0)
    """
    dimensions = {one.dimension for one in transform_list}
    if len(dimensions) != 1:
        raise UsageError(f"transform_list has dimensions {sorted(dimensions)}; transforms of one dimension are needed")
    parts = tuple(part for one in transform_list for part in Chain.of(one.transform).parts)
    return ANTsTransform(Chain(parts).simplified(), dimensions.pop())
