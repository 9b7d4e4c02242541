"""Child process of compare.py: ``python peer_job.py register|score JOB.json`` writes the phase's JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import nibabel as nib
import numpy as np

from brains import Job, load_labels
from peers import TOOLS


def register(job: Job) -> dict[str, float]:
    """Run the tool; the parent measures this whole process."""
    return TOOLS[job.tool].register(job, job.settings)


def score(job: Job) -> dict[str, float]:
    """Judge the files that `register` left.

    ``dice`` counts labels warped by the tool's own resampler. ``field_agreement`` is the share of fixed
    label voxels where the field as read here gives the same label: far below 1, a field is misread.
    """
    import scoring

    tool = TOOLS[job.tool]
    mapping = tool.read(job)
    fixed, moving = load_labels(job.fixed.labels), load_labels(job.moving.labels)
    moving_grid = nib.load(job.moving.labels).affine
    own = tool.warp_labels(job)
    ours = scoring.warp_labels(mapping, moving, moving_grid, displaced=True)
    linear = scoring.warp_labels(mapping, moving, moving_grid, displaced=False)
    inside = fixed > 0
    return {
        **scoring.mean_dice(fixed, own, moving),
        "dice_affine": scoring.mean_dice(fixed, linear, moving)["dice"],
        "field_agreement": float(np.mean(own[inside] == ours[inside])),
        **scoring.field_scores(mapping, fixed),
    }


PHASES = {"register": register, "score": score}


def main(phase: str, job_file: str) -> None:
    """Run one phase of one job and write its result into the job's folder."""
    job = Job.from_dict(json.loads(Path(job_file).read_text()))
    result = PHASES[phase](job)
    Path(job.file(f"{phase}.json")).write_text(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
