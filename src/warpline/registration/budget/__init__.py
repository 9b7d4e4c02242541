"""Limits on how much the deformation bends, stretches and shears, kept as a promise about the result.

`usage` measures what maps use of a budget; `regularisation` says how SyN is run again where they bend too much;
`enforcement` takes away what is still too much; `spending` tells what was asked and reached.
"""

from warpline.registration.budget.enforcement import Keeper, Surroundings
from warpline.registration.budget.regularisation import with_more_smoothing
from warpline.registration.budget.spending import Spending
from warpline.registration.budget.usage import Usage

__all__ = ["Keeper", "Spending", "Surroundings", "Usage", "with_more_smoothing"]
