"""What is to be aligned: two images, what counts of them, and what is compared beside them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from warpline.backends import Backend
from warpline.images import Image
from warpline.images.checks import check_contrast, check_weights
from warpline.images.intensity import Normalised, normalise, normalise_alike
from warpline.recipe import Recipe
from warpline.registration.axis_order import reorder_axes
from warpline.registration.checks import check_window
from warpline.registration.image_pairs import LoadedImages
from warpline.registration.initial_warp import InitialWarp
from warpline.registration.landmarks import Landmarks
from warpline.registration.surfaces import LoadedSurfaces
from warpline.space import Affine

NormalisedPair = tuple[Normalised, Normalised]
"""Fixed and moving, on the backend."""


@dataclass(frozen=True, eq=False)
class Problem:
    """What is to be aligned, and how.

    Parameters
    ----------
    fixed, moving, fixed_mask, moving_mask, recipe, pairs
        As for `align`.
    initial : Affine, optional
        Start of the linear stage, fixed world to moving world.
    weights : (Image or None, Image or None)
        How much places of either image count.
    landmarks : Landmarks, optional
        That pull in the deformable stage.
    surfaces : tuple of LoadedSurfaces
        That come together there.
    reached : Image, optional
        Where a moving image that is seen through a start with a warp shows anything; counts where masks do not.
    judged : bool
        Whether the maps are judged.
    alike : bool
        Whether grey values mean the same in both images, so that they are scaled as one.
    """

    fixed: Image
    moving: Image
    fixed_mask: Image | None
    moving_mask: Image | None
    recipe: Recipe
    initial: Affine | None
    pairs: tuple[LoadedImages, ...] = ()
    weights: tuple[Image | None, Image | None] = (None, None)
    landmarks: Landmarks | None = None
    surfaces: tuple[LoadedSurfaces, ...] = ()
    reached: Image | None = None
    judged: bool = True
    alike: bool = False

    @property
    def judges_affine(self) -> bool:
        """Whether the affine is judged: where maps are, and where other starts may have to be searched for."""
        return self.judged or (self.recipe.linear is not None and self.initial is None)

    @property
    def points(self) -> dict[str, Any]:
        """What is known of places in both images, as the deformable stage takes it."""
        return {"landmarks": self.landmarks, "surfaces": self.surfaces}

    def seen_through(self, warp: InitialWarp) -> Problem:
        """The same with all that moves resampled through a start, from where the stages begin at the identity."""
        beyond = "unknown" if self.recipe.syn is None else self.recipe.syn.beyond
        moving, moving_mask = warp.see(self.moving, self.moving_mask, beyond=beyond)
        reached = moving_mask if self.moving_mask is None else warp.see(self.moving, None, beyond=beyond)[1]
        check_contrast(moving, moving_mask)
        check_window(moving, self.recipe)
        pairs = tuple(pair.seen_through(warp, beyond) for pair in self.pairs)
        for pair in pairs:
            pair.check(self.recipe, self.fixed)
        of_fixed, of_moving = self.weights
        weights = of_fixed, None if of_moving is None else warp.see_weights(of_moving)
        if weights[1] is not None:
            check_weights(weights[1], moving)
        seen = replace(self, moving=moving, moving_mask=moving_mask, pairs=pairs, weights=weights)
        landmarks = None if self.landmarks is None else warp.see_landmarks(self.landmarks)
        surfaces = tuple(warp.see_surfaces(both) for both in self.surfaces)
        return replace(seen, initial=Affine.identity(), landmarks=landmarks, surfaces=surfaces, reached=reached)

    def in_planes(self) -> Problem:
        """The same with landmarks and surfaces of 2-D images each in the plane of its image."""
        grids = self.fixed.grid, self.moving.grid
        landmarks = None if self.landmarks is None else self.landmarks.in_planes_of(*grids)
        surfaces = tuple(both.in_planes_of(*grids) for both in self.surfaces)
        return replace(self, landmarks=landmarks, surfaces=surfaces)

    def normalised(self, backend: Backend) -> NormalisedPair:
        """Fixed and moving on the backend, with their masks."""
        return self._normalised(self.fixed_mask, self.moving_mask, backend)

    def _normalised(self, fixed_mask: Image | None, moving_mask: Image | None, backend: Backend) -> NormalisedPair:
        if not self.alike:
            return normalise(self.fixed, backend, fixed_mask), normalise(self.moving, backend, moving_mask)
        fixed, moving = normalise_alike((self.fixed, self.moving), backend, (fixed_mask, moving_mask))
        return fixed, moving

    def heeding(self, masks: bool, images: NormalisedPair, backend: Backend) -> NormalisedPair:
        """The `images` as a stage sees them that heeds masks, or does not; places not `reached` never count."""
        if masks or (self.fixed_mask is None and self.moving_mask is None):
            return images
        return self._normalised(None, self.reached, backend)

    def reorder_axes(self, backend: Backend) -> Problem:
        """The same with no thin axis first or last, see `AxisOrder`."""
        fixed, fixed_mask = reorder_axes(self.fixed, self.fixed_mask, backend)
        moving, moving_mask = reorder_axes(self.moving, self.moving_mask, backend)
        reached = None if self.reached is None else reorder_axes(self.moving, self.reached, backend)[1]
        pairs = tuple(pair.reorder_axes(backend) for pair in self.pairs)
        found = replace(self, fixed=fixed, moving=moving, pairs=pairs, reached=reached)
        return replace(found, fixed_mask=fixed_mask, moving_mask=moving_mask)
