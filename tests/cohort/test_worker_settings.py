"""What workers get from the options of a run."""

from __future__ import annotations

import pytest

from warpline.cohort import Options
from warpline.cohort.worker_settings import WorkerSettings, WorkerSpec, visible_gpus, worker_spec, writers_for
from warpline.errors import UsageError


def test_workers_get_what_was_asked():
    settings = Options(backend="numpy", threads=3, warps="full", geometry="qform", time_limit=7).worker_settings(
        "/o", "r"
    )
    assert settings == WorkerSettings("/o", "r", "numpy", 3, "full", 7, "qform")


@pytest.mark.parametrize(("cores", "writers"), [(1, 2), (4, 3), (16, 6)])
def test_more_threads_write_where_a_gpu_has_more_cores(cores, writers):
    assert writers_for(cores) == writers


def test_every_worker_has_its_gpu_and_its_share_of_threads(monkeypatch):
    monkeypatch.setenv("WARPLINE_THREADS", "12")
    spec = worker_spec(2, ["GPU-a", "GPU-b", "GPU-c"], per_gpu=2)
    devices = {name: environment["CUDA_VISIBLE_DEVICES"] for name, environment in spec.environments().items()}
    assert devices == {"gpu0-0": "GPU-a", "gpu1-0": "GPU-b", "gpu0-1": "GPU-a", "gpu1-1": "GPU-b"}
    assert spec.threads == 3
    spec = worker_spec(5, [])
    assert len(spec.environments()) == 5 and spec.threads == 2
    assert all("CUDA_VISIBLE_DEVICES" not in environment for environment in spec.environments().values())
    with pytest.raises(UsageError, match="--workers 4, but 3 GPUs can be seen"):
        worker_spec(4, ["0", "1", "2"])
    assert worker_spec(64, []) == WorkerSpec((), 1, 64, 1)


def test_a_given_choice_of_gpus_is_honoured(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, GPU-x")
    assert visible_gpus(None) == ["2", "GPU-x"]
    assert visible_gpus("numba") == []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert visible_gpus("cuda") == []
