"""Reports of registrations that never ran, and what a judge of accessibility says of pages."""

from __future__ import annotations

import numpy as np

from warpline.longitudinal.recipes import recipes_with
from warpline.recipe import Recipe
from warpline.report.page import write_page


def report_of(recipe="syn", fixed="/data/fixed.nii.gz"):
    levels = [
        {"stage": stage, "level": level, "shape": [24, 28, 24], "iterations": 40, "seconds": 0.3 + level}
        | {"energies": (-0.2 - 0.5 * (1 - np.exp(-np.arange(40) / 9))).tolist()}
        for stage, level in (("rigid", 0), ("affine", 0), ("syn", 0), ("syn", 1))
    ]
    quality = {
        "folds": 0.0,
        "folded_voxels": 0,
        "least_jacobian": 0.187,
        "jacobian_min": 0.213,
        "jacobian_max": 4.02,
        "inverse_error_mean": 0.0071,
        "inverse_error_p99": 0.031,
        "inverse_error_max": 0.2,
        "rounds": 0,
        "units": [1.0, 1.0, 1.0],
    }
    chosen = Recipe.load(recipe)
    image = {"path": fixed, "shape": [96, 112, 96], "voxel_size": [2.0, 2.0, 2.0], "sha256": "0123456789abcdef" * 4}
    return {
        "warpline": "0.1.0",
        "versions": {"numpy": "2.3.0", "numba": None},
        "python": "3.12.1",
        "platform": "Linux",
        "backend": {"name": "numba", "device": "CPU", "threads": 2},
        "recipe": chosen.model_dump(mode="json"),
        "inputs": {"fixed": image, "moving": image | {"path": None}},
        "initial": None,
        "seconds": {"read": 0.2, "linear": 3.1, "deformable": 5.25, "write": 1.1},
        "levels": levels if chosen.syn else levels[:2],
        "quality": quality if chosen.syn else None,
        "similarity": {"before": {"ncc": 0.3125, "local_ncc": 0.11}, "after": {"ncc": 0.9375, "local_ncc": 0.56}},
        "measured": 1.0,
        "contrast": {"line": 0.9375, "curve": 0.95, "is_alike": True, "is_predictable": True},
        "judgement": {"outcome": "fine", "reasons": [], "signs": {}},
        "warnings": [],
    }


def budget_report(**changed):
    """What a report says of a budget with all three limits."""
    limit = {"asked": 0.25, "forward": 0.2471, "inverse": 0.2213, "forward_before": 0.3535, "inverse_before": 0.3093}
    limit |= {"worst": 0.2471, "worst_before": 0.3535}
    jacobian = {name: [0.3125, 2.875] for name in limit} | {"asked": [0.25, 4.0], "forward_before": [0.0625, 15.5]}
    jacobian |= {"worst": [0.3125, 3.2], "worst_before": [0.0625, 15.5]}
    limits = {"max_bending": limit, "jacobian": jacobian, "max_strain": limit | {"asked": 1.5}}
    told = {"kept": True, "used": 0.9884, **limits, "smoothing_mm": 0.5, "local_rounds": 12, "scale": 1.0}
    return told | {"rerun": {"total_sigma": 0.56, "update_weights": [2.0, 3.0]}} | changed


def uncertainty_report(**changed):
    """What a report says of perturbed runs."""
    told = {"runs": 8, "median": 0.71875, "p95": 2.53125, "largest": 6.34375}
    return told | {"noise": {"fixed": 0.03125, "moving": 0.015625}, "start": 2.0} | changed


def preparation_steps():
    """What a report says of two steps on one image and one on the other."""
    n4 = {"step": "bias_correction", "method": "n4", "parameters": {"shrink": 4}, "library": "SimpleITK 2.5.7"}
    winsorise = {"step": "winsorise", "method": "winsorise", "parameters": {}, "library": None}
    return [{"image": "fixed", **n4}, {"image": "fixed", **winsorise}, {"image": "moving_2", **n4}]


def serious_faults(browser, path, address=""):
    """Serious and critical findings of axe on a page, by name and first place."""
    from axe_playwright_python.sync_playwright import Axe

    context = browser.new_context(bypass_csp=True)
    try:
        page = context.new_page()
        page.goto(path.as_uri() + address)
        page.wait_for_selector("[data-ready]")
        found = Axe().run(page).response["violations"]
    finally:
        context.close()
    return [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")]


def page_of(report, layers, folder, context=None, **further):
    """The text of a page that is written into a folder."""
    write_page(report, layers, folder / "report.html", context, **further)
    return (folder / "report.html").read_text(encoding="utf-8")


def report_of_series(inputs=(), destination=(), **further):
    """The report of a series, as far as it is put into words."""
    options = {"reference": "robust", "model": "rigid", "interpolation": "cubic", "fd_threshold": 0.5}
    return {
        "warpline": "0.1.0", "python": "3.12.1", "versions": {"numpy": "2.1"},
        "backend": {"name": "numba", "device": "CPU"}, "inputs": {"series": "/data/bold.nii.gz", **dict(inputs)},
        "options": options, "series": {"shape": [64, 60, 36, 200]}, "result": {"voxel_size": [3.0, 3.0, 3.5]},
        "destination": {"transforms": [], **dict(destination)},
        "reference": "the trimmed mean of 16 volumes", "shells": [], "fits": {},
        "motion": {"mean_framewise_displacement": 0.125, "largest_framewise_displacement": 1.75},
        "outliers": {"not_aligned": [], "poor_match": [], "moved": [3, 4]}, **further,
    }  # fmt: skip


def report_of_labels(recipe="syn", **options):
    """The report of labels from three atlases, as far as it is put into words."""
    how = {"fusion": "majority", "joint": None, "recipe": Recipe.load(recipe).model_dump(mode="json")} | options
    return {
        "warpline": "0.1.0", "python": "3.12.1", "versions": {"numpy": "2.1"},
        "backend": {"name": "numba", "device": "CPU"}, "inputs": {"image": {"path": "/data/t1.nii.gz"}},
        "options": how, "atlases": [{"used": True}, {"used": True}, {"used": False}], "labels": {},
    }  # fmt: skip


def report_of_template(**options):
    """The record of a template, as far as it is put into words."""
    how = {"step": 1.0, "sharpen": 0.0, "symmetric": False, "channels": []}
    how |= {"recipe": Recipe.load("syn").model_dump(mode="json")} | options
    return {
        "software": {
            "warpline": "0.1.0", "python": "3.12.1", "versions": {"numpy": "2.1"},
            "backend": {"name": "numba", "device": "CPU"},
        },
        "options": how, "subjects": [{"id": "01"}, {"id": "02"}, {"id": "03"}], "settled": True, "left_out": [],
        "rounds": [{"voxel": 4.0}, {"voxel": 4.0}, {"voxel": 1.0}],
    }  # fmt: skip


def report_of_points(**further):
    """The report of two time points, as far as it is put into words."""
    rigid, deformable = (recipe.model_dump(mode="json") for recipe in recipes_with(()))
    return {
        "warpline": "0.1.0", "python": "3.12.1", "versions": {"numpy": "2.1"},
        "backend": {"name": "numba", "device": "CPU"}, "inputs": [{"path": "a.nii"}, {"path": "b.nii"}],
        "options": {"rigid": rigid, "recipe": deformable}, "points": [{"name": "a"}, {"name": "b"}],
        "middle": {"voxel_size": [1.0, 1.0, 1.0]}, "changes": [], "labels": None, **further,
    }  # fmt: skip
