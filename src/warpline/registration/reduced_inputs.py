"""The inputs of a registration on the coarser grids of a memory plan."""

from __future__ import annotations

from dataclasses import replace

from warpline.images import Image
from warpline.metrics import LABELS
from warpline.registration.image_pairs import LoadedImages
from warpline.registration.inputs import Inputs
from warpline.registration.memory_plan import MemoryPlan, block_of, least_axis, recipe_on
from warpline.registration.syn import finest_spacing
from warpline.resampling.reduction import reduce_image, reduce_labels, reduce_mask
from warpline.space.grid import Shape


def reduce_inputs(inputs: Inputs, plan: MemoryPlan, threads: int | None = None) -> Inputs:
    """Images as means of the plan's blocks, their masks and further pairs likewise, and the recipe for them.

    Parameters
    ----------
    inputs : Inputs
        As read.
    plan : MemoryPlan
        Made for them.
    threads : int, optional
        CPU threads, as in `warpline.backends.thread_count`.
    """
    blocks = dict(zip(("fixed", "moving"), plan.blocks, strict=True))
    least = least_axis(inputs.recipe)
    images = {
        name: reduce_image(weights, block_of(weights.grid, plan.spacing, least), threads=threads)
        for name, weights in inputs.images.items()
        if name.endswith("_weights")
    }
    images |= {name: reduce_image(inputs.images[name], block, threads=threads) for name, block in blocks.items()}
    for name, block in blocks.items():
        mask = inputs.images.get(f"{name}_mask")
        if mask is not None:
            images[f"{name}_mask"] = reduce_mask(mask, block, threads=threads)
    pairs = tuple(_reduced(pair, plan.spacing, least, threads) for pair in inputs.pairs)
    ratio = plan.spacing / finest_spacing(inputs.images["fixed"].grid)
    return replace(inputs, images=images, pairs=pairs, recipe=recipe_on(inputs.recipe, ratio))


def _reduced(pair: LoadedImages, spacing: float, least: int, threads: int | None) -> LoadedImages:
    reduce = reduce_labels if pair.metric == LABELS else reduce_image

    def side(image: Image, mask: Image | None) -> tuple[Image, Image | None]:
        block: Shape = block_of(image.grid, spacing, least)
        return reduce(image, block, threads=threads), mask if mask is None else reduce_mask(
            mask, block, threads=threads
        )

    fixed, fixed_mask = side(pair.fixed, pair.fixed_mask)
    moving, moving_mask = side(pair.moving, pair.moving_mask)
    return replace(pair, fixed=fixed, moving=moving, fixed_mask=fixed_mask, moving_mask=moving_mask)
