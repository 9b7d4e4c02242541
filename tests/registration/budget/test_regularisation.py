"""How SyN is run again where its maps bend too much."""

from __future__ import annotations

import pytest

from warpline.recipe import Syn
from warpline.registration.budget.regularisation import MOST_SIGMA, WEIGHTS, WORTHWHILE, with_more_smoothing


def test_a_small_excess_is_not_worth_a_run():
    assert with_more_smoothing(Syn(), 1.0) is None
    assert with_more_smoothing(Syn(), WORTHWHILE) is None


def test_the_less_is_allowed_the_more_is_smoothed():
    sigmas = [with_more_smoothing(Syn(), share).total_sigma for share in (0.6, 0.3, 0.1)]
    assert sigmas == sorted(sigmas) and sigmas[-1] > 2 * Syn().total_sigma
    assert with_more_smoothing(Syn(), 1e-9).total_sigma == MOST_SIGMA


def test_several_scales_are_used_where_maps_are_to_bend_little():
    one = Syn(update_weights=())
    assert with_more_smoothing(one, 0.85).update_weights == ()
    assert with_more_smoothing(one, 0.85).total_sigma > one.total_sigma
    assert with_more_smoothing(one, 0.5).update_weights == WEIGHTS
    own = Syn(update_weights=(1.0,), step=0.3)
    changed = with_more_smoothing(own, 0.5)
    assert changed.update_weights == (1.0,) and changed.step == 0.3


@pytest.mark.parametrize("total_sigma", [0.0, 0.42, 5.0])
def test_any_options_become_options(total_sigma):
    given = Syn(total_sigma=total_sigma)
    smoother = with_more_smoothing(given, 0.5)
    if total_sigma >= MOST_SIGMA:
        assert smoother is None  # no option would smooth more
    else:
        assert Syn.model_validate(smoother.model_dump()).total_sigma > total_sigma
