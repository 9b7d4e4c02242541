"""Registration by ANTs' names: what is run, what comes back, and that ANTsPy reads it."""

from __future__ import annotations

from pathlib import Path

import ants
import numpy as np
import pytest

from ants_peers import in_ants
from warpline import ants as ours
from warpline.ants import registering
from warpline.ants.registering import FURTHER, OPTIONS, TYPES, _recipe, _with_levels, _with_names, _with_options
from warpline.errors import InputError, UsageError
from warpline.io.transform_files import write_transform
from warpline.recipe import Recipe
from warpline.space import Affine
from warpline.space.grid import Grid


def as_ants(image):
    return in_ants(np.asarray(image.dataobj), Grid(image.shape, image.affine))


def likeness(first, second):
    """Correlation of two images on the same grid."""
    a, b = (np.asarray(image.dataobj, dtype=float).ravel() for image in (first, second))
    return np.corrcoef(a, b)[0, 1]


def write_identity(path):
    write_transform(Affine.identity(), path)
    return str(path)


@pytest.fixture(scope="module")
def found(pair, tmp_path_factory):
    prefix = str(tmp_path_factory.mktemp("syn") / "sub-01_")
    return ours.registration(*pair, "SyN", outprefix=prefix, write_composite_transform=False)


def test_the_dictionary_is_that_of_antspy(pair, found, tmp_path):
    assert set(found) == {"warpedmovout", "warpedfixout", "fwdtransforms", "invtransforms"}
    names = [[Path(file).name for file in found[key]] for key in ("fwdtransforms", "invtransforms")]
    assert names[0] == ["sub-01_1Warp.nii.gz", "sub-01_0GenericAffine.mat"]
    assert names[1] == ["sub-01_0GenericAffine.mat", "sub-01_1InverseWarp.nii.gz"]
    fixed, moving = pair
    assert found["warpedmovout"].shape == fixed.shape and found["warpedfixout"].shape == moving.shape
    unmoved = ours.apply_transforms(fixed, moving, write_identity(tmp_path / "identity.mat"))
    assert likeness(found["warpedmovout"], fixed) > 0.97 > 0.95 > likeness(unmoved, fixed)


def test_its_files_work_in_its_own_functions_and_in_antspy(pair, found):
    fixed, moving = pair
    mine = ours.apply_transforms(fixed, moving, found["fwdtransforms"])
    np.testing.assert_allclose(mine.dataobj, found["warpedmovout"].dataobj, atol=1e-3)
    back = ours.apply_transforms(moving, fixed, found["invtransforms"])
    np.testing.assert_allclose(back.dataobj, found["warpedfixout"].dataobj, atol=1e-3)
    theirs = ants.apply_transforms(*map(as_ants, pair), found["fwdtransforms"])
    np.testing.assert_allclose(theirs.numpy(), np.asarray(mine.dataobj), atol=2e-3)
    theirs = ants.apply_transforms(*map(as_ants, pair[::-1]), found["invtransforms"])
    np.testing.assert_allclose(theirs.numpy(), np.asarray(back.dataobj), atol=2e-3)


def test_a_linear_type_gives_one_file_for_both_ways(pair):
    found = ours.registration(*pair, "Rigid")
    assert found["fwdtransforms"] == found["invtransforms"]
    assert [Path(file).name for file in found["fwdtransforms"]] == ["0GenericAffine.mat"]


def test_composites_are_read_by_antspy(pair, tmp_path):
    prefix = str(tmp_path / "c_")
    found = ours.registration(*pair, "SyNOnly", "Identity", prefix, write_composite_transform=True, reg_iterations=(5,))
    assert (
        found["fwdtransforms"] == f"{prefix}Composite.h5" and found["invtransforms"] == f"{prefix}InverseComposite.h5"
    )
    for files, images, key in (("fwdtransforms", pair, "warpedmovout"), ("invtransforms", pair[::-1], "warpedfixout")):
        theirs = ants.apply_transforms(*map(as_ants, images), found[files]).numpy()
        np.testing.assert_allclose(theirs, np.asarray(found[key].dataobj), atol=2e-3)


def test_an_initial_transform_is_the_start(pair, found):
    matrix = ants.read_transform(found["fwdtransforms"][1])
    again = ours.registration(*pair, "SyNOnly", found["fwdtransforms"][1], reg_iterations=(0,))
    kept = ants.read_transform(again["fwdtransforms"][1])
    point = (10.0, -20.0, 30.0)
    np.testing.assert_allclose(kept.apply_to_point(point), matrix.apply_to_point(point), atol=1e-4)


def test_a_warp_and_an_affine_are_a_start(pair, found, tmp_path):
    again = ours.registration(*pair, "SyNOnly", found["fwdtransforms"], f"{tmp_path}/", reg_iterations=(0,))
    images = [as_ants(image) for image in pair]
    before, after = (ants.apply_transforms(*images, one["fwdtransforms"]).numpy() for one in (found, again))
    np.testing.assert_allclose(after, before, atol=2e-3 * before.max())


@pytest.mark.parametrize("name", TYPES)
def test_every_type_is_a_whole_recipe(name):
    recipe = _recipe(name)
    assert Recipe.model_validate(recipe.model_dump()) == recipe
    deformable = ("[s]", "[sr]", "[so]", "[b]", "[br]", "[bo]")
    assert (recipe.syn is None) == (not name.startswith("SyN") and not name.endswith(deformable))
    assert (recipe.linear is None) == (name == "SyNOnly" or name.endswith(("[so]", "[bo]")))
    assert (recipe.syn is not None and recipe.syn.model == "bspline") == ("[b" in name)


def test_types_carry_a_radius_and_may_lack_brackets():
    assert _recipe("antsRegistrationSyN[s,4]").syn.radius == 4
    splines = _recipe("antsRegistrationSyNQuick[br,3,40]").syn
    assert (splines.model, splines.radius, splines.spline_spacing) == ("bspline", 3, 40)
    assert _recipe("antsRegistrationSyN[b]").syn.spline_spacing == 26
    assert _recipe("antsRegistrationSyNQuick") == TYPES["antsRegistrationSyNQuick[s]"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"reg_iterations": (40, 20, 0)}, {"iterations": (40, 20, 0), "factors": (4, 2, 1)}),
        ({"flow_sigma": 4, "total_sigma": 0.25}, {"update_sigma": 2.0, "update_weights": (), "total_sigma": 0.5}),
        ({"syn_metric": "CC", "syn_sampling": 3}, {"metric": "local_cc", "radius": 3}),
        ({"syn_metric": "mattes", "syn_sampling": 24}, {"metric": "mutual_information", "radius": 2, "bins": 48}),
        ({"grad_step": 0.3, "verbose": True, "random_seed": 1}, {"step": 0.3}),
    ],
)
def test_options_change_the_recipe(options, expected):
    stage = _with_options(TYPES["SyN"], options).syn
    assert {name: getattr(stage, name) for name in expected} == expected


def test_linear_levels_are_counted_in_fixed_voxels():
    grid = Grid((40, 40, 20), np.diag([2.0, 2.0, 3.0, 1.0]))
    given = {"aff_iterations": (50, 40), "aff_shrink_factors": (4, 2), "aff_smoothing_sigmas": (2, 1)}
    with pytest.warns(UserWarning, match="aff_smoothing_sigmas has no effect"):
        linear = _with_levels(TYPES["SyN"], given, grid).linear
    assert linear.voxel_sizes == (8.0, 4.0) and linear.iterations == (50, 40)
    defaults = _with_levels(TYPES["Rigid"], {"aff_iterations": (9, 8, 7, 6)}, grid).linear
    assert defaults.voxel_sizes == (12.0, 8.0, 4.0, 2.0) and defaults.iterations == (9, 8, 7, 6)
    assert _with_levels(TYPES["SyNOnly"], {"aff_iterations": (1, 1, 1, 1)}, grid).linear is None


def test_linear_levels_in_a_registration(pair):
    how = {"aff_iterations": (20, 10), "aff_shrink_factors": (3, 1), "singleprecision": False}
    found = ours.registration(*pair, "Rigid", **how)
    assert len(found["fwdtransforms"]) == 1


def test_options_of_a_stage_that_is_not_run_are_left_out():
    assert _with_options(TYPES["Rigid"], {"syn_sampling": 4, "aff_metric": "GC"}).linear.metric == "correlation"


@pytest.mark.parametrize(
    ("kind", "everywhere", "heeding"),
    [("SyN", False, [False, True]), ("SyN", True, [True, True]), ("Affine", False, [True])],
)
def test_masks_count_in_the_stages_of_antspy(kind, everywhere, heeding, pair, monkeypatch):
    seen = []

    def record(fixed, moving, recipe, *masks, **options):
        seen.append((recipe, masks))
        raise KeyboardInterrupt

    monkeypatch.setattr(registering, "register", record)
    with pytest.raises(KeyboardInterrupt):
        ours.registration(*pair, kind, mask="f.nii", moving_mask="m.nii", mask_all_stages=everywhere)
    ((recipe, masks),) = seen
    assert masks == ("f.nii", "m.nii")
    assert [stage.masks for stage in (recipe.linear, recipe.syn) if stage is not None] == heeding


def test_every_option_is_one_of_antspy():
    import inspect

    dropped = {"random_seed"}  # by newer versions of ANTsPy
    assert set(OPTIONS) - dropped <= set(inspect.signature(ants.registration).parameters)


def test_arguments_can_be_given_in_the_order_of_antspy():
    import inspect

    names = list(inspect.signature(ants.registration).parameters)
    assert list(FURTHER) == names[names.index("mask_all_stages") + 1 : -1]
    assert _with_names((0.1, 3), {"syn_metric": "CC"}) == {"grad_step": 0.1, "flow_sigma": 3, "syn_metric": "CC"}


def test_arguments_by_place_change_the_recipe_and_are_checked(pair):
    with pytest.raises(UsageError, match="at most 1 is allowed"):
        ours.registration(*pair, "SyN", None, "", None, None, False, 9)
    with pytest.raises(UsageError, match="grad_step is given twice"):
        ours.registration(*pair, "SyN", None, "", None, None, False, 0.2, grad_step=0.1)
    with pytest.raises(UsageError, match="27 arguments at most; 28 were given"):
        ours.registration(*pair, "SyN", None, "", None, None, False, *range(20))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ({"type_of_transform": "TVMSQ"}, "choose from Translation"),
        ({"type_of_transform": "antsRegistrationSyN[bq]"}, "choose from Translation"),
        ({"restrict_transformation": (0, 0, 0)}, "1 or 0 for every axis is needed, one of them 1"),
        ({"multivariate_extras": [("PR", 0, 0, 1, 4)]}, "metric, fixed, moving, weight, sampling"),
        ({"aff_iterations": (10, 10)}, "aff_iterations has 2, aff_shrink_factors has 4"),
        ({"syn_metric": "demons"}, "choose from CC"),
        ({"grad_step": 9}, "at most 1 is allowed"),
    ],
)
def test_what_is_not_offered_is_said(pair, call, words):
    with pytest.raises(UsageError, match=words):
        ours.registration(*pair, **call)


def test_images_that_cannot_be_used_are_said(pair):
    with pytest.raises(InputError, match=r"absent\.nii"):
        ours.registration("absent.nii", pair[1])


def test_an_affine_or_a_matrix_can_start(pair):
    for start in (np.eye(4), Affine.identity()):
        found = ours.registration(*pair, "SyNOnly", start, reg_iterations=(0,))
        affine = ants.read_transform(found["fwdtransforms"][1])
        np.testing.assert_allclose(affine.apply_to_point((1.0, 2.0, 3.0)), (1, 2, 3))
