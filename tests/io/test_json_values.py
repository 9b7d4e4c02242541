"""Values as JSON can hold them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from warpline.io.json_values import plain


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (float("inf"), None),
        (np.array([1.0, np.nan]), [1.0, None]),
        ({1: (True, None)}, {"1": [True, None]}),
        (Path("a.nii"), "a.nii"),
    ],
)
def test_values_become_those_of_json(value, expected):
    assert plain(value) == expected
    json.dumps(plain(value), allow_nan=False)
