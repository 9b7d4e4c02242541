"""What DIPY's objects have no place for is logged."""

from __future__ import annotations

from types import SimpleNamespace

from warpline.dipy.log_warnings import log_warnings


def test_every_warning_of_a_result_is_logged(caplog):
    log_warnings(SimpleNamespace(warnings=["the images hardly overlap", "50 % of it"]))
    assert [record.getMessage() for record in caplog.records] == ["the images hardly overlap", "50 % of it"]
    assert {record.levelname for record in caplog.records} == {"WARNING"}
