"""Whether a registration can be trusted: evidence from the images, limits, what to say about it, and trying again."""

from __future__ import annotations

from warpline.judgement.attempts import Attempt, examined, search_again
from warpline.judgement.evidence import TURN, of_quality, of_warp
from warpline.judgement.interior import Agreement, Interior
from warpline.judgement.signs import LIMITS, OUTCOMES, Judgement, Limit, Range, Signs, judge

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
