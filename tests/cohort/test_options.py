"""What workers get from the options of a run."""

from __future__ import annotations

import pytest

from warpline.cohort import Options
from warpline.cohort.options import WorkerSettings, writers_for


def test_workers_get_what_was_asked():
    settings = Options(backend="numpy", threads=3, warps="full", geometry="qform", time_limit=7).worker_settings(
        "/o", "r"
    )
    assert settings == WorkerSettings("/o", "r", "numpy", 3, "full", 7, "qform")


@pytest.mark.parametrize(("cores", "writers"), [(1, 2), (4, 3), (16, 6)])
def test_more_threads_write_where_a_gpu_has_more_cores(cores, writers):
    assert writers_for(cores) == writers
