"""How SyN is to be run again where its maps bend more than a budget allows.

Smoothing a finished map loses more overlap than registering with more smoothing, and updates of several scales lose
least where maps are to bend little (docs/ablations.md). How bending depends on the smoothing was measured on brains;
what the prediction misses, `enforcement` takes away.
"""

from __future__ import annotations

from warpline.recipe import Syn

WORTHWHILE = 0.9
"""Share of the bending that is allowed from which on smoothing the finished map is as good."""

SEVERAL_SCALES = 0.75
"""Share below which updates of several scales are better."""

WEIGHTS = (2.0, 3.0)
"""Weights of the coarser scales, as in the recipe ``syn``."""

GAIN_OF_SCALES = 0.61
"""Bending with these weights over that without, at equal total sigma."""

EXPONENT = 2.4
"""Bending falls with this power of total sigma."""

HEADROOM = 1.08
"""What is aimed at over the limit: too rough a map can be smoothed, too smooth a one has lost overlap."""

LEAST_SIGMA, MOST_SIGMA = 0.3, 3.0
"""Between which total sigma the power holds, in voxels."""


def with_more_smoothing(options: Syn, share: float) -> Syn | None:
    """Options whose maps bend a share of what those of `options` do, about; None where that is not worth a run.

    Parameters
    ----------
    options : Syn
        Of the run whose maps bend too much.
    share : float
        Bending allowed over bending found.
    """
    if share >= WORTHWHILE:
        return None
    weights, wanted = options.update_weights, share * HEADROOM
    if not weights and share < SEVERAL_SCALES:
        weights, wanted = WEIGHTS, wanted / GAIN_OF_SCALES
    sigma = max(options.total_sigma, LEAST_SIGMA) * max(wanted, 1e-9) ** (-1 / EXPONENT)
    sigma = min(max(sigma, LEAST_SIGMA), max(MOST_SIGMA, options.total_sigma))
    smoother = options.model_copy(update={"update_weights": weights, "total_sigma": round(sigma, 3)})
    return None if smoother == options else smoother
