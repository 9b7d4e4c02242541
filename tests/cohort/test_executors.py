"""Which executor the options of a run ask for, and what the one without workers does."""

from __future__ import annotations

import pytest

from warpline.cohort import Options
from warpline.cohort.executors import Inline, executor_for
from warpline.cohort.plan import Chunk
from warpline.cohort.worker_settings import WorkerSettings
from warpline.errors import UsageError
from warpline.metrics import check_metric

SETTINGS = WorkerSettings("/o", "r", "numpy")


def test_without_gpus_pairs_run_in_this_process():
    executor = executor_for(SETTINGS, Options(backend="numpy"), lambda result: None)
    assert isinstance(executor, Inline)
    assert executor.workers() == 1


def test_one_gpu_needs_no_worker_process_either(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    assert isinstance(executor_for(SETTINGS, Options(backend="cuda"), lambda result: None), Inline)


def test_a_check_everywhere_is_called_here():
    with pytest.raises(UsageError, match="metric 'own' is unknown"):
        Inline(SETTINGS, lambda result: None).call_everywhere(check_metric, "own")


def test_a_chunk_comes_back_once(tmp_path):
    executor = Inline(SETTINGS, lambda result: None)
    chunk = Chunk(0, [], tmp_path / "journal.jsonl")
    executor.submit(chunk)
    assert executor.wait(1.0) == [(chunk, False)]
    assert executor.wait(1.0) == []
