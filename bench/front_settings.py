"""How smooth each tool is made for its front: named settings, from rough to smooth.

A name is what is smoothed, updates / whole field, as the tool itself counts it: sigma in voxels of the level for
Greedy, FireANTs and DIPY (updates alone), variance in voxels for ANTs; for syntx it is its alpha. For warpline it is a
recipe and its changes, ``RECIPE:KEY=VALUE:KEY=VALUE``; any such name may be asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from peer_settings import ANTS_SYNSO, DIPY, FIREANTS_GREEDY, FIREANTS_SYN, GREEDY, SYNTX_TVF, WARPLINE

Settings = dict[str, Any]

ANTS_SCHEDULE = {
    "type_of_transform": "SyNOnly",
    "syn_metric": "CC",
    "syn_sampling": 2,
    "reg_iterations": [100, 70, 50, 20],
    "grad_step": 0.2,
    "random_seed": 1,
}
"""What antsRegistrationSyN[so] runs, open for other smoothing."""


def greedy(name: str) -> Settings:
    """Greedy's ``-s``; nothing is said where it is Greedy's default."""
    if name == "1.732/0.7071":
        return GREEDY
    update, total = name.split("/")
    return {**GREEDY, "deformable": f"{GREEDY['deformable']} -s {update}vox {total}vox"}


def ants_synso(name: str) -> Settings:
    """ANTs' two variances; those of the script (3/0) by the script itself."""
    if name == "3/0":
        return ANTS_SYNSO
    update, total = map(float, name.split("/"))
    return {**ANTS_SYNSO, "deformable": {**ANTS_SCHEDULE, "flow_sigma": update, "total_sigma": total}}


def dipy(name: str) -> Settings:
    """DIPY's ``CCMetric(sigma_diff)``, 2 by default: it smooths updates only."""
    return DIPY if name == "2" else {**DIPY, "metric": {**DIPY["metric"], "sigma_diff": float(name)}}


def fireants(base: Settings) -> Callable[[str], Settings]:
    """FireANTs' two sigmas, registered once: a CPU needs no warming up."""

    def settings(name: str) -> Settings:
        update, total = map(float, name.split("/"))
        sigmas = {"smooth_grad_sigma": update, "smooth_warp_sigma": total}
        return {**base, "runs": 1, "deformable": {**base["deformable"], **sigmas}}

    return settings


def syntx_tvf(name: str) -> Settings:
    """The ``alpha`` of syntx, strength of the filter of both gradient and velocities."""
    return {**SYNTX_TVF, "runs": 1, "deformable": {**SYNTX_TVF["deformable"], "alpha": float(name)}}


def warpline(name: str) -> Settings:
    """A recipe and changes of its options."""
    recipe, *changes = name.split(":")
    settings = {**WARPLINE, "recipe": recipe}
    return {**settings, "set": changes} if changes else settings


NAMES: dict[str, Sequence[str]] = {
    "warpline": (
        "syn-fast",
        "syn",
        "syn-quality",
        "syn-smooth",
        *(f"syn:syn.total_sigma={sigma}" for sigma in (0.5, 0.7)),
    ),
    "greedy": ("1.5/0.4", "1.5/0.5", "1.732/0.7071", "2/0.9", "2.5/1.2"),
    "dipy": ("1", "1.5", "2", "3"),
    "ants-synso": ("2/0", "3/0", "3/0.25", "4/0.5"),
    "fireants-greedy": ("1/0.35", "1/0.5", "1/0.7", "1/1"),
    "fireants-syn": ("1/0.35", "1/0.5", "1/0.7", "1/1"),
    "syntx-tvf": ("0.01", "0.035", "0.1", "0.3"),
}
"""The settings of every tool's front."""

DEFAULTS = {
    "warpline": "syn",
    "greedy": "1.732/0.7071",
    "dipy": "2",
    "ants-synso": "3/0",
    "fireants-greedy": "1/0.5",
    "fireants-syn": "1/0.5",
    "syntx-tvf": "0.035",
}
"""What each tool does when nothing is said; FireANTs and syntx, by their own scripts for brains."""

SETTINGS: dict[str, Callable[[str], Settings]] = {
    "warpline": warpline,
    "greedy": greedy,
    "dipy": dipy,
    "ants-synso": ants_synso,
    "fireants-greedy": fireants(FIREANTS_GREEDY),
    "fireants-syn": fireants(FIREANTS_SYN),
    "syntx-tvf": syntx_tvf,
}
"""What a name means to a tool."""
