"""Mean squared difference."""

from __future__ import annotations

from dataclasses import dataclass

from warpline.backends import Array, Backend


@dataclass(frozen=True)
class MeanSquares:
    """Mean of (fixed - moving)^2, for images of equal contrast."""

    def forces(
        self,
        images: Array,
        forces: Array,
        value: Array,
        *,
        mask: Array | None,
        backend: Backend,
    ) -> None:
        """Write the force on either image of (fixed, moving), and the value: `Backend.squared_difference`."""
        backend.squared_difference(
            images[0], images[1], mask=mask, out_fixed=forces[0], out_moving=forces[1], value=value
        )
