"""Options that change the images before they are compared."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from warpline.recipe.options import Options

Side = Literal["fixed", "moving"]

Of = Literal["both", "fixed", "moving"]
"""Which of the images a step changes; of further pairs, likewise."""

Quantile = Annotated[float, Field(ge=0, le=1)]

QUANTILES = (0.005, 0.995)
"""Quantiles of winsorising where none are given: those that scripts around antsRegistration use."""

SIDED = ("mask", "bias_correction", "denoise", "winsorise")
"""Steps that change each image by itself, in the order in which they run; matching histograms follows."""


class Prepare(Options):
    """What is done to the images before they are compared, in this order; nothing by default.

    The metrics of all stages see the result. What is resampled and written are the images as given.

    Examples
    --------
    >>> from warpline.recipe import Prepare
    >>> Prepare(bias_correction="n4", winsorise=(0.005, 0.995)).steps_of("fixed")
    ('bias_correction', 'winsorise')
    """

    mask: Literal["median_otsu"] | None = None
    """Mask of the object where none is given, in which metrics count and the other steps measure: median filter,
    threshold by Otsu's method, the largest piece without its holes, dilated."""
    mask_of: Of = "both"
    """Images that are masked."""
    median_radius: Annotated[int, Field(ge=1, le=8)] = 2
    """Of the median filter of the mask, in voxels."""
    mask_dilation: Annotated[int, Field(ge=0, le=64)] = 2
    """Voxels by which the mask grows, so that the edge of the object is compared as well."""
    bias_correction: Literal["n4"] | None = None
    """Divide by the smooth field that N4 finds; by SimpleITK."""
    bias_correction_of: Of = "both"
    """Images that are divided by their field."""
    shrink: Annotated[int, Field(ge=1, le=16)] = 4
    """Factor by which the image is shrunk while N4 looks for the field."""
    denoise: Literal["nlmeans"] | None = None
    """Remove noise by non-local means; by DIPY."""
    denoise_of: Of = "both"
    """Images that noise is removed from."""
    winsorise: tuple[Quantile, Quantile] | None = None
    """Bring values beyond two quantiles of the object to them, such as [0.005, 0.995]."""
    winsorise_of: Of = "both"
    """Images whose values are brought to the quantiles."""
    match_histogram: bool = False
    """Give the moving image the histogram of the fixed one, where both have one contrast; by SimpleITK."""

    @model_validator(mode="after")
    def _rising(self) -> Prepare:
        if self.winsorise is not None and not self.winsorise[0] < self.winsorise[1]:
            raise ValueError(f"winsorise needs a lower and an upper quantile, such as {list(QUANTILES)}")
        return self

    @property
    def is_empty(self) -> bool:
        """Whether nothing is done."""
        return not self.match_histogram and all(getattr(self, step) is None for step in SIDED)

    def steps_of(self, side: Side) -> tuple[str, ...]:
        """The steps of `SIDED` that are asked for of the fixed or of the moving image."""
        asked = (step for step in SIDED if getattr(self, step) is not None)
        return tuple(step for step in asked if getattr(self, f"{step}_of") in ("both", side))
