"""Sentences on methods are true of the reports they come from, whatever was asked for."""

from __future__ import annotations

import re

import pytest

from made_reports import budget_report, preparation_steps, report_of, uncertainty_report
from warpline.errors import InputError
from warpline.recipe import PRESETS, Recipe
from warpline.report.evidence import Evidence
from warpline.report.methods import describe
from warpline.report.references import as_markdown


def told(*settings, recipe="syn", **more):
    """What is said of a report of a recipe with some settings."""
    report = report_of() | {"recipe": Recipe.load(recipe).with_options(*settings).model_dump(mode="json")} | more
    return describe(Evidence([report]))


def term(metric="local_cc", weight=1.0, contrast="as given", pair=1):
    return {"metric": metric, "weight": weight, "contrast": contrast, "pair": pair}


@pytest.mark.parametrize("recipe", PRESETS)
def test_every_recipe_is_described_and_its_references_exist(recipe):
    text = as_markdown([describe(Evidence([report_of(recipe)]))])
    assert f"recipe `{recipe}`" in text and "[@" not in text and "None" not in text.replace("Nonlocal", "")
    assert ("A deformation was found" in text) == (PRESETS[recipe].syn is not None)
    assert text.count("https://doi.org/10.") == len(re.findall(r"^- ", text, re.MULTILINE))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["syn.model=velocity"], "exponential of one stationary velocity field [@arsigny; @vercauteren]"),
        (["syn.model=bspline"], "control points 26 mm apart at the coarsest level"),
        (["syn.metric=mutual_information"], "Mattes mutual information of 64 bins"),
        (["syn.metric=mean_squares", "syn.newton=1"], "Gauss-Newton steps, as of demons"),
        (["syn.radius=3"], "in windows of 7 voxels"),
        (["syn.robust=true"], "learnt to count little"),
        (["syn.directions=j"], "along the axes j of the fixed image only"),
        (["syn.directions=[0, 1, 0]"], "along the direction 0, 1 and 0 only"),
        (["budget.max_bending=0.1"], "the mean bending energy to 0.1 per mm²"),
        (["budget.jacobian=[0.2, 5]"], "Jacobian determinants to the range 0.2 to 5"),
        (["linear.metric=correlation"], "maximised the squared correlation coefficient"),
        (["linear.stages=['translation', 'tx,ty,rz']"], "Linear registration (translation, then tx,ty,rz)"),
        (["initialise.method=centre"], "started with the geometric centres on each other; rotations"),
    ],
)
def test_options_have_their_sentence(settings, words):
    assert words in told(*settings) and words not in told()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"preparation": preparation_steps()}, "Before images were compared, "),
        ({"initial": "start.mat"}, "started from a given transform."),
        (
            {"terms": [term(contrast="moving like fixed")]},
            "of one image as its grey values predict the other [@guimond].",
        ),
        (
            {"terms": [term(), term("labels", pair=2)]},
            "Further pairs of images were compared beside them, by the overlap",
        ),
        ({"landmarks": {"count": 5}}, "A rigid map fitted to 5 landmarks [@umeyama] was the start."),
        ({"landmarks": {"count": 5}}, "Landmarks pulled in the deformable stage with the weight 2."),
        ({"memory": {"blocks": [[2, 2, 1], [2, 2, 1]]}}, "registered on coarser grids, for want of memory,"),
        ({"budget": budget_report()}, "To keep it, the deformation was found again with more smoothing."),
        ({"rounding_mm": {"content": 1 / 64}}, "stored in steps of 1/64 mm"),
    ],
)
def test_what_happened_has_its_sentence(more, words):
    assert words in told(**more) and words not in told()


def test_the_uncertainty_has_its_sentences():
    text = told("uncertainty.runs=8", "uncertainty.smoothness=0", uncertainty=uncertainty_report())
    assert "the maps of 8 further runs of the deformable stage [@kybic], with noise at 1 times the level" in text
    assert (
        "and starts moved by 1 voxels (root mean square) (seed 0). Its median" in text
        and "smoothing scaled" not in text
    )
    assert text.endswith("inside the object is 0.72 mm, its 95th percentile 2.5 mm.")
    linear = told("uncertainty.runs=8", recipe="rigid", uncertainty=uncertainty_report())
    assert "8 further runs of the linear stage" in linear and "spacing of the levels scaled by factors" in linear
    silent = told("uncertainty.runs=8", uncertainty=uncertainty_report(noise={"fixed": 0.0, "moving": 0.0}))
    assert "with no noise, as none was estimated, starts moved" in silent and "and smoothing scaled by" in silent
    assert "The uncertainty" not in told("uncertainty.runs=8") and "The uncertainty" not in told()


def test_the_uncertainty_of_several_pairs_is_the_largest():
    recipe = Recipe.load("syn").with_options("uncertainty.runs=8").model_dump(mode="json")
    made = [report_of() | {"recipe": recipe, "uncertainty": uncertainty_report(median=value)} for value in (0.5, 1.5)]
    text = describe(Evidence([*made, report_of() | {"recipe": recipe}], 3))
    assert "(in 2 of 3 pairs)" in text and "is 1.5 mm, its 95th percentile 2.5 mm, the most of all pairs." in text


def test_metrics_are_those_that_were_used():
    text = told(terms=[term(contrast="moving like fixed"), term(weight=0.5), term("self_similarity", 0.5)])
    assert "predict the other [@guimond] with weight 1, squared local correlation in windows of 5 voxels" in text
    assert "voxels [@avants] with weight 0.5 and the squared difference of self-similarity (MIND-SSC)" in text


def test_a_metric_of_a_script_is_told_by_its_name():
    assert "comparing `own`, a metric that is no part of warpline" in told(terms=[term("own")])


def test_curves_of_some_pairs_are_told_with_their_share():
    curve, plain = ({**report_of(), "terms": [term(contrast=how)]} for how in ("moving like fixed", "as given"))
    text = describe(Evidence([curve, plain, plain], 3))
    assert "3 images were registered to `fixed.nii.gz`" in text
    assert "[@guimond] with weight 1 (in 1 of 3 pairs) and squared local" in text


def test_masks_are_named_with_the_stages_that_heed_them():
    inputs = report_of()["inputs"] | {"fixed_mask": {"path": "m.nii"}}
    assert "Metrics of the linear and deformable stages counted" in told(inputs=inputs)
    assert "Metrics of the linear stages counted" in told("syn.masks=false", inputs=inputs)
    assert "counted inside given masks" not in told("syn.masks=false", "linear.masks=false", inputs=inputs)


def test_a_start_replaces_the_search():
    assert "centres of mass" in told() and "centres of mass" not in told(initial="start.mat")


def test_a_refinement_that_ran_is_named():
    levels = report_of()["levels"]
    refined = [*levels, {**levels[1], "stage": "affine", "level": 3}]
    assert "refined by squared local correlation" in told(levels=refined)
    assert "refined by squared local correlation" not in told()


@pytest.mark.parametrize(
    "report",
    [
        {},
        {"recipe": 3},
        report_of() | {"recipe": {"linear": 5}},
        report_of() | {"terms": 7},
        report_of() | {"levels": [1]},
    ],
)
def test_reports_that_are_none_are_refused(report):
    with pytest.raises(InputError, match="the report "):
        describe(Evidence([report]))


def test_folds_and_errors_are_those_of_the_worst():
    worse = report_of()["quality"] | {"folded_voxels": 7, "inverse_error_mean": 0.3}
    assert "at most 0.3 voxels and at most 7 folded voxels" in told(quality=worse)
    assert "and no folded voxels" in told(budget=budget_report())
