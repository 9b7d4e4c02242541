"""Ordered compositions of transforms."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import indent

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warpline.errors import InputError, UsageError
from warpline.space.affine import Affine
from warpline.space.displacement import Displacement

Part = Affine | Displacement


@dataclass(frozen=True, eq=False, repr=False)
class Chain:
    """Transforms applied one after the other.

    ``a @ b`` maps by b first, ``~a`` is the inverse.

    Parameters
    ----------
    parts : tuple of Affine or Displacement
        In the order in which points go through them: ``parts[0]`` first. Maps fixed world points to
        moving world points; ``Chain((warp, affine))`` is ``y = A(x + u(x))``.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Affine, Chain
    >>> shift, wider = Affine.identity().matrix.copy(), np.diag([2.0, 1.0, 1.0, 1.0])
    >>> shift[0, 3] = 1
    >>> Chain((Affine(shift), Affine(wider))).map_points([[1.0, 0.0, 0.0]])
    array([[4., 0., 0.]])
    """

    parts: tuple[Part, ...] = ()

    @classmethod
    def of(cls, *transforms: Affine | Displacement | Chain) -> Chain:
        """The chain of all parts of `transforms`, the first of which points go through first.

        Raises
        ------
        InputError
            When one of them is no transform.
        """
        for one in transforms:
            if not isinstance(one, (Affine, Displacement, Chain)):
                raise InputError(f"{type(one).__name__} is no transform; for points there is map_points")
        return cls(tuple(part for one in transforms for part in (one.parts if isinstance(one, Chain) else (one,))))

    @property
    def flat(self) -> bool:
        """Whether it is a map of 2-D images: every part is."""
        return bool(self.parts) and all(part.flat for part in self.parts)

    def flattened(self) -> Chain:
        """The same map as one of 2-D images.

        Raises
        ------
        UsageError
            When an affine does not leave the third axis as it is, or a field lies on another grid than a flat one.
        """
        return Chain(tuple(_flattened(part) for part in self.parts))

    def map_points(self, points: ArrayLike) -> NDArray[np.float64]:
        """Map world points (..., 3) in mm through every part."""
        mapped = np.asarray(points, dtype=np.float64)
        for part in self.parts:
            mapped = part.map_points(mapped)
        return mapped

    def inverse(self) -> Chain:
        """The chain of the inverse parts in reverse order.

        Raises
        ------
        InputError
            When a displacement field came without its inverse; `warpline.invert` computes one.
        """
        return Chain(tuple(part.inverse() for part in reversed(self.parts)))

    def simplified(self) -> Transform:
        """The same map with neighbouring affines multiplied and identities left out; one part stands for itself."""
        parts: list[Part] = []
        for part in self.parts:
            last = parts[-1] if parts else None
            if isinstance(part, Affine) and isinstance(last, Affine):
                parts[-1] = part @ last
            else:
                parts.append(part)
        kept = [part for part in parts if not (isinstance(part, Affine) and part.is_identity)]
        return Chain(tuple(kept)) if len(kept) > 1 else (*kept, Affine(np.eye(4), self.flat))[0]

    def __invert__(self) -> Chain:
        """The same as `inverse`."""
        return self.inverse()

    def __matmul__(self, first: Transform) -> Chain:
        """``(a @ b)(x) = a(b(x))``."""
        return Chain.of(first, self)

    def __repr__(self) -> str:
        parts = [indent(f"{number}. {part!r}", "  ") for number, part in enumerate(self.parts, 1)]
        return "\n".join((f"Chain of {len(parts)}, in the order in which points go through it:", *parts))


def _flattened(part: Part) -> Part:
    if isinstance(part, Affine):
        return part.flattened()
    if not part.flat:
        raise UsageError(f"a field on {part.grid.shape} voxels does not lie on a 2-D image; it does not fit a 2-D file")
    return part


Transform = Affine | Displacement | Chain
