"""Whether a registration can be trusted.

Signs of a wrong map are measured (`measures`, on the images: `object_comparison`), held against limits with a sentence
each (`limits`), and a doubtful affine is searched for again (`restarts`).
"""

from __future__ import annotations

from warpline.registration.judgement.limits import (
    LIMITS,
    OUTCOMES,
    Judgement,
    Limit,
    Range,
    Signs,
    judge,
    signs_in_words,
)
from warpline.registration.judgement.measures import (
    MOST_ROTATION,
    budget_signs,
    quality_signs,
    spread_signs,
    warp_signs,
)
from warpline.registration.judgement.object_comparison import Agreement, ObjectComparison
from warpline.registration.judgement.restarts import JudgedAffine, judge_affine, search_again, start_by_search

__all__ = [
    "LIMITS",
    "MOST_ROTATION",
    "OUTCOMES",
    "Agreement",
    "JudgedAffine",
    "Judgement",
    "Limit",
    "ObjectComparison",
    "Range",
    "Signs",
    "budget_signs",
    "judge",
    "judge_affine",
    "quality_signs",
    "search_again",
    "signs_in_words",
    "spread_signs",
    "start_by_search",
    "warp_signs",
]
