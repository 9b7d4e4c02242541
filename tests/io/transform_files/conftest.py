"""A sound file of every format."""

from __future__ import annotations

import pytest

from damaged_transforms import (
    FIXED,
    GRIDS,
    READ_ONLY,
)
from made_transforms import made_for
from warpline.io.transform_files import FORMATS, write_transform


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """A sound file of every format."""
    folder = tmp_path_factory.mktemp("samples")
    paths = {}
    for name, known in FORMATS.items():
        paths[name] = folder / f"{name}{known.suffixes[0]}"
        if known.encode is None:
            READ_ONLY[name](paths[name])
        else:
            between = GRIDS if known.needs_grids else {}
            write_transform(made_for(name, known.holds, FIXED), paths[name], name, **between)
    return paths
