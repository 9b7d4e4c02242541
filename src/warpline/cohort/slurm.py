"""Batch scripts for SLURM: an array of shards that need no network, or a scheduler with workers."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

WARNING = 300
"""Seconds before its time limit at which SLURM asks a run to stop: pairs in flight finish, the rest is queued again."""


@dataclass(frozen=True)
class Cluster:
    """What to ask SLURM for.

    Parameters
    ----------
    array : int, optional
        How many independent jobs; None makes one job.
    nodes : int
        Nodes of one job; more than one get a scheduler and workers.
    gpus : int
        GPUs of each node or array element.
    cpus : int
        Cores of each worker.
    time : str
        Time limit, as SLURM writes it.
    memory : str
        Memory of each worker, as SLURM writes it.
    partition, account : str, optional
        Where to queue, and who pays.
    processes : int, optional
        Workers that the run on one node is told to start; None takes one per GPU, or one.
    """

    array: int | None = None
    nodes: int = 1
    gpus: int = 0
    cpus: int = 8
    time: str = "8:00:00"
    memory: str = "16G"
    partition: str | None = None
    account: str | None = None
    processes: int | None = None

    @property
    def workers(self) -> int:
        """Workers on each node."""
        return max(1, self.gpus) if self.processes is None else self.processes


def script(cluster: Cluster, arguments: Sequence[str]) -> str:
    """The text of a batch script that runs ``warpline cohort run`` with `arguments`.

    It ends with the exit code of the run, and queues itself again after exit code 75, or when a warning ended the
    run before it could listen.
    """
    several = cluster.array is None and cluster.nodes > 1
    command = " ".join(["warpline cohort run", *map(shlex.quote, arguments)])
    parts = [*_head(cluster), "", *_SETTING]
    if several:
        parts += ["", *_workers(cluster), "", f'{command} --scheduler "$address" --scheduler-credentials "$key" &']
    elif cluster.array is not None:
        parts += ["", f'{command} --shard "$SLURM_ARRAY_TASK_ID/{cluster.array}" &']
    else:
        parts += ["", f"{command} &"]
    return "\n".join([*parts, *_FOOT]) + "\n"


def _head(cluster: Cluster) -> list[str]:
    spread = cluster.array is None and cluster.nodes > 1
    asked = {
        "job-name": "warpline",
        "partition": cluster.partition,
        "account": cluster.account,
        "array": cluster.array and f"1-{cluster.array}",
        "nodes": cluster.nodes,
        "ntasks-per-node": cluster.workers if spread else 1,
        "cpus-per-task": cluster.cpus * (1 if spread else cluster.workers),
        "mem-per-cpu": None,
        "gpus-per-node": cluster.gpus or None,
        "time": cluster.time,
        "signal": f"B:USR1@{WARNING}",
        "output": "warpline-%A_%a.log" if cluster.array else "warpline-%j.log",
    }
    memory = _times(cluster.memory, cluster.workers)
    lines = [f"#SBATCH --{name}={value}" for name, value in {**asked, "mem": memory}.items() if value is not None]
    return ["#!/bin/bash", *lines, "#SBATCH --requeue", "#SBATCH --open-mode=append"]


def _workers(cluster: Cluster) -> list[str]:
    total = cluster.nodes * cluster.workers
    bind = " --gpus-per-task=1" if cluster.gpus else ""
    tls = '--protocol tls --tls-ca-file "$key" --tls-cert "$key" --tls-key "$key"'
    quiet = "--no-dashboard --dashboard-address 127.0.0.1:0"
    options = f"{tls} {quiet} --nthreads 1 --nworkers 1 --memory-limit 0 --death-timeout 120"
    return [
        "# Only who has the key of this job reaches its scheduler and workers: they run any code that does.",
        'key="$(mktemp "$PWD/.warpline-XXXXXXXXXX")" || exit 1',
        'openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=warpline -keyout "$key" -out "$scratch/own.pem" '
        '2>"$scratch/openssl.log" && cat "$scratch/own.pem" >>"$key" || { cat "$scratch/openssl.log"; exit 1; }',
        "export DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION=True",
        "export DASK_DISTRIBUTED__SCHEDULER__HTTP__ROUTES='[]' DASK_DISTRIBUTED__WORKER__HTTP__ROUTES='[]'",
        "# A pair that kills its worker is found by its journal: Dask shall not try it elsewhere by itself.",
        "export DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES=0",
        "export DASK_DISTRIBUTED__SCHEDULER__WORKER_SATURATION=1.0",
        "export DASK_DISTRIBUTED__SCHEDULER__WORK_STEALING=False",
        "export DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED=False",
        'address="$PWD/warpline-$SLURM_JOB_ID.json"',
        'rm -f "$address"',
        f'dask scheduler --scheduler-file "$address" {tls} {quiet} --port 0 &',
        "export key address  # each worker makes its own folder on its own node",
        f'srun --ntasks={total}{bind} bash -c \'own="$(mktemp -d)" && dask worker --scheduler-file "$address" '
        f'{options} --local-directory "$own"; rm -rf "$own"\' &',
    ]


def _times(memory: str, count: int) -> str:
    digits = memory.rstrip("KMGTkmgt")
    return f"{int(digits) * count}{memory[len(digits) :]}" if digits.isdecimal() else memory


_SETTING = (
    "# A folder that nobody else can have made; compiled code stays in your own cache, for all jobs.",
    'scratch="$(mktemp -d "${SLURM_TMPDIR:-${TMPDIR:-/tmp}}/warpline-XXXXXXXXXX")" || exit 1',
    "key= address=",
    'trap \'kill $(jobs -p) 2>/dev/null; rm -rf "$scratch" "$key"\' EXIT',
    'export WARPLINE_THREADS="${SLURM_CPUS_PER_TASK:-1}"',
    "run= warned=  # a warning may come before there is a run to pass it on to",
    'trap \'if [ "$run" ]; then kill -USR1 "$run"; else warned=1; fi\' USR1',
)
_FOOT = (
    "run=$!",
    '[ -z "$warned" ] || kill -USR1 "$run"',
    'while kill -0 "$run" 2>/dev/null; do wait "$run"; done  # a warning ends a wait too',
    'wait "$run"; code=$?',
    "# 138 is a run that the warning ended before it could listen.",
    'case "$code" in 75 | 138) scontrol requeue "${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}'
    '${SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}" ;; esac',
    'exit "$code"',
)
