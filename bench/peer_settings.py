"""The exact options of every tool that is compared, recorded with every result."""

from __future__ import annotations

import os

RUNS = 2
"""How often tools on a GPU register a pair in one process: the first run compiles and warms up, the last one counts."""

GREEDY = {
    "common": "-d 3 -float",
    "affine": "-a -dof 12 -m NCC 2x2x2 -ia-image-centers -n 100x50x10",
    "deformable": "-m NCC 2x2x2 -n 100x50x20 -wp 0",
    "note": "fields written unrounded (-wp 0) and uncompressed; the inverse (-oinv) counts as deformable",
}
GREEDY_LIGHT = {**GREEDY, "deformable": f"{GREEDY['deformable']} -s 1.5vox 0.5vox"}
ANTS_SYN = {"type_of_transform": "SyN", "random_seed": 1}
ANTS_SYNSO = {
    "affine": {"type_of_transform": "antsRegistrationSyN[a]", "random_seed": 1},
    "deformable": {"type_of_transform": "antsRegistrationSyN[so]", "random_seed": 1},
}
DIPY = {
    "affine": {
        "pipeline": ["center_of_mass", "translation", "rigid", "affine"],
        "metric": "MI",
        "nbins": 32,
        "sampling_proportion": None,
        "level_iters": [10000, 1000, 100],
        "sigmas": [3.0, 1.0, 0.0],
        "factors": [4, 2, 1],
    },
    "metric": {"dim": 3},
    "deformable": {"level_iters": [100, 50, 20]},
}
WARPLINE = {"recipe": "syn", "backend": "numba"}
WARPLINE_CUDA = {"recipe": "syn", "backend": "cuda", "runs": RUNS}

FIREANTS = {
    "moments": {"scale": 4, "moments": 1},
    "affine": {
        "scales": [8, 4, 2, 1],
        "iterations": [100, 50, 25, 20],
        "optimizer": "Adam",
        "optimizer_lr": 3e-4,
        "loss_type": "cc",
        "cc_kernel_size": 5,
    },
    "runs": RUNS,
    "fused_ops": os.environ.get("FIREANTS_FUSED") == "1",
    "note": "settings of its own brain scripts, but for the start by centres of mass, which these images need",
}
FIREANTS_FIELD = {"scales": [4, 2, 1], "optimizer": "Adam", "loss_type": "cc", "smooth_warp_sigma": 0.5}
FIREANTS_GREEDY = {
    **FIREANTS,
    "method": "Greedy",
    "deformable": {
        **FIREANTS_FIELD,
        "iterations": [200, 100, 50],
        "optimizer_lr": 0.5,
        "cc_kernel_size": 7,
        "smooth_grad_sigma": 1.0,
    },
}
FIREANTS_SYN = {
    **FIREANTS,
    "method": "SyN",
    "deformable": {
        **FIREANTS_FIELD,
        "iterations": [100, 75, 50],
        "optimizer_lr": 0.5,
        "cc_kernel_size": 5,
        "smooth_grad_sigma": 1.0,
    },
}

SYNTX_TVF = {
    "affine": {"mode": "auto"},
    "deformable": {
        "regularizer": "dsti1",
        "alpha": 0.035,
        "flow_sigma": 3.0,
        "total_sigma": 0.035,
        "optimizer": "reg_adam",
        "optimizer_lr": 1.2,
        "max_step_norm": 0.54,
        "multipoint_loss": [0.0, 0.5, 1.0],
        "antisymmetric": False,
        "reg_iterations": [100, 100, 20],
        "solver": "euler",
        "n_time_steps": 3,
        "constant_speed": True,
        "constant_speed_relaxation": 0.1,
        "cfl_momentum": 0.95,
        "fast_smooth": False,
        "similarity_metric": "cc2",
    },
    "runs": RUNS,
    "note": "settings of its own benchmark; antstorch, which it imports, is an empty module where it is not installed",
}
