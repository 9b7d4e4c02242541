from __future__ import annotations

import pytest

from made_time_points import GROWTH, ONE, QUICK, time_point
from warpline.longitudinal import register_longitudinal


@pytest.fixture(scope="session")
def images():
    """Three time points: turned and shifted apart; the ventricle grows from the first to the second one."""
    return (
        time_point(0.0, 3.0, (1.1, -0.7), seed=1),
        time_point(GROWTH, -2.0, (-0.8, 0.4), seed=2),
        time_point(GROWTH, 1.0, (0.3, 1.2), seed=3),
    )


@pytest.fixture(scope="session")
def found(images):
    """The first two of them, registered."""
    return register_longitudinal(images[:2], years=[70.5, 72.5], **ONE)


@pytest.fixture(scope="session")
def found_three(images):
    return register_longitudinal(images, **QUICK)
