"""Mutual information of two volumes, for deformable registration of unlike contrasts."""

from __future__ import annotations

from dataclasses import dataclass

from warpline.backends import Array, Backend
from warpline.metrics.level_images import LevelImage, intensities

SPAN = (-1.25, 1.25)
"""Grey values that the bins cover. Images are scaled so that nearly all lie between 0 and 1, or between -1 and 0 where
the background is bright."""


@dataclass(frozen=True)
class VolumeInformation:
    """Negative mutual information of the grey values (Mattes et al. 2003, 10.1109/TMI.2003.809072).

    Parameters
    ----------
    bins : int
        Bins of the joint histogram along either axis, over `SPAN`.
    """

    bins: int = 64

    @property
    def smallest_axis(self) -> int:
        """An inner voxel with two neighbours, for the gradient."""
        return 3

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
        """Write the force on either image of (fixed, moving), and the value: `Backend.mutual_information_forces`."""
        backend.mutual_information_forces(
            images[0],
            images[1],
            self.bins,
            span=SPAN,
            mask=mask,
            out_fixed=forces[0],
            out_moving=forces[1],
            value=value,
        )
