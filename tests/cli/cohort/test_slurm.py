"""Batch scripts: their text, and that bash, and SLURM where there is one, take them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cohort_files import QUICK, outputs, pairs_in
from warpline.cli.cohort.slurm import Cluster, script
from warpline.cli.main import main
from warpline.cohort.manifest import write_manifest

ARRAY = """\
#!/bin/bash
#SBATCH --job-name=warpline
#SBATCH --partition=gpu
#SBATCH --array=1-64
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=4
#SBATCH --gpus-per-node=1
#SBATCH --time=2:00:00
#SBATCH --signal=B:USR1@300
#SBATCH --output=warpline-%A_%a.log
#SBATCH --mem=16G
#SBATCH --requeue
#SBATCH --open-mode=append

# A folder that nobody else can have made; compiled code stays in your own cache, for all jobs.
scratch="$(mktemp -d "${SLURM_TMPDIR:-${TMPDIR:-/tmp}}/warpline-XXXXXXXXXX")" || exit 1
key= address=
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$scratch" "$key"' EXIT
export WARPLINE_THREADS="${SLURM_CPUS_PER_TASK:-1}"
run= warned=  # a warning may come before there is a run to pass it on to
trap 'if [ "$run" ]; then kill -USR1 "$run"; else warned=1; fi' USR1

warpline cohort run 'my cohort.tsv' out --recipe syn-fast --shard "$SLURM_ARRAY_TASK_ID/64" &
run=$!
[ -z "$warned" ] || kill -USR1 "$run"
while kill -0 "$run" 2>/dev/null; do wait "$run"; done  # a warning ends a wait too
wait "$run"; code=$?
# 138 is a run that the warning ended before it could listen.
case "$code" in 75 | 138) scontrol requeue "${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}${SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}" ;; esac
exit "$code"
"""  # noqa: E501
CLUSTERS = {
    "array": Cluster(array=64, gpus=1, cpus=4, time="2:00:00", partition="gpu"),
    "nodes": Cluster(nodes=4, gpus=8),
    "single": Cluster(gpus=8, cpus=4),
    "cpu": Cluster(nodes=2, account="lab"),
}
ARGUMENTS = ["my cohort.tsv", "out", "--recipe", "syn-fast"]


def test_the_script_of_an_array():
    assert script(CLUSTERS["array"], ARGUMENTS) == ARRAY


def test_several_nodes_get_a_scheduler_and_a_worker_per_gpu():
    text = script(CLUSTERS["nodes"], ARGUMENTS)
    for part in ("--nodes=4", "--ntasks-per-node=8", "--mem=128G", "srun --ntasks=32 --gpus-per-task=1 bash -c "):
        assert part in text
    assert '--scheduler "$address" --scheduler-credentials "$key" &' in text and "--shard" not in text
    assert text.index('rm -f "$address"') < text.index("dask scheduler")  # a job that was queued again left one


def test_one_node_needs_no_scheduler():
    text = script(CLUSTERS["single"], ARGUMENTS)
    assert "dask" not in text and "--cpus-per-task=32" in text and "--gpus-per-node=8" in text


def test_cores_and_memory_are_those_of_a_worker_times_workers():
    several = script(Cluster(array=4, gpus=8, cpus=8, memory="16G"), ARGUMENTS)
    assert "--cpus-per-task=64" in several and "--mem=128G" in several and "--ntasks-per-node=1" in several
    shared = script(Cluster(gpus=2, cpus=3, memory="5G", processes=4), ARGUMENTS)
    assert "--cpus-per-task=12" in shared and "--mem=20G" in shared and "--gpus-per-node=2" in shared


@pytest.mark.parametrize("name", CLUSTERS)
def test_bash_takes_the_script(name):
    subprocess.run(["bash", "-n"], input=script(CLUSTERS[name], ARGUMENTS), text=True, check=True)


def test_no_folder_or_key_of_a_job_can_be_guessed(tmp_path):
    """Another user who makes folders beforehand changes nothing, and what the job made is gone after it."""
    planted = tmp_path / "tmp" / "warpline-8"
    planted.mkdir(parents=True)
    tools = {
        "warpline": 'ls -d "$TMPDIR"/warpline-?????????? >seen; echo "$@" >>seen; ls -l .warpline-* >>seen; cp .w* k',
        "dask": "sleep 30",
        "srun": "sleep 30",
    }
    for name, body in tools.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{body}\n")
        (tmp_path / name).chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "SLURM_JOB_ID": "8", "TMPDIR": str(planted.parent)}
    text = script(CLUSTERS["cpu"], ARGUMENTS)
    subprocess.run(["bash"], input=text, text=True, cwd=tmp_path, env=environment, timeout=20, check=True)
    folder, called, key = (tmp_path / "seen").read_text().splitlines()
    assert Path(folder) != planted and not Path(folder).exists() and not list(planted.iterdir())
    assert "--scheduler-credentials" in called and key.startswith("-rw------- ")
    assert not list(tmp_path.glob(".warpline-*"))
    text = (tmp_path / "k").read_text()
    assert "PRIVATE KEY" in text and "BEGIN CERTIFICATE" in text


CALLED = 'echo "$@" >> calls; for _ in {1..100}; do sleep 0.05; done; exit 3'
RUNS = {"listening": (f'trap "exit 75" USR1; {CALLED}', 75), "not yet listening": (CALLED, 138)}
"""Stand-ins for a run, and the exit code of a job that is warned meanwhile."""


@pytest.mark.parametrize("run", RUNS)
def test_a_warning_reaches_the_run_and_it_is_queued_again(run, tmp_path):
    does, code = RUNS[run]
    for name, body in {"warpline": does, "scontrol": 'echo "$@" >> requeued'}.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{body}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "job.sh").write_text(script(CLUSTERS["array"], ARGUMENTS))
    job = {"SLURM_JOB_ID": "8", "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "3", "TMPDIR": str(tmp_path)}
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", **job}
    process = subprocess.Popen(["bash", "job.sh"], cwd=tmp_path, env=environment)
    while not (tmp_path / "calls").exists():
        assert process.poll() is None
    process.send_signal(10)
    assert process.wait(30) == code
    assert (tmp_path / "calls").read_text() == "cohort run my cohort.tsv out --recipe syn-fast --shard 3/64\n"
    assert (tmp_path / "requeued").read_text() == "requeue 7_3\n"


# -- a SLURM that runs here ---------------------------------------------------------------------------------------


def idle_nodes():
    return subprocess.run(["sinfo", "-h", "-t", "idle", "-o", "%n"], capture_output=True, text=True).stdout.split()


@pytest.fixture
def slurm(inputs, undisturbed, tmp_path):
    """Submits a script for six small pairs to the SLURM of this machine, and compares what it leaves."""
    nodes = (
        subprocess.run(["sinfo", "-h", "-t", "idle"], capture_output=True, text=True) if shutil.which("sinfo") else None
    )
    if nodes is None or nodes.returncode or not nodes.stdout.strip():
        pytest.skip("no SLURM with an idle node here: install slurm-wlm, configure one node")
    (tmp_path / "quick.toml").write_text(as_toml(QUICK))
    write_manifest(pairs_in(inputs), tmp_path / "c.tsv")
    arguments = ["c.tsv", "out", "--recipe", "quick.toml", "--backend", "numpy", "--pages", "none"]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

    def submit(cluster, change=str):
        text = change(script(cluster, arguments))
        (tmp_path / "job.sh").write_text(text)
        command = ["sbatch", "--wait", "--export=ALL", "job.sh"]
        done = subprocess.run(command, cwd=tmp_path, env=environment, timeout=300, capture_output=True, text=True)
        logs = "".join(path.read_text() for path in tmp_path.glob("warpline-*.log"))
        assert done.returncode == 0, done.stderr + logs
        assert outputs(tmp_path / "out") == undisturbed

    return submit


def as_toml(recipe):
    """A recipe as a TOML file."""
    options = recipe.model_dump(mode="json", exclude_none=True)
    tables = {name: table for name, table in options.items() if isinstance(table, dict)}
    lines = [f"name = {json.dumps(recipe.name)}"]
    for name, table in tables.items():
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    return "\n".join(lines)


SMALL = {"cpus": 1, "memory": "1G", "time": "0:10:00"}


def test_an_array_of_shards_runs_on_slurm(slurm):
    slurm(Cluster(array=2, **SMALL))


def test_a_scheduler_and_its_workers_run_on_slurm(slurm):
    """The script for two nodes, with both workers on the one node there is."""
    one_node = {"--nodes=2": "--nodes=1", "--ntasks-per-node=1": "--ntasks-per-node=2"}

    def change(text):
        for before, after in one_node.items():
            text = text.replace(before, after)
        return text

    slurm(Cluster(nodes=2, **SMALL), change)


def test_slurm_prints_a_script(capsys):
    assert main(["cohort", "slurm", "--array", "4", "c.tsv", "out", "--recipe", "rigid"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("#!/bin/bash") and 'out --recipe rigid --shard "$SLURM_ARRAY_TASK_ID/4" &' in told
