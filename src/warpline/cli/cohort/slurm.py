"""``warpline cohort slurm``: a batch script, printed, never submitted."""

from __future__ import annotations

from argparse import REMAINDER, ArgumentParser, Namespace
from typing import NoReturn

from warpline.cli.cohort import run_pairs
from warpline.cli.cohort.arguments import count
from warpline.cli.options import positive_count
from warpline.cli.terminal import Terminal
from warpline.errors import UsageError

SUMMARY = "print a SLURM batch script for a cohort"
EXAMPLE = """\
  warpline cohort slurm --array 64 --gpus 1 --time 8:00:00 cohort.tsv out --recipe syn > job.sh
  warpline cohort slurm --nodes 4 --gpus 8 --time 8:00:00 cohort.tsv out > job.sh"""


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
    from warpline.cohort.slurm import Cluster, script

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
    parser = _Asking(add_help=False)
    run_pairs.add_arguments(parser)
    taken = {"--shard", "--scheduler", "--scheduler-credentials"} & set(arguments)
    if taken:
        raise UsageError(f"{taken.pop()} is set by the script; leave it out")
    return parser.parse_args(arguments)


class _Asking(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"warpline cohort run: {message}; see warpline cohort run --help")
