"""How a template goes."""

from __future__ import annotations

import pytest

from warpline import template
from warpline.errors import InputError


def test_finished_and_unfinished_templates(built, out, tmp_path):
    assert template.status(built.folder) == built
    (out / "template.json").unlink()
    found = template.status(out)
    assert found.rounds == built.rounds and found.left_out == ()
    with pytest.raises(InputError, match="holds no template"):
        template.status(tmp_path)
