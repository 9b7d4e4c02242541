"""What is to be said of a result: DIPY's objects have no place for it."""

from __future__ import annotations

import logging

from warpline.registration.alignment import Alignment

_log = logging.getLogger(__name__)


def tell(found: Alignment) -> None:
    """Log a warning for everything that did not go as asked, and every reason to doubt the result."""
    for warning in found.warnings:
        _log.warning("%s", warning)
