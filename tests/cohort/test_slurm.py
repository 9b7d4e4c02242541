"""Batch scripts: their text, and that bash, and SLURM where there is one, take them."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from warpline.cohort.slurm import Cluster, script

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

scratch="${SLURM_TMPDIR:-${TMPDIR:-/tmp}}/warpline-$SLURM_JOB_ID"
mkdir -p "$scratch"
export NUMBA_CACHE_DIR="$scratch/numba" CUPY_CACHE_DIR="$scratch/cupy"
export WARPLINE_THREADS="${SLURM_CPUS_PER_TASK:-1}"

warpline cohort run 'my cohort.tsv' out --recipe syn-fast --shard "$SLURM_ARRAY_TASK_ID/64" &
run=$!
trap 'kill -USR1 "$run"' USR1
wait "$run"; code=$?
while kill -0 "$run" 2>/dev/null; do wait "$run"; code=$?; done
if [ "$code" -eq 75 ]; then scontrol requeue "${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}${SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}"; fi
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


def test_a_job_of_several_nodes_starts_a_scheduler_and_a_worker_per_gpu():
    text = script(CLUSTERS["nodes"], ARGUMENTS)
    for part in ("--nodes=4", "--ntasks-per-node=8", "--mem=128G", "srun --ntasks=32 --gpus-per-task=1 dask worker"):
        assert part in text
    assert '--scheduler "$address" &' in text and "--shard" not in text


def test_one_node_needs_no_scheduler():
    text = script(CLUSTERS["single"], ARGUMENTS)
    assert "dask" not in text and "--cpus-per-task=32" in text and "--gpus-per-node=8" in text


@pytest.mark.parametrize("name", CLUSTERS)
def test_bash_takes_the_script(name):
    subprocess.run(["bash", "-n"], input=script(CLUSTERS[name], ARGUMENTS), text=True, check=True)


FAKES = {
    "warpline": 'echo "$@" >> calls; trap "exit 75" USR1; for _ in $(seq 100); do sleep 0.05; done; exit 3',
    "scontrol": 'echo "$@" >> requeued',
}


def test_a_warning_reaches_the_run_and_it_is_queued_again(tmp_path):
    for name, body in FAKES.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{body}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "job.sh").write_text(script(CLUSTERS["array"], ARGUMENTS))
    job = {"SLURM_JOB_ID": "8", "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "3", "TMPDIR": str(tmp_path)}
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", **job}
    process = subprocess.Popen(["bash", "job.sh"], cwd=tmp_path, env=environment)
    while not (tmp_path / "calls").exists():
        assert process.poll() is None
    process.send_signal(10)
    assert process.wait(30) == 75
    assert (tmp_path / "calls").read_text() == "cohort run my cohort.tsv out --recipe syn-fast --shard 3/64\n"
    assert (tmp_path / "requeued").read_text() == "requeue 7_3\n"


@pytest.mark.skipif(shutil.which("sbatch") is None, reason="no SLURM here: install slurm-wlm and start one node")
def test_slurm_takes_the_script(tmp_path):
    text = script(Cluster(cpus=1, memory="100M", time="1:00"), ARGUMENTS)
    subprocess.run(["sbatch", "--test-only"], input=text, text=True, check=True, cwd=tmp_path)
