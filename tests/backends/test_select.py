"""Choice of the backend and of the number of threads."""

from __future__ import annotations

import importlib.util
import logging
import os
import sys

import pytest

import warpline.backends as backends
from warpline.backends import cuda_device, select, thread_count
from warpline.errors import DeviceError, UsageError


@pytest.fixture(autouse=True)
def clean_choice(monkeypatch):
    """No GPU, no variables set, and no choice remembered from before or for later."""
    monkeypatch.setattr(cuda_device, "count_gpus", lambda: 0)
    monkeypatch.delenv("WARPLINE_BACKEND", raising=False)
    monkeypatch.delenv("WARPLINE_THREADS", raising=False)
    forget()
    yield
    forget()


def forget():
    backends._best_available.cache_clear()
    backends.gpu_works.cache_clear()


@pytest.fixture
def without_numba(monkeypatch):
    """A machine where numba is not installed."""
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "numba" else find_spec(name))


@pytest.mark.parametrize("name", ["numpy", "numba"])
def test_a_backend_is_found_by_its_name(name):
    assert select(name).name == name


def test_numba_is_the_default_where_it_is_installed():
    assert select().name == "numba"
    assert select("auto").name == "numba"


def test_the_variable_chooses_and_the_argument_wins(monkeypatch):
    monkeypatch.setenv("WARPLINE_BACKEND", "numpy")
    assert select().name == "numpy"
    assert select("numba").name == "numba"
    assert select("auto").name == "numba"


def test_an_empty_variable_means_nothing(monkeypatch):
    monkeypatch.setenv("WARPLINE_BACKEND", "")
    assert select().name == "numba"


def test_a_backend_object_is_returned_as_it_is(numpy_backend):
    assert select(numpy_backend) is numpy_backend


@pytest.mark.parametrize("from_variable", [False, True])
def test_an_unknown_name_is_refused_with_the_choices(monkeypatch, from_variable):
    monkeypatch.setenv("WARPLINE_BACKEND", "abacus")
    with pytest.raises(UsageError, match=r"'abacus' is unknown; choose from auto, numpy, numba, cuda, cuda:N"):
        select(None if from_variable else "abacus")


def test_without_numba_auto_is_numpy_and_says_so_once(without_numba, caplog):
    with caplog.at_level(logging.WARNING, logger="warpline"):
        assert select().name == "numpy"
        assert select("auto").name == "numpy"
    said = [record.message for record in caplog.records]
    assert len(said) == 1
    assert "pip install numba" in said[0]


def test_requesting_missing_numba_is_an_error_with_the_remedy(without_numba, monkeypatch):
    with pytest.raises(DeviceError, match=r"pip install numba, or use backend='numpy'"):
        select("numba")
    monkeypatch.setenv("WARPLINE_BACKEND", "numba")
    with pytest.raises(DeviceError, match="numba"):
        select()


def test_threads_come_from_argument_then_variable_then_machine(monkeypatch):
    assert thread_count() == len(os.sched_getaffinity(0))
    monkeypatch.setenv("WARPLINE_THREADS", "3")
    assert thread_count() == 3
    assert thread_count(5) == 5
    monkeypatch.setenv("WARPLINE_THREADS", "")
    assert thread_count() == len(os.sched_getaffinity(0))


@pytest.mark.parametrize("given", ["0", "-2", "many", "1.5"])
def test_threads_must_be_a_whole_number_of_at_least_one(monkeypatch, given):
    monkeypatch.setenv("WARPLINE_THREADS", given)
    with pytest.raises(UsageError, match=f"WARPLINE_THREADS.*{given}"):
        select("numpy")


def test_threads_as_an_argument_are_checked_too():
    with pytest.raises(UsageError, match="0"):
        select("numpy", threads=0)


# -- the GPU ------------------------------------------------------------------------------------------------


@pytest.fixture
def with_gpu(monkeypatch):
    """A machine with one GPU, as far as the driver is concerned."""
    monkeypatch.setattr(cuda_device, "count_gpus", lambda: 1)


@pytest.fixture
def without_cupy(monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "cupy" else find_spec(name))


@pytest.fixture
def broken_cupy(monkeypatch):
    """CuPy that is installed but fails."""
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if name == "cupy" else find_spec(name))
    monkeypatch.setitem(sys.modules, "cupy", None)


def test_cuda_without_a_gpu_is_an_error_with_the_remedy():
    with pytest.raises(DeviceError, match=r"no NVIDIA GPU with a working driver.*nvidia-smi.*backend='numba'"):
        select("cuda")


def test_cuda_without_cupy_says_what_to_install(with_gpu, without_cupy):
    with pytest.raises(DeviceError, match=r'no CuPy; pip install "warpline\[cuda12\]"'):
        select("cuda:0")


def test_cupy_that_fails_is_told_with_its_reason(with_gpu, broken_cupy):
    with pytest.raises(DeviceError, match=r"CuPy cannot use it \(.*cupy.*\); pip install"):
        select("cuda")


@pytest.mark.parametrize("name", ["cuda:x", "numba:0", "cuda:-1"])
def test_devices_are_whole_numbers_of_gpus(name, with_gpu, without_cupy):
    with pytest.raises(UsageError, match=f"'{name}'"):
        select(name)


def test_auto_without_a_gpu_says_nothing(caplog):
    with caplog.at_level(logging.WARNING, logger="warpline"):
        assert select("auto").name == "numba"
    assert not caplog.records


def test_auto_says_once_that_a_gpu_lies_idle(with_gpu, without_cupy, caplog):
    with caplog.at_level(logging.WARNING, logger="warpline"):
        assert select("auto").name == "numba"
        assert select().name == "numba"
    (said,) = [record.message for record in caplog.records]
    assert said.startswith('running on the CPU: there is a GPU but no CuPy; pip install "warpline[cuda12]"')
