from __future__ import annotations

import json
import logging
import os
import sys

import numpy as np
import pytest

from warpline.cli.terminal import Terminal


def test_result_is_json_without_nan_or_numpy(capsys):
    Terminal("test", json=True).result(
        {"a": np.float32(0.5), "b": [float("nan"), np.int64(2**40)], 3: {"c": None}}, "words"
    )
    assert json.loads(capsys.readouterr().out) == {"a": 0.5, "b": [None, 2**40], "3": {"c": None}}


def test_result_is_words_without_json(capsys):
    Terminal("test").result({"a": 1}, "first [not markup]", "second")
    assert capsys.readouterr().out == "first [not markup]\nsecond\n"


def test_an_error_is_one_line_on_stderr(capsys):
    Terminal("test", quiet=True).fail("many\n  lines")
    assert capsys.readouterr().err == "warpline test: error: many lines\n"


@pytest.mark.parametrize(
    ("options", "heard"),
    [({}, ["warning: b"]), ({"verbose": True}, ["debug: a", "warning: b"]), ({"quiet": True}, ["warning: b"])],
)
def test_what_is_logged_goes_to_stderr(options, heard, capsys):
    with Terminal("test", **options):
        logging.getLogger("warpline.somewhere").debug("a")
        logging.getLogger("warpline.somewhere").warning("b")
    logging.getLogger("warpline.somewhere").warning("after")
    captured = capsys.readouterr()
    assert [line for line in captured.err.splitlines() if line != "after"] == heard
    assert captured.out == ""


def test_a_warning_is_said_once_and_stands_in_the_record(capsys):
    with Terminal("test", json=True) as terminal:
        for _ in range(2):
            logging.getLogger("warpline.somewhere").warning("b")
        terminal.result({"a": 1})
    captured = capsys.readouterr()
    assert captured.err == "warning: b\n"
    assert json.loads(captured.out) == {"a": 1, "warnings": ["b"]}


def test_quiet_has_no_progress():
    assert Terminal("test", quiet=True).progress() is None


def test_a_warning_that_cannot_be_written_raises_nothing(monkeypatch, capsys):
    with open(os.devnull) as closed:  # not open for writing
        monkeypatch.setattr(sys, "stderr", closed)
        with Terminal("apply", json=True) as terminal:
            logging.getLogger("warpline").warning("units are a guess")
            terminal.result({})
    assert json.loads(capsys.readouterr().out) == {"warnings": ["units are a guess"]}
