"""Who counts in a group summary, in the order of the manifest, and who is left out and why."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from warpline.cohort.decisions import read_verdicts
from warpline.cohort.json_files import read_object
from warpline.cohort.manifest import Pair, abbreviate
from warpline.cohort.plan import Plan, Task
from warpline.cohort.results import PairResult, judge_results
from warpline.errors import InputError


@dataclass(frozen=True, slots=True)
class Subject:
    """A pair that counts.

    Parameters
    ----------
    task : Task
        The pair, and where its outputs lie.
    result : PairResult
        Its numbers.
    verdict : str
        By which it counts: that of a person where there is one.
    """

    task: Task
    result: PairResult
    verdict: str

    @property
    def id(self) -> str:
        """What the pair is called."""
        return self.task.id

    @property
    def pair(self) -> Pair:
        """Its row of the manifest."""
        return self.task.pair


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A pair that does not count.

    Parameters
    ----------
    id, status, verdict : str
        Of the pair; no verdict where there is no result.
    reason : str
        Why, in words.
    decided : bool
        Whether a person decided so.
    """

    id: str
    status: str
    verdict: str
    reason: str
    decided: bool = False


Selection = tuple[list[Subject], list[LeftOut]]
"""Who counts and who does not, both in the order of the manifest."""

_NO_RESULT = {"todo": "not registered yet", "excluded": "excluded by a decision of the run"}
"""Why pairs without a result are left out, by their status."""


def choose_subjects(
    plan: Plan, root: Path, *, include_doubtful: bool = False, decisions: str | os.PathLike[str] | None = None
) -> Selection:
    """Divide the pairs of a cohort by verdicts, of people where there are some, else of the cohort.

    Parameters
    ----------
    plan : Plan
        The state of every pair.
    root : Path
        The output folder of the run.
    include_doubtful : bool
        Whether ``review`` counts.
    decisions : path, optional
        Table of decisions of people.

    Raises
    ------
    InputError
        When the decisions cannot be read, or nobody is left.
    """
    decided = {} if decisions is None else read_verdicts(decisions, plan.states)
    allowed = {"pass", "review"} if include_doubtful else {"pass"}
    chosen: list[Subject] = []
    left_out: list[LeftOut] = []
    for task, result in zip(plan.tasks, judge_results(plan.results(root)), strict=True):
        verdict = decided.get(task.id) or ("" if result.verdict is None else result.verdict.verdict)
        if result.status == "ok" and verdict in allowed:
            chosen.append(Subject(task, result.compact(), verdict))
        else:
            by_person = task.id in decided or result.status == "excluded"
            damage = plan.damaged.get(task.id)
            reason = _reason(result, verdict, by_person) if damage is None else f"outputs have changed: {damage}"
            left_out.append(LeftOut(task.id, result.status, verdict, reason, by_person))
    if not chosen:
        reasons = "; ".join(sorted({f"{one.id}: {one.reason}" for one in left_out})[:3])
        raise InputError(f"{root} has no pair that counts ({reasons}); register some, or take --include-doubtful")
    return chosen, left_out


def _reason(result: PairResult, verdict: str, decided: bool) -> str:
    if result.status in _NO_RESULT:
        return _NO_RESULT[result.status]
    if decided:
        return f"called {verdict} by a person"
    return f"{verdict or result.status}: {result.explanation}"


def check_one_fixed(subjects: Sequence[Subject], root: Path) -> Iterator[Mapping[str, Any]]:
    """The sidecars of all subjects, one after the other; refuses fixed images that differ, by path or by content.

    Raises
    ------
    InputError
        Naming two fixed images, or a sidecar that cannot be read.
    """
    first = subjects[0]
    paths = list(dict.fromkeys(map(os.path.realpath, {subject.pair.fixed: None for subject in subjects})))
    if len(paths) > 1:
        raise InputError(
            f"{root} has pairs of {len(paths)} fixed images ({abbreviate(paths)}); voxels of one place are needed: "
            "summarise a cohort that was registered to one template"
        )
    content = None
    for subject in subjects:
        sidecar = read_object(root / subject.task.outputs.sidecar)
        found = (sidecar.get("sha256") or {}).get("fixed")
        if not found:
            raise InputError(f"{root / subject.task.outputs.sidecar} is damaged; run the cohort again")
        if found != (content := content or found):
            raise InputError(
                f"{paths[0]} has changed between {first.id} and {subject.id}, which were registered to other contents "
                "of it; run the cohort again"
            )
        yield sidecar
