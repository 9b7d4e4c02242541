"""What a check comes to."""

from __future__ import annotations

import pytest

from warpline.registration import Finding, HeaderCheck


@pytest.mark.parametrize(
    ("findings", "agrees", "outcome"),
    [
        ((), True, "consistent"),
        ((), False, "undecided"),
        ((Finding("origin", "far"),), True, "doubtful"),
        ((Finding("mask grid", "other shape"),), False, "doubtful"),
    ],
)
def test_findings_decide_the_outcome(findings, agrees, outcome):
    assert HeaderCheck(findings, agrees=agrees).outcome == outcome
