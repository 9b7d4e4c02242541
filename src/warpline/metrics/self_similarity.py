"""Self-similarity: images of any contrast, compared by how each voxel's neighbours resemble one another."""

from __future__ import annotations

from dataclasses import dataclass

from warpline.backends import Array, Backend
from warpline.metrics.level_images import LevelImage, descriptor_forces, new_descriptors


@dataclass(frozen=True)
class SelfSimilarity:
    """Mean squared difference of self-similarity descriptors: MIND-SSC of Heinrich et al. 2013.

    doi:10.1007/978-3-642-40811-3_24; see `warpline.backends.descriptors.DescriptorOperations`.

    Parameters
    ----------
    floor : float
        Squared difference of grey values that counts as noise, for intensities scaled to a range of about 1.
    """

    floor: float = 0.03

    @property
    def smallest_axis(self) -> int:
        """An inner voxel with two neighbours, for the gradient."""
        return 3

    @property
    def is_replayable(self) -> bool:
        """Yes: nothing waits for the device."""
        return True

    def features(self, sides: tuple[LevelImage, LevelImage], backend: Backend) -> Array:
        """Descriptors (2, I, J, K, 16) of both images."""
        found = new_descriptors(sides, backend)
        for one, side in zip(found, sides, strict=True):
            backend.descriptors.describe(side.resampled(side.volume), floor=self.floor, out=one)
        return found

    def forces(self, images: Array, forces: Array, value: Array, *, mask: Array | None, backend: Backend) -> None:
        """Write the force on either image, and the value: `DescriptorOperations.forces`."""
        descriptor_forces(images, forces, value, mask=mask, backend=backend)
