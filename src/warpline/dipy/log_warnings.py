"""Warnings about a result, which DIPY's objects have no attribute for."""

from __future__ import annotations

import logging

from warpline.registration.alignment import Alignment

_log = logging.getLogger(__name__)


def log_warnings(found: Alignment) -> None:
    """Log the warnings of a registration: options without effect, and reasons to doubt the result."""
    for warning in found.warnings:
        _log.warning("%s", warning)
