"""Local cross-correlation of two volumes in sliding windows, for deformable registration."""

from __future__ import annotations

from dataclasses import dataclass

from warpline.backends import Array, Backend
from warpline.metrics.level_images import LevelImage, intensities


@dataclass(frozen=True)
class LocalCC:
    """Squared correlation in sliding windows, negated and averaged (Avants et al. 2008, 10.1016/j.media.2007.06.004).

    Parameters
    ----------
    radius : int
        The window spans 2 radius + 1 voxels along each axis, clipped at the borders.
    contrast_floor : float
        Variance below which a window counts as flat, for intensities scaled to a range of about 1.
    """

    radius: int = 2
    contrast_floor: float = 2e-3

    @property
    def smallest_axis(self) -> int:
        """Width of the window."""
        return 2 * self.radius + 1

    @property
    def is_replayable(self) -> bool:
        """Yes: nothing waits for the device."""
        return True

    def features(self, sides: tuple[LevelImage, LevelImage], backend: Backend) -> Array:
        """Both images (2, I, J, K)."""
        return intensities(sides, backend)

    def forces(
        self,
        images: Array,
        forces: Array,
        value: Array,
        *,
        mask: Array | None,
        backend: Backend,
    ) -> None:
        """Write the force on either image of (fixed, moving), and the value: `Backend.local_cc`."""
        backend.local_cc(
            images[0],
            images[1],
            self.radius,
            contrast_floor=self.contrast_floor,
            mask=mask,
            out_fixed=forces[0],
            out_moving=forces[1],
            value=value,
        )
