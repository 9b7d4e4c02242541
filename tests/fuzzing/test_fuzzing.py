"""A few damaged files for every reader at every test run; ``make fuzz`` tries many."""

from __future__ import annotations

import pytest

from fuzzing.mutation import mutated
from fuzzing.readers import READERS
from fuzzing.trial import case, outcome_of, trials

NUMBERS = range(4)
RENDERING = ("results",)
"""Readers that draw pages, which takes longer."""


@pytest.mark.parametrize("name", READERS)
def test_sound_files_are_read_damaged_ones_read_or_refused(tmp_path, name):
    seeds = READERS[name].seeds(tmp_path)
    for at, files in enumerate(seeds):
        (tmp_path / f"sound{at}").mkdir()
        assert outcome_of(name, files, tmp_path / f"sound{at}") == ("read", "")
    for number in NUMBERS if name not in RENDERING else NUMBERS[:1]:
        (tmp_path / str(number)).mkdir()
        kind, words = outcome_of(name, case(name, seeds, number), tmp_path / str(number))
        assert kind in ("read", "refused"), words


def test_a_number_gives_the_same_files_again(tmp_path):
    seeds = READERS["points"].seeds(tmp_path)
    cases = [case("points", seeds, number) for number in range(20)]
    assert cases == [case("points", seeds, number) for number in range(20)]
    assert len({next(iter(files.values())) for files in cases}) > 15


def test_findings_are_found(monkeypatch):
    """A reader that fails as it must not, is slow, or large is seen as such."""

    def bad(path):
        bytearray(400_000_000)[::4096] = b"x" * len(range(0, 400_000_000, 4096))
        raise KeyError(path)

    monkeypatch.setitem(READERS, "points", type(READERS["points"])(READERS["points"].seeds, bad))
    done = next(trials("points", 0, 10.0))
    assert done["kind"] == "traceback" and "KeyError" in done["words"] and done["megabytes"] > 300


def test_compressed_content_is_changed_inside():
    import gzip

    import numpy as np

    content = gzip.compress(bytes(1000))
    changed = [mutated(content, np.random.default_rng(seed)) for seed in range(20)]
    assert sum(one[:2] == b"\x1f\x8b" for one in changed) > 10 and content not in changed
