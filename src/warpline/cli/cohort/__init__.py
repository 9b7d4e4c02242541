"""``warpline cohort``: many registrations, unattended; one module per action, one table."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from warpline.cli.cohort import check, init, report, run_pairs, serve, slurm, status
from warpline.cli.options import add_talk
from warpline.cli.terminal import Terminal

SUMMARY = "register a whole cohort: resume, failures told apart, quality control, one page to read"
EXAMPLE = """\
  warpline cohort init "data/{id}_T1w.nii.gz" --fixed template.nii.gz -o cohort.tsv
  warpline cohort check cohort.tsv out
  warpline cohort run cohort.tsv out --workers 4
  warpline cohort run bids out --fixed template.nii.gz --participant-label 01 02"""

ACTIONS = {
    "init": init,
    "check": check,
    "run": run_pairs,
    "status": status,
    "report": report,
    "serve": serve,
    "slurm": slurm,
}
"""Name to module; the module is like that of a command."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of every action."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, module in ACTIONS.items():
        action = actions.add_parser(
            name,
            help=module.SUMMARY,
            description=module.SUMMARY[0].upper() + module.SUMMARY[1:] + ".",
            epilog=f"example:\n{module.EXAMPLE}",
            formatter_class=parser.formatter_class,
        )
        module.add_arguments(action)
        add_talk(action, nested=True)


def run(options: Namespace, terminal: Terminal) -> int | None:
    """Do one action."""
    code: int | None = ACTIONS[options.action].run(options, terminal)
    return code
