"""``warpline cohort slurm``: print a batch script, for an array of shards or for a scheduler with workers."""

from __future__ import annotations

import shlex
from argparse import REMAINDER, ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from warpline.cli.cohort import run_pairs
from warpline.cli.cohort.arguments import count
from warpline.cli.options import positive_count
from warpline.errors import UsageError

if TYPE_CHECKING:
    from warpline.cli.terminal import Terminal

SUMMARY = "print a SLURM batch script for a cohort"
EXAMPLE = """\
  warpline cohort slurm --array 64 --gpus 1 --time 8:00:00 cohort.tsv out --recipe syn > job.sh
  warpline cohort slurm --nodes 4 --gpus 8 --time 8:00:00 cohort.tsv out > job.sh"""

WARNING = 300
"""Seconds before its time limit at which SLURM asks a run to stop: pairs in flight finish, the rest is queued again."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the action."""
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--array", type=positive_count, metavar="N", help="N independent jobs, each with its shard")
    shape.add_argument("--nodes", type=positive_count, metavar="N", help="one job: a scheduler, and workers on N nodes")
    parser.add_argument(
        "--gpus", type=count, default=0, metavar="N", help="GPUs of each node or array element; default: 0"
    )
    parser.add_argument("--cpus", type=positive_count, default=8, metavar="N", help="cores of each worker; default: 8")
    parser.add_argument("--time", default="8:00:00", help="time limit of the job; default: 8:00:00")
    parser.add_argument("--memory", default="16G", metavar="SIZE", help="of each worker; default: 16G")
    parser.add_argument("--partition", metavar="NAME")
    parser.add_argument("--account", metavar="NAME")
    parser.add_argument("arguments", nargs=REMAINDER, metavar="...", help="the arguments of: warpline cohort run")


def run(options: Namespace, terminal: Terminal) -> None:
    """Check the arguments of the run, print the script."""
    arguments = [word for word in options.arguments if word != "--"]
    asked = _check(arguments)
    cluster = Cluster(
        array=options.array,
        nodes=options.nodes or 1,
        gpus=options.gpus,
        cpus=options.cpus,
        time=options.time,
        memory=options.memory,
        partition=options.partition,
        account=options.account,
        processes=_processes(options, asked),
    )
    text = script(cluster, arguments)
    terminal.result({"script": text}, text.rstrip("\n"))


def _processes(options: Namespace, asked: Namespace) -> int | None:
    """Workers on a node, where the arguments of the run say how many; several nodes have one per GPU."""
    if (options.nodes or 1) > 1 and options.array is None:
        return None
    if asked.workers is None and asked.workers_per_gpu == 1:
        return None
    workers: int = max(1, options.gpus if asked.workers is None else asked.workers)
    shared: int = asked.workers_per_gpu if options.gpus else 1
    return workers * shared


def _check(arguments: list[str]) -> Namespace:
    """Let the parser of the run refuse what it would refuse on the cluster."""
    parser = _StrictParser(add_help=False)
    run_pairs.add_arguments(parser)
    taken = {"--shard", "--scheduler", "--scheduler-credentials"} & set(arguments)
    if taken:
        raise UsageError(f"{taken.pop()} is set by the script; leave it out")
    return parser.parse_args(arguments)


class _StrictParser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"warpline cohort run: {message}; see warpline cohort run --help")


# -- the script -------------------------------------------------------------------------------------------------------


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
        "gpus-per-node": cluster.gpus or None,
        "time": cluster.time,
        "signal": f"B:USR1@{WARNING}",
        "output": "warpline-%A_%a.log" if cluster.array else "warpline-%j.log",
    }
    memory = _times(cluster.memory, cluster.workers)
    lines = [f"#SBATCH --{name}={value}" for name, value in {**asked, "mem": memory}.items() if value is not None]
    return ["#!/bin/bash", *lines, "#SBATCH --requeue", "#SBATCH --open-mode=append"]


def _workers(cluster: Cluster) -> list[str]:
    from warpline.cohort.dask_workers import DASK_CONFIG

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
        *(f"export DASK_{name.upper().replace('.', '__').replace('-', '_')}={DASK_CONFIG[name]}" for name in _CONFIG),
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


_CONFIG = (
    "distributed.scheduler.allowed-failures",
    "distributed.scheduler.worker-saturation",
    "distributed.scheduler.work-stealing",
    "distributed.worker.profile.enabled",
)
"""Settings of Dask that a scheduler and workers of the script share with those of `warpline.cohort.dask_workers`."""

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
