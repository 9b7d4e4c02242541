"""A signal ends a command with one line and nothing half-written."""

from __future__ import annotations

import os
import signal

from warpline.cli.main import main

LINEAR = ("--set", "linear.iterations=[10,5,2]", "--threads", "1")

QUICK = ("--set", "syn.iterations=[10,5,2]", *LINEAR)


def test_sigterm_takes_away_what_was_begun_and_says_so(pair, tmp_path, monkeypatch, capsys):
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("warpline.registration.job.register", lambda *_, **__: os.kill(os.getpid(), signal.SIGTERM))
    assert main(["register", pair["fixed"], pair["moving"], "-o", f"{tmp_path}/new/a_", *QUICK]) == 143
    assert capsys.readouterr().err.startswith("warpline register: error: stopped by SIGTERM")
    assert list(tmp_path.iterdir()) == []
    assert signal.getsignal(signal.SIGTERM) is before
