"""Choice of the backend and of the number of threads."""

from __future__ import annotations

import importlib.util
import logging
import os

import pytest

import warpline.backends as backends
from warpline.backends import BACKENDS, select, thread_count
from warpline.errors import DeviceError, UsageError


@pytest.fixture(autouse=True)
def clean_choice(monkeypatch):
    """No variables set, and no choice remembered from before or for later."""
    monkeypatch.delenv("WARPLINE_BACKEND", raising=False)
    monkeypatch.delenv("WARPLINE_THREADS", raising=False)
    backends._best_available.cache_clear()
    yield
    backends._best_available.cache_clear()


@pytest.fixture
def without_numba(monkeypatch):
    """A machine where numba is not installed."""
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "numba" else find_spec(name))


@pytest.mark.parametrize("name", BACKENDS)
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
    with pytest.raises(UsageError, match=r"'abacus' is unknown; choose from auto, numpy, numba"):
        select(None if from_variable else "abacus")


def test_without_numba_auto_falls_back_to_numpy_and_says_so_once(without_numba, caplog):
    with caplog.at_level(logging.WARNING, logger="warpline"):
        assert select().name == "numpy"
        assert select("auto").name == "numpy"
    said = [record.message for record in caplog.records]
    assert len(said) == 1
    assert "pip install numba" in said[0]


def test_without_numba_asking_for_it_is_an_error_with_the_remedy(without_numba, monkeypatch):
    with pytest.raises(DeviceError, match=r"pip install numba, or use backend='numpy'"):
        select("numba")
    monkeypatch.setenv("WARPLINE_BACKEND", "numba")
    with pytest.raises(DeviceError, match="numba"):
        select()


def test_threads_come_from_the_argument_then_the_variable_then_the_machine(monkeypatch):
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
