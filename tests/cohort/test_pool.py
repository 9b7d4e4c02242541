"""Runs in Dask workers that die, hang and break: who is blamed, and that the others do not notice."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time

import psutil
import pytest
from distributed.core import rpc
from distributed.security import Security

import faults
from cohort_files import COUNT, asked, outputs, pairs_in
from warpline.cohort import pool, run
from warpline.cohort.devices import visible_gpus
from warpline.cohort.pool import Crew, make_crew
from warpline.errors import DeviceError, UsageError

pytestmark = pytest.mark.usefixtures("no_pages")


def test_only_the_guilty_pair_is_blamed(inputs, undisturbed, tmp_path):
    """One pair kills every worker, one only the first, one hangs, one breaks the device once; two are innocent."""
    out = tmp_path / "out"
    faults.plan(inputs, sub_02="die", sub_03="die_once", sub_04="hang", sub_05="broken_once")
    summary = run(pairs_in(inputs), out, asked(workers=2, time_limit=3.0))
    kinds = {group.kind: group for group in summary.groups}
    assert set(kinds) == {"worker_lost", "timeout"} and summary.counts["failed"] == 2
    assert kinds["worker_lost"].example == "sub-02" and "died 2 times" in kinds["worker_lost"].message
    assert kinds["timeout"].example == "sub-04" and summary.exit_code == 3
    assert "in hang" in (out / "logs" / "sub-04.json").read_text()
    assert faults.calls(inputs).count("sub-02") == 2
    good = {name: entry for name, entry in undisturbed.items() if not name.startswith(("sub-02", "sub-04"))}
    assert outputs(out) == good
    (inputs / faults.FILE).unlink()
    assert run(pairs_in(inputs), out, asked(retry_failed=True)).exit_code == 0
    assert outputs(out) == undisturbed


def test_a_worker_killed_from_outside_costs_no_pair(inputs, undisturbed, tmp_path):
    faults.plan(inputs, sub_03="pause")
    killed = []

    def kill():
        seen = tmp_path / "in" / "pid.txt"
        while not seen.exists():
            time.sleep(0.02)
        killed.append(int(seen.read_text()))
        (inputs / "go").touch()
        os.kill(killed[0], signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    summary = run(pairs_in(inputs), tmp_path / "out", asked(workers=1))
    thread.join()
    assert killed and killed[0] != os.getpid()
    assert summary.exit_code == 0 and summary.counts["done"] == COUNT
    assert outputs(tmp_path / "out") == undisturbed


def test_a_scheduler_that_does_not_answer_is_told(inputs, tmp_path, monkeypatch):
    monkeypatch.setattr(pool, "ANSWER", 1)
    with pytest.raises(DeviceError, match=r"scheduler tcp://127\.0\.0\.1:1: no worker answers"):
        run(pairs_in(inputs), tmp_path / "out", asked(scheduler="tcp://127.0.0.1:1"))


def test_the_file_of_a_scheduler_is_waited_for(tmp_path, monkeypatch):
    file = tmp_path / "late.json"
    threading.Timer(0.3, file.touch).start()
    assert pool._where(str(file)) == {"scheduler_file": str(file)}
    assert pool._where("tcp://10.0.0.1:8786") == {"address": "tcp://10.0.0.1:8786"}
    monkeypatch.setattr(pool, "ANSWER", 0.1)
    assert pool._where("none.json") == {"address": "none.json"}


def test_every_worker_has_its_gpu_and_its_share_of_threads(monkeypatch):
    monkeypatch.setenv("WARPLINE_THREADS", "12")
    crew = make_crew(2, ["GPU-a", "GPU-b", "GPU-c"], per_gpu=2)
    devices = {name: environment["CUDA_VISIBLE_DEVICES"] for name, environment in crew.environments().items()}
    assert devices == {"gpu0-0": "GPU-a", "gpu1-0": "GPU-b", "gpu0-1": "GPU-a", "gpu1-1": "GPU-b"}
    assert crew.threads == 3
    crew = make_crew(5, [])
    assert len(crew.environments()) == 5 and crew.threads == 2
    assert all("CUDA_VISIBLE_DEVICES" not in environment for environment in crew.environments().values())
    with pytest.raises(UsageError, match="--workers 4, but 3 GPUs can be seen"):
        make_crew(4, ["0", "1", "2"])
    assert make_crew(64, []) == Crew((), 1, 64, 1)


def test_a_given_choice_of_gpus_is_honoured(monkeypatch):
    monkeypatch.setattr("warpline.cohort.devices.BACKENDS", {"numpy": "", "cuda": ""})
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, GPU-x")
    assert visible_gpus(None) == ["2", "GPU-x"]
    assert visible_gpus("numba") == []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert visible_gpus("cuda") == []


def test_a_stranger_on_the_machine_runs_nothing_in_a_worker(inputs, tmp_path):
    """While a pair is computed every port is on loopback, and neither scheduler nor worker takes a call without TLS."""
    faults.plan(inputs, sub_01="pause")
    found, refused = [], []

    async def call(port):
        async with rpc(f"tcp://127.0.0.1:{port}", timeout=2) as stranger:
            await stranger.identity()

    def try_all():
        while not (inputs / "pid.txt").exists():
            time.sleep(0.02)
        processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
        ours = [one for process in processes for one in process.net_connections("tcp") if one.status == "LISTEN"]
        found.extend(one.laddr for one in ours)
        for port in {place.port for place in found}:
            try:
                asyncio.run(asyncio.wait_for(call(port), 4))
            except Exception:
                refused.append(port)
        (inputs / "go").touch()

    thread = threading.Thread(target=try_all)
    thread.start()
    summary = run(pairs_in(inputs)[:1], tmp_path / "out", asked(workers=1))
    thread.join()
    assert summary.exit_code == 0 and len(found) >= 3
    assert {place.ip for place in found} == {"127.0.0.1"}
    assert set(refused) == {place.port for place in found}


def test_a_missing_dask_is_told_in_one_line(inputs, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match=r"pip install 'warpline\[cluster\]', or run --workers 0"):
        run(pairs_in(inputs), tmp_path / "out", asked(workers=1))


def test_credentials_of_a_scheduler_are_a_file_of_ones_own(tmp_path):
    path = tmp_path / "key.pem"
    path.write_text("no key")
    path.chmod(0o644)
    with pytest.raises(UsageError, match="others may read it; run: chmod 600"):
        pool._security(path)
    path.chmod(0o600)
    with pytest.raises(UsageError, match="it holds no private key with certificate"):
        pool._security(path)
    with pytest.raises(UsageError, match=r"none\.pem cannot be used: No such file"):
        pool._security(tmp_path / "none.pem")
    made = Security.temporary()
    path.write_text(made.tls_client_key + made.tls_client_cert)
    assert pool._security(path).require_encryption
