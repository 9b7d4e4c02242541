"""What the images of a level were compared by, and what of it is worth a warning."""

from __future__ import annotations

from dataclasses import dataclass

from warpline.evaluation.contrast import LEAST_EXPLAINED
from warpline.registration.contrast import Shown
from warpline.registration.term import Counted

LEAST_FORCE = 1e-6
"""Root mean square up to which smoothed forces are none: those of identical images have 1e-8, which is rounding noise,
those of others 1e-4 and more. Scaled up, they would hold everything where it is."""


@dataclass(frozen=True)
class ComparedImages:
    """Two images that the deformable stage compared.

    Parameters
    ----------
    metric : str
        What compared them.
    weight : float
        Of its forces beside those of other pairs.
    contrast : str
        ``"as given"``, or which of the two the metric was shown as its grey values predict the other one, at the last
        level.
    strength : float or None
        Root mean square of its smoothed forces at the start of the first level; None where nothing else was compared.
    pair : int
        Which images: 1 for the two that are registered, from 2 on further pairs.
    explained : float or None
        Of images through a curve, how well they predict each other, see `warpline.registration.contrast.explained`.
    counted : Counted or None
        How much masks and weights leave of them, at the start of the last level; None where everything counts.
    """

    metric: str
    weight: float
    contrast: Shown
    strength: float | None = None
    pair: int = 1
    explained: float | None = None
    counted: Counted | None = None

    @property
    def is_idle(self) -> bool:
        """Whether it has no force that could be told from rounding noise."""
        return self.strength is not None and self.strength <= LEAST_FORCE


def comparison_warnings(compared: tuple[ComparedImages, ...]) -> tuple[str, ...]:
    """Sentences on images without force beside others, on those of which hardly anything counts, on poor curves."""
    return _idle_warnings(compared) + _scarce_warnings(compared) + _poor_warnings(compared)


def _idle_warnings(compared: tuple[ComparedImages, ...]) -> tuple[str, ...]:
    """A sentence for every pair of images that has no force beside others."""
    return tuple(
        f"pair {images.pair} ({images.metric}) exerts no force at the start and does not count: its images are alike "
        "there, or lie beside the others in the world"
        for images in compared
        if images.is_idle
    )


def _scarce_warnings(compared: tuple[ComparedImages, ...]) -> tuple[str, ...]:
    """A sentence for every pair of images of which hardly anything counts."""
    scarce = {images.pair: images.counted for images in compared if images.counted and images.counted.is_scarce}
    return tuple(
        f"masks, weights and fields of view leave {left.share:.2g} of {_name(pair)}, "
        f"as much as {left.voxels:.3g} voxels that count alike: hardly anything is compared, and the map says little "
        "elsewhere"
        for pair, left in scarce.items()
    )


def _name(pair: int) -> str:
    return "both images" if pair == 1 else f"pair {pair}"


def _poor_warnings(compared: tuple[ComparedImages, ...]) -> tuple[str, ...]:
    """A sentence where grey values predict each other poorly, and nothing else compares these images."""
    own = [images for images in compared if images.pair == 1]
    if len(own) > 1 or own[0].explained is None or own[0].explained >= LEAST_EXPLAINED:
        return ()
    return (
        f"the grey values of the two images predict each other poorly (correlation {own[0].explained:.2f}), and "
        "nothing else compares them (syn.contrast and syn.beside, or too little memory): the recipe syn-contrast does",
    )
