"""Dask workers that die, hang and break, and strangers who call them."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import threading
import time
from types import SimpleNamespace

import psutil
import pytest
from distributed.core import rpc
from distributed.security import Security

import faults
from cohort_files import COUNT, asked, leave_pages_out, outputs, pairs_in
from warpline.cohort import dask_workers, run
from warpline.errors import DeviceError, UsageError
from warpline.metrics import DEFORMABLE_METRICS

pytestmark = pytest.mark.usefixtures("no_pages")


def test_only_the_guilty_pair_is_blamed(inputs, undisturbed, tmp_path):
    """One pair kills every worker, one hangs, one breaks the device once; three are innocent."""
    out = tmp_path / "out"
    faults.plan(inputs, sub_02="die", sub_04="hang", sub_05="broken_once")
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


async def refuses(port):
    """Whether what listens on a port of this machine takes no call without TLS."""
    try:
        async with asyncio.timeout(4), rpc(f"tcp://127.0.0.1:{port}", timeout=2) as stranger:
            await stranger.identity()
    except Exception:
        return True
    return False


async def all_refuse(ports):
    return await asyncio.gather(*map(refuses, ports))


@pytest.fixture(scope="module")
def attacked(brains, tmp_path_factory):
    """A run in which a stranger calls every port while a pair is computed, and then kills the worker."""
    folder = tmp_path_factory.mktemp("attacked")
    shutil.copytree(brains, folder / "in")
    faults.plan(folder / "in", sub_03="pause")
    seen = SimpleNamespace(out=folder / "out")

    def attack():
        while not (folder / "in" / "pid.txt").exists():
            time.sleep(0.02)
        processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
        ours = [one.laddr for process in processes for one in process.net_connections("tcp") if one.status == "LISTEN"]
        seen.places, seen.refused = ours, asyncio.run(all_refuse({place.port for place in ours}))
        seen.killed = int((folder / "in" / "pid.txt").read_text())
        (folder / "in" / "go").touch()
        os.kill(seen.killed, signal.SIGKILL)

    thread = threading.Thread(target=attack)
    thread.start()
    with pytest.MonkeyPatch.context() as patch:
        leave_pages_out(patch)
        seen.summary = run(pairs_in(folder / "in"), folder / "out", asked(workers=1))
    thread.join()
    return seen


def test_a_worker_killed_from_outside_costs_no_pair(attacked, undisturbed):
    assert attacked.killed != os.getpid()
    assert attacked.summary.exit_code == 0 and attacked.summary.counts["done"] == COUNT
    assert outputs(attacked.out) == undisturbed


def test_a_stranger_on_the_machine_runs_nothing_in_a_worker(attacked):
    """Every port is on loopback, and neither scheduler nor worker takes a call without TLS."""
    assert len(attacked.places) >= 3 and {place.ip for place in attacked.places} == {"127.0.0.1"}
    assert all(attacked.refused)


def test_a_scheduler_that_does_not_answer_is_told(inputs, tmp_path, monkeypatch):
    monkeypatch.setattr(dask_workers, "SCHEDULER_SECONDS", 1)
    with pytest.raises(DeviceError, match=r"scheduler tcp://127\.0\.0\.1:1: no worker answers"):
        run(pairs_in(inputs), tmp_path / "out", asked(scheduler="tcp://127.0.0.1:1"))


def test_the_file_of_a_scheduler_is_waited_for(tmp_path, monkeypatch):
    file = tmp_path / "late.json"
    threading.Timer(0.3, file.touch).start()
    assert dask_workers.locate_scheduler(str(file)) == {"scheduler_file": str(file)}
    assert dask_workers.locate_scheduler("tcp://10.0.0.1:8786") == {"address": "tcp://10.0.0.1:8786"}
    monkeypatch.setattr(dask_workers, "SCHEDULER_SECONDS", 0.1)
    assert dask_workers.locate_scheduler("none.json") == {"address": "none.json"}


def test_a_missing_dask_is_told_in_one_line(inputs, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match=r'pip install "warpline\[cluster\]", or run --workers 0'):
        run(pairs_in(inputs), tmp_path / "out", asked(workers=1))


def test_credentials_of_a_scheduler_are_a_file_of_ones_own(tmp_path, monkeypatch):
    path = tmp_path / "key.pem"
    path.write_text("no key")
    path.chmod(0o644)
    with pytest.raises(UsageError, match="others may read it; run: chmod 600"):
        dask_workers.read_credentials(path)
    with monkeypatch.context() as windows:
        windows.delattr(os, "getuid")
        with pytest.raises(UsageError, match="it holds no private key with certificate"):
            dask_workers.read_credentials(path)
    path.chmod(0o600)
    with pytest.raises(UsageError, match="it holds no private key with certificate"):
        dask_workers.read_credentials(path)
    with pytest.raises(UsageError, match=r"none\.pem cannot be used: No such file"):
        dask_workers.read_credentials(tmp_path / "none.pem")
    made = Security.temporary()
    path.write_text(made.tls_client_key + made.tls_client_cert)
    assert dask_workers.read_credentials(path).require_encryption


def test_a_metric_that_workers_do_not_know_is_refused(inputs, tmp_path, monkeypatch):
    monkeypatch.setitem(DEFORMABLE_METRICS, "own", DEFORMABLE_METRICS["mean_squares"])
    recipe = asked().recipe.with_options("syn.metric=own")
    with pytest.raises(UsageError, match=r"a worker process: metric 'own' is unknown to this process"):
        run(pairs_in(inputs), tmp_path / "out", asked(recipe=recipe, workers=1))
    assert not [*(tmp_path / "out").glob("logs/*.json"), *(tmp_path / "out").glob("sub-*")]
