"""Whether a registration can be trusted: evidence from the images, limits, what to say about it, and trying again."""

from __future__ import annotations

from warpline.registration.judgement.limits import LIMITS, OUTCOMES, Judgement, Limit, Range, Signs, judge
from warpline.registration.judgement.local_agreement import Agreement, Interior
from warpline.registration.judgement.measures import TURN, of_quality, of_warp
from warpline.registration.judgement.restarts import Attempt, examined, search_again

__all__ = [
    "LIMITS",
    "OUTCOMES",
    "TURN",
    "Agreement",
    "Attempt",
    "Interior",
    "Judgement",
    "Limit",
    "Range",
    "Signs",
    "examined",
    "judge",
    "of_quality",
    "of_warp",
    "search_again",
]
